import matplotlib.pyplot as plt
import numpy as np

fig, (a, b) = plt.subplots(1, 2)
a.matshow(np.eye(3), cmap="bone")
b.spy(np.eye(4))
b.set_title("Diagonal")
plt.savefig("m.pdf")
