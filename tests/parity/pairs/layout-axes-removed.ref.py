import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 2, sharex=True)
fig.delaxes(axes[1, 1])
axes[0, 1].axis("off")
axes[0, 0].plot([1, 2], color="black")
axes[0, 0].set_title("One")
plt.savefig("l.pdf")
