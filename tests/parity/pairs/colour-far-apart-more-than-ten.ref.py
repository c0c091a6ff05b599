import matplotlib.pyplot as plt

plt.plot([0, 1], [0, 1], color="red")
plt.title("Far")
plt.savefig("c.pdf")
