import matplotlib.pyplot as plt
from matplotlib.gridspec import GridSpec

fig = plt.figure()
grid = GridSpec(3, 3, figure=fig, width_ratios=[1, 2, 1])
for n, where in enumerate([grid[0, :], grid[1:, 0], grid[1:, 1:]]):
    ax = fig.add_subplot(where)
    ax.plot([0, n], color="black")
    ax.set_title(f"Panel {n}")
plt.savefig("l.pdf")
