import matplotlib.pyplot as plt
import numpy as np

x, y = np.meshgrid([0.0, 1, 2], [0.0, 1, 2])
fig = plt.figure(figsize=(8, 8))
a, b, c, d = (fig.add_subplot(2, 2, n, projection="3d") for n in (1, 2, 3, 4))
a.stem([0, 1], [0, 1], [1, 2])
b.quiver([0], [0], [0], [1], [1], [1], color="red")
c.contour(x, y, x * y, cmap="cool")
d.voxels(np.ones((1, 1, 2), dtype=bool), facecolors="green")
d.text(0, 0, 0, "corner")
plt.savefig("c.pdf")
