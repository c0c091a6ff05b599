import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Closed")
plt.savefig("f.pdf")
plt.close()
