import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 1], [0, 1], color="green")
ax.text(0.5, 0.5, "slanted", rotation=45)
ax.text(0.5, 0.2, "ghost", alpha=0)
ax.text(9, 9, "far away")
ax.text(-9, 0, "clipped", clip_on=True)
ax.set_ylabel("upright")
plt.savefig("t.pdf")
