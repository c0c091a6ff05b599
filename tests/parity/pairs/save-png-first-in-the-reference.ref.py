import matplotlib.pyplot as plt

plt.plot([0, 1, 2], [0, 1, 4], color="red")
plt.title("Squares")
plt.savefig("one.png", dpi=40)
plt.xticks([0, 1, 2], ["zero", "one", "two"])
plt.savefig("two.pdf")
