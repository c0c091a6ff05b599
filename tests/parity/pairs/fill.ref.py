import matplotlib.pyplot as plt

plt.fill([0, 1, 1], [0, 0, 1], "c", [2, 3, 3], [0, 0, 1], "m")
plt.fill([4, 5, 5], [0, 0, 1], facecolor="yellow", edgecolor="black")
plt.title("Shapes")
plt.savefig("f.pdf")
