# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
times = ["8:00", "10:00", "12:00", "14:00", "16:00", "18:00"]
visitors = np.array(
    [
        [12, 18, 25, 22, 31, 44],
        [10, 21, 27, 24, 35, 47],
        [14, 23, 30, 29, 38, 51],
        [11, 20, 26, 27, 36, 49],
        [15, 24, 33, 31, 42, 39],
        [28, 56, 71, 78, 66, 33],
        [22, 49, 68, 74, 58, 24],
    ]
)

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(7.5, 6))
image = ax.imshow(visitors, cmap="YlGnBu", aspect="auto")
for row in range(len(days)):
    for col in range(len(times)):
        shade = "white" if visitors[row, col] > 45 else "black"
        ax.text(col, row, visitors[row, col], ha="center", va="center", color=shade)
bar = fig.colorbar(image, ax=ax)
bar.set_label("People in the water")

ax.set_xticks(range(len(times)))
ax.set_xticklabels(times)
ax.set_yticks(range(len(days)))
ax.set_yticklabels(days)
ax.set_xlabel("Time of day")
ax.set_title("How Full Is the Swimming Pool?", fontsize=13, pad=10)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("heatmap_1.pdf", bbox_inches="tight")
