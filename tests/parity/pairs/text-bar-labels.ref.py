import matplotlib.pyplot as plt

fig, ax = plt.subplots()
bars = ax.bar(["a", "b"], [1.5, 2.25], color="tan")
ax.bar_label(bars, fmt="%.1f")
ax.annotate("record", xy=(1, 2.25), xytext=(0, 2.4), arrowprops={"arrowstyle": "->"}, fontsize=9)
ax.set_xlabel("Kind", fontdict={"size": 12, "weight": "bold"})
plt.savefig("t.pdf")
