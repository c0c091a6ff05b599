import matplotlib.pyplot as plt

plt.scatter([1, 2], [1, 2], c=[1, 2], cmap="viridis")
plt.title("Points")
plt.savefig("c.pdf")
