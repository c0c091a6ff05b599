import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, ListedColormap

fig, (a, b) = plt.subplots(1, 2)
a.imshow(np.eye(2), cmap=LinearSegmentedColormap.from_list("mine", ["white", "navy"]))
b.imshow(np.eye(2), cmap=ListedColormap(["red", "green"]))
b.set_title("Own")
plt.savefig("c.pdf")
