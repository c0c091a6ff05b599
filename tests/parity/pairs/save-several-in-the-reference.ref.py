import matplotlib.pyplot as plt

plt.plot([0, 1, 2], [0, 1, 4], color="red")
plt.title("Squares")
plt.savefig("one.pdf")
plt.ylabel("Later")
plt.savefig("two.pdf")
