import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Pixels only")
plt.savefig("only.png", dpi=40)
