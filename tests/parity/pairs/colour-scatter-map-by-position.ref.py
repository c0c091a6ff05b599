import matplotlib.pyplot as plt

plt.rcParams["image.cmap"] = "plasma"
plt.scatter([1, 2, 3], [1, 2, 3], c=[1, 2, 3])
plt.colorbar(label="Value")
plt.savefig("c.pdf")
