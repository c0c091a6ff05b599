# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

np.random.seed(11)

# ===================
# Part 2: Data Preparation
# ===================
months = np.arange(1, 13)
yield_kg = np.array([3, 5, 14, 26, 38, 47, 52, 49, 33, 18, 7, 3])
water_l = np.array([20, 26, 48, 92, 138, 171, 196, 184, 112, 60, 30, 21])
tomatoes = np.random.normal(118, 19, 160)
crops = ["Tomato", "Bean", "Lettuce", "Chard"]
harvest = [112, 64, 48, 37]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, axes = plt.subplots(2, 2, figsize=(9.5, 7))
axes[0, 0].plot(months, yield_kg, color="#386641", marker="o", linewidth=2)
axes[0, 0].set_title("Yield by Month")
axes[0, 0].set_ylabel("Harvest (kg)")

axes[0, 1].bar(months, water_l, color="#4d908e", edgecolor="white")
axes[0, 1].set_title("Water by Month")
axes[0, 1].set_ylabel("Water (litres)")

axes[1, 0].hist(tomatoes, bins=14, color="#bc4749", edgecolor="white")
axes[1, 0].set_title("Weight of a Tomato")
axes[1, 0].set_xlabel("Weight (g)")

axes[1, 1].barh(crops, harvest, color="#f2a541")
axes[1, 1].set_title("Harvest by Crop")
axes[1, 1].set_xlabel("Harvest (kg)")
axes[1, 1].invert_yaxis()

for ax in axes.flat:
    ax.spines[["top", "right"]].set_visible(False)
fig.suptitle("One Year in a Community Garden", fontsize=14)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("multi_1.pdf", bbox_inches="tight")
