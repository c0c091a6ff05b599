import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("One\nTwo")
plt.xlabel(r"a\\nb")
plt.savefig("e.pdf")
