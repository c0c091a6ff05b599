import matplotlib.pyplot as plt

fig, ax = plt.subplots()
arrows = ax.quiver([0, 1], [0, 1], [1, 2], [1, 0], color="navy")
ax.quiverkey(arrows, 0.8, 0.9, 1, "1 m/s", labelpos="E")
ax.set_title("Wind")
plt.savefig("c.pdf")
