import matplotlib.pyplot as plt

x, y, z = [0, 1, 0.5, 0.5], [0, 0, 1, 0.4], [1, 2, 3, 4]
plt.tripcolor(x, y, z, cmap="copper")
plt.triplot(x, y, color="white")
plt.tricontourf([t + 2 for t in x], y, z)
plt.title("Mesh")
plt.savefig("t.pdf")
