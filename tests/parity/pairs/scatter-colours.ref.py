import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.scatter([1, 2, 3], [1, 2, 1], color="crimson", label="named")
ax.scatter([1, 2, 3], [2, 3, 2], c=["gold", "silver", "brown"])
ax.scatter([1, 2, 3], [3, 4, 3], c=[0.1, 0.5, 0.9])
ax.scatter([1, 2, 3], [4, 5, 4], facecolors="none", edgecolors="blue", label="rings")
ax.legend()
plt.savefig("s.pdf")
