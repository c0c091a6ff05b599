import matplotlib.pyplot as plt

bars = plt.bar(["a", "b", "c"], [1, 2, 3], color=["red", "green", "blue"])
plt.title("Bars")
plt.savefig("c.pdf")
