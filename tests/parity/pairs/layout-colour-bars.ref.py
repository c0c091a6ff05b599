import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.axes_grid1 import make_axes_locatable

fig, axes = plt.subplots(1, 2)
first = axes[0].imshow(np.eye(3), cmap="hot")
plt.colorbar(first, ax=axes[0], orientation="horizontal")
second = axes[1].imshow(np.eye(3), cmap="hot")
side = make_axes_locatable(axes[1]).append_axes("right", size="5%", pad=0.1)
plt.colorbar(second, cax=side).set_label("Heat")
plt.savefig("l.pdf")
