import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 3], color="black")
small = fig.add_axes([0.6, 0.6, 0.2, 0.2])
small.plot([0, 1], color="red")
small.set_title("Zoom")
plt.savefig("l.pdf")
