import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.fill_between([0, 1], [1, 2], color="blue")
plt.title("Emptied")
plt.savefig("f.pdf")
