import matplotlib.pyplot as plt
from mpl_toolkits.axes_grid1.inset_locator import inset_axes, mark_inset

fig, ax = plt.subplots()
ax.plot([0, 3], color="black")
small = inset_axes(ax, width="30%", height="30%", loc="upper left")
small.plot([0, 1], color="red")
mark_inset(ax, small, loc1=1, loc2=3)
ax.set_title("Zoom")
plt.savefig("l.pdf")
