# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
seasons = ["Spring", "Summer", "Autumn", "Winter"]
harbour = np.array([412, 586, 398, 241])
old_town = np.array([355, 498, 372, 268])
riverside = np.array([287, 531, 316, 174])
x = np.arange(len(seasons))
width = 0.26

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(8, 5))
for offset, values, label, color in [
    (-width, harbour, "Harbour", "#264653"),
    (0, old_town, "Old Town", "#2a9d8f"),
    (width, riverside, "Riverside", "#e9c46a"),
]:
    bars = ax.bar(x + offset, values, width, label=label, color=color, edgecolor="white")
    ax.bar_label(bars, fontsize=8, padding=2)

ax.set_title("Ferry Passengers by Terminal and Season", fontsize=13, pad=12)
ax.set_ylabel("Passengers (thousands)")
ax.set_xticks(x)
ax.set_xticklabels(seasons)
ax.set_ylim(0, 660)
ax.legend(ncol=3, frameon=False, loc="upper right")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", alpha=0.25)
ax.set_axisbelow(True)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("bar_1.pdf", bbox_inches="tight")
