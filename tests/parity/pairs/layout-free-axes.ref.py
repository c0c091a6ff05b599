import matplotlib.pyplot as plt

fig = plt.figure()
ax = fig.add_axes([0.1, 0.1, 0.8, 0.8])
ax.plot([0, 1], color="black")
ax.set_title("Placed")
plt.savefig("l.pdf")
