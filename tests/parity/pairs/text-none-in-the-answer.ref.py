import matplotlib.pyplot as plt

plt.plot([1, 2, 3], [3, 1, 2], color="red")
plt.title("Three points")
plt.savefig("t.pdf")
