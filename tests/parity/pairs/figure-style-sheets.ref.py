import matplotlib.pyplot as plt

plt.style.use("ggplot")
plt.plot([1, 2], [2, 1], label="one")
plt.plot([1, 2], [1, 2], label="two")
plt.bar([1, 2], [1, 1])
plt.legend()
plt.savefig("s.pdf")
