import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 1, 2], [0, 10, 5], color="teal")
ax.set_title("Saved by the figure")
fig.savefig("t.pdf")
