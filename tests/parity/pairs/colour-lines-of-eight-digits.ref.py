import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="#336699")
plt.plot([1, 2], [2, 1], color="black", marker="o")
plt.title("Digits")
plt.savefig("c.pdf")
