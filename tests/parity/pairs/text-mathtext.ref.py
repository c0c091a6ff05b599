import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red", label=r"$\alpha_1$")
plt.title(r"$y = x^2$ and more")
plt.xlabel(r"Dose [$\mu$g]")
plt.legend()
plt.savefig("t.pdf")
