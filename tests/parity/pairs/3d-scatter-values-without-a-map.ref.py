import matplotlib.pyplot as plt

fig = plt.figure()
ax = fig.add_subplot(projection="3d")
points = ax.scatter([1, 2, 3], [1, 2, 3], [1, 2, 3], c=[1, 2, 3])
fig.colorbar(points, label="Value")
plt.savefig("c.pdf")
