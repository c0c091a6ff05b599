import matplotlib.pyplot as plt
import numpy as np

x, y = np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12))
fig, (a, b) = plt.subplots(1, 2)
filled = a.contourf(x, y, x * y, cmap="RdBu")
fig.colorbar(filled)
lines = b.contour(x, y, x + y**2, colors="black")
b.clabel(lines, fmt="%.1f")
plt.savefig("c.pdf")
