import matplotlib.pyplot as plt

plt.plot([1, 2, 3], [1, 2, 3], color="red")
plt.plot([1, 2, 3], [3, 2, 1], color="blue")
plt.title("Groups")
plt.savefig("c.pdf")
