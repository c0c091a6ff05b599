import matplotlib.pyplot as plt

fig = plt.figure()
ax = fig.add_subplot(projection="3d")
ax.scatter([1, 2], [1, 2], [0, 5], color="blue")
ax.set_xlabel("x")
ax.set_zlim(0, 5)
plt.savefig("t.pdf")
