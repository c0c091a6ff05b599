# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
x, y = np.meshgrid(np.linspace(0, 60, 60), np.linspace(0, 60, 60))
crest = 7.5 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 300)
side = 4.0 * np.exp(-((x - 48) ** 2 + (y - 16) ** 2) / 110)
dune = crest + side

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig = plt.figure(figsize=(8, 6))
ax = fig.add_subplot(111, projection="3d")
surface = ax.plot_surface(x, y, dune, cmap="cividis", linewidth=0)
bar = fig.colorbar(surface, ax=ax, shrink=0.6, pad=0.1)
bar.set_label("Height (m)")
ax.set_title("Survey of a Sand Dune", fontsize=13)
ax.set_xlabel("East (m)")
ax.set_ylabel("North (m)")
ax.view_init(elev=32, azim=-58)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("3d_1.pdf", bbox_inches="tight")
