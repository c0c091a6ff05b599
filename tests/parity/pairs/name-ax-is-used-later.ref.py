import matplotlib.pyplot as plt

fig, (ax, other) = plt.subplots(1, 2)
ax.plot([1, 2], color="black")
other.set_title("Other")
plt.savefig("one.pdf")
ax.set_title("Named later")
plt.savefig("two.pdf")
