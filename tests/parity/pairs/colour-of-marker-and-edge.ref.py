import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], "o", color="black", markerfacecolor="red", markeredgecolor="blue")
plt.bar([1, 2], [1, 1], color="white", edgecolor="green", hatch="//")
plt.title("Edges", color="purple")
plt.savefig("c.pdf")
