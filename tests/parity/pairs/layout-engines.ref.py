import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 1, layout="constrained")
axes[0].plot([1, 2], color="black", label="a")
axes[1].scatter([1, 2], [1, 2], color="red")
axes[1].set_xlabel("Long label below")
plt.savefig("l.pdf")
