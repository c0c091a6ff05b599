import matplotlib.pyplot as plt

plt.boxplot([[1, 2, 3, 9], [2, 3, 4, 5]])
plt.ylabel("Seconds")
plt.savefig("b.pdf")
