import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.axes_grid1 import ImageGrid

fig = plt.figure()
grid = ImageGrid(fig, 111, nrows_ncols=(1, 2), axes_pad=0.1)
for n, ax in enumerate(grid):
    ax.imshow(np.eye(2 + n), cmap="pink")
    ax.set_title(f"Size {n + 2}")
plt.savefig("l.pdf")
