import matplotlib.patheffects as pe
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 1], [0, 1], color="green")
ax.text(0.1, 0.1, "hidden", visible=False)
ax.text(0.2, 0.2, "outlined", path_effects=[pe.withStroke(linewidth=3, foreground="white")])
ax.text(0.3, 0.3, "pixels", rasterized=True)
ax.text(0.4, 0.4, "plain")
ax.set_title("Kinds")
plt.savefig("t.pdf")
