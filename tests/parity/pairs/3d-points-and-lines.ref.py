import matplotlib.pyplot as plt

fig = plt.figure()
ax = fig.add_subplot(111, projection="3d")
ax.scatter([1, 2], [1, 2], [1, 2], c=["red", "green"])
ax.scatter([1, 2], [2, 3], [1, 3], c=[1, 2], cmap="spring")
ax.plot([1, 2], [1, 2], [2, 1], color="purple", label="way")
ax.set_zlabel("Height")
ax.legend()
plt.savefig("3d.pdf")
