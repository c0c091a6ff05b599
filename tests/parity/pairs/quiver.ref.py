import matplotlib.pyplot as plt

plt.quiver([0, 1], [0, 1], [1, 0], [0, 1], color=["red", "blue"])
plt.quiver([2], [2], [1], [1], color="green")
plt.title("Wind")
plt.savefig("q.pdf")
