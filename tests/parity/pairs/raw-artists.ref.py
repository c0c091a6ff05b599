import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle, Wedge

fig, ax = plt.subplots()
ax.add_patch(Rectangle((0, 0), 1, 1, color="red"))
ax.add_patch(Wedge((2, 2), 1, 0, 90, color="green"))
ax.add_collection(LineCollection([[(0, 0), (1, 2)]], colors="blue"))
ax.add_collection(PatchCollection([Polygon([(0, 0), (1, 1), (0, 2)])], color="orange"))
ax.add_line(Line2D([0, 1], [1, 0], color="black"))
ax.plot([0, 3], [0, 3], color="gray")
ax.set_title("By hand")
plt.savefig("r.pdf")
