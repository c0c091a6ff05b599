import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="#0000ff")
plt.plot([1, 2], [2, 1], color="red")
plt.title("Digits")
plt.savefig("c.pdf")
