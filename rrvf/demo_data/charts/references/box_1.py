# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

np.random.seed(3)

# ===================
# Part 2: Data Preparation
# ===================
lines = ["Line 1", "Line 2", "Line 3", "Line 4"]
delays = [np.random.gamma(shape, 1.6, 120) for shape in (1.2, 2.0, 2.8, 1.6)]
colors = ["#577590", "#43aa8b", "#f9c74f", "#f3722c"]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(7.5, 5))
boxes = ax.boxplot(
    delays,
    patch_artist=True,
    widths=0.55,
    medianprops={"color": "black", "linewidth": 1.5},
    flierprops={"marker": ".", "markersize": 4, "alpha": 0.5},
)
for patch, color in zip(boxes["boxes"], colors):
    patch.set_facecolor(color)

ax.set_xticks([1, 2, 3, 4])
ax.set_xticklabels(lines)
ax.set_title("Tram Delays on Weekday Mornings", fontsize=13, pad=10)
ax.set_ylabel("Delay (minutes)")
ax.grid(axis="y", alpha=0.25)
ax.spines[["top", "right"]].set_visible(False)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("box_1.pdf", bbox_inches="tight")
