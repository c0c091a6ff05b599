import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red")
plt.title("$\\vec{v}$")
plt.xlabel("$\\theta$")
plt.ylabel("$\\alpha$")
plt.savefig("e.pdf")
