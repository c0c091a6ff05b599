import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red")
plt.title("C:\\\\data")
plt.xlabel("plain")
plt.savefig("e.pdf")
