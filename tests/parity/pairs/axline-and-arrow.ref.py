import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 1], [1, 0], color="olive")
ax.axline((0, 0), slope=1, color="red")
ax.arrow(0, 0, 0.5, 0.5, color="black")
ax.annotate("peak", xy=(0.2, 0.8), xytext=(0.6, 0.9), arrowprops={"arrowstyle": "->"})
ax.annotate("", xy=(0.2, 0.2), xytext=(0.6, 0.2), arrowprops={"facecolor": "blue"})
plt.savefig("a.pdf")
