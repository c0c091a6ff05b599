import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

fig = plt.figure()
ax = fig.add_subplot(projection="3d")
ax.plot([0, 1], [0, 1], [0, 1], color="red")
ax.zaxis.set_major_formatter(FuncFormatter(lambda value, place: f"z{value:.1f}"))
ax.set_title("Formatted")
plt.savefig("t.pdf")
