import matplotlib.pyplot as plt
import numpy as np

z = np.arange(12).reshape(3, 4)
fig, axes = plt.subplots(2, 2)
axes[0, 0].pcolor(z, cmap="Reds")
axes[0, 1].pcolormesh(z, cmap="Blues")
axes[1, 0].hexbin([0, 1, 2, 3], [0, 1, 1, 2], gridsize=4)
axes[1, 1].hist2d([0, 1, 2, 3], [0, 1, 1, 2])
axes[1, 1].set_title("Counts")
plt.savefig("p.pdf")
