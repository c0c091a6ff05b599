# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

np.random.seed(7)

# ===================
# Part 2: Data Preparation
# ===================
altitude = np.random.uniform(150, 2400, 90)
temperature = 16.5 - 0.0062 * altitude + np.random.normal(0, 1.1, 90)
rainfall = 620 + 0.42 * altitude + np.random.normal(0, 140, 90)

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(7.5, 5.5))
points = ax.scatter(
    altitude, temperature, c=rainfall, cmap="viridis", s=55, alpha=0.9, edgecolors="white"
)
line = np.polyfit(altitude, temperature, 1)
ax.plot([100, 2450], np.polyval(line, [100, 2450]), color="#d1495b", linewidth=2)
ax.text(1500, 12.5, "6 degrees per kilometre", color="#d1495b", fontsize=10)
bar = fig.colorbar(points, ax=ax)
bar.set_label("Rainfall (mm per year)")

ax.set_title("Weather Stations: Colder and Wetter Higher Up", fontsize=13, pad=10)
ax.set_xlabel("Altitude (m)")
ax.set_ylabel("Mean temperature (°C)")
ax.grid(alpha=0.2)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("scatter_1.pdf", bbox_inches="tight")
