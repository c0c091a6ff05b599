import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 2, sharex="col", sharey=True)
for n, ax in enumerate(axes.flat):
    ax.plot([0, n + 1], [1, 2], color="steelblue")
    ax.label_outer()
axes[1, 0].set_xlabel("Left")
axes[1, 1].set_xlabel("Right")
plt.savefig("c.pdf")
