import matplotlib.pyplot as plt

plt.bar([1, 2], [1, 2], color="red", alpha=0.3)
plt.plot([1, 2], [1, 2], color="#0000ff80")
plt.fill_between([1, 2], [1, 2], color=(0, 0.5, 0, 0.2))
plt.scatter([1, 2], [2, 1], color="black", alpha=0.5)
plt.title("Pale")
plt.savefig("c.pdf")
