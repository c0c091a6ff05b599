import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

fig, ax = plt.subplots()
ax.plot([0, 1], [1, 0], color="gray", label="measured")
first = ax.legend(title="Series", loc="upper left")
ax.add_artist(first)
ax.legend(handles=[Patch(color="red", label="hot"), Line2D([], [], color="blue", label="cold")], ncol=2)
plt.savefig("t.pdf")
