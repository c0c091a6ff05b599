import matplotlib.pyplot as plt

x = [0, 1, 2, 3]
plt.plot(x, [1, 2, 3, 4], "r-", x, [2, 2, 3, 3], "g--", x, [4, 3, 2, 1], "k:")
plt.legend(["up", "steps", "down"])
plt.savefig("out.pdf")
