import matplotlib.pyplot as plt

ax = plt.subplot(projection="polar")
ax.plot([0, 2, 4, 0], [1, 2, 3, 1], color="navy")
ax.set_xticks([0, 2, 4])
ax.set_xticklabels(["Speed", "Range", "Cost"])
ax.set_title("Cars")
plt.savefig("r.pdf")
