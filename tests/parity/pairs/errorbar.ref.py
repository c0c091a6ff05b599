import matplotlib.pyplot as plt

plt.errorbar([1, 2, 3], [2, 4, 3], yerr=[0.3, 0.2, 0.4], fmt="o-", color="seagreen", ecolor="salmon", capsize=4)
plt.errorbar([1, 2, 3], [1, 1, 2], yerr=0.2, fmt="s", color="slateblue", label="second")
plt.title("Measured")
plt.legend()
plt.savefig("e.pdf")
