# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

np.random.seed(21)

# ===================
# Part 2: Data Preparation
# ===================
species = ["Robin", "Blackbird", "Wren", "Starling"]
songs = [
    np.concatenate([np.random.normal(3.4, 0.5, 90), np.random.normal(5.6, 0.4, 50)]),
    np.random.normal(2.3, 0.4, 140),
    np.random.normal(6.1, 0.7, 140),
    np.random.normal(4.2, 0.9, 140),
]
colors = ["#c8553d", "#293241", "#98c1d9", "#588b8b"]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(7.5, 5))
parts = ax.violinplot(songs, showmedians=True, showextrema=False, widths=0.8)
for body, color in zip(parts["bodies"], colors):
    body.set_facecolor(color)
    body.set_edgecolor("black")
    body.set_alpha(0.8)
parts["cmedians"].set_color("black")

ax.set_xticks([1, 2, 3, 4])
ax.set_xticklabels(species)
ax.set_title("Pitch of Garden Birds' Songs", fontsize=13, pad=10)
ax.set_xlabel("Species")
ax.set_ylabel("Peak frequency (kHz)")
ax.grid(axis="y", alpha=0.25)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("violin_1.pdf", bbox_inches="tight")
