import matplotlib.pyplot as plt

plt.bar([1, 2], [1, 2], color="red", fill=False)
plt.plot([1, 2], [1, 2], color="blue")
plt.title("Hollow")
plt.savefig("c.pdf")
