import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2])
plt.plot([1, 2], [2, 1])
plt.scatter([1, 2], [1, 1])
plt.bar([1, 2], [1, 1])
plt.title("Cycle")
plt.savefig("c.pdf")
