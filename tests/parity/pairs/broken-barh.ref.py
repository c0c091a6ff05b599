import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.broken_barh([(1, 3), (6, 2)], (0, 1), facecolors=("tab:orange", "tab:green"))
ax.broken_barh([(2, 2)], (2, 1), facecolors="tab:red")
ax.set_xlabel("Hours")
plt.savefig("b.pdf")
