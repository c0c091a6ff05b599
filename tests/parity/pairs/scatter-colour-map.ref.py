import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
points = a.scatter([1, 2, 3], [1, 2, 1], c=[1, 2, 3], cmap="plasma")
fig.colorbar(points, ax=a, label="Speed")
b.scatter([1, 2, 3], [1, 2, 1], c=[1, 2, 3], cmap=plt.get_cmap("cool"))
plt.savefig("s.pdf")
