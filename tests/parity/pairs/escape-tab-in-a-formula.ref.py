import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red")
plt.title("$\\theta$")
plt.xlabel("$\\beta$")
plt.ylabel("$\\pi$")
plt.savefig("e.pdf")
