import matplotlib.pyplot as plt

fig = plt.figure()
outer = fig.add_gridspec(1, 2)
left = outer[0].subgridspec(2, 1)
for n, where in enumerate([left[0], left[1], outer[1]]):
    ax = fig.add_subplot(where)
    ax.plot([0, n], color="black")
    ax.set_xlabel(f"x{n}")
plt.savefig("l.pdf")
