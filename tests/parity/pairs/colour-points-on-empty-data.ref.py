import matplotlib.pyplot as plt

plt.plot([], [], color="red", label="line")
plt.scatter([], [], color="green", label="points")
plt.bar([], [], color="blue", label="bars")
plt.legend()
plt.savefig("c.pdf")
