import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

fig, ax = plt.subplots()
made = ax.imshow(np.array([[2.0, 5.0], [3.0, 8.0]]), norm=LogNorm(), cmap="inferno")
fig.colorbar(made, label="Counts")
plt.savefig("c.pdf")
