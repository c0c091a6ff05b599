import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 3)
for n, ax in enumerate(axes.flat):
    ax.plot([0, 1], [0, n], color="black")
    ax.set_title(f"Panel {n}")
plt.savefig("l.pdf")
