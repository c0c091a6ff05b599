# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
hours = np.arange(0, 24)
workday = 18 + 14 * np.exp(-((hours - 8) ** 2) / 4) + 17 * np.exp(-((hours - 18) ** 2) / 9)
weekend = 15 + 11 * np.exp(-((hours - 13) ** 2) / 26)
holiday = 14 + 8 * np.exp(-((hours - 15) ** 2) / 40)

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(8, 5))
ax.plot(hours, workday, color="#1d3557", linewidth=2.2, marker="o", markersize=4, label="Workday")
ax.plot(hours, weekend, color="#e76f51", linewidth=2.2, marker="s", markersize=4, label="Weekend")
ax.plot(hours, holiday, color="#8ab17d", linewidth=2.2, linestyle="--", label="Holiday")
ax.axhline(30, color="#9d9d9d", linewidth=1, linestyle=":")
ax.text(0.2, 30.5, "Capacity of one substation", fontsize=9, color="#6d6d6d")

ax.set_title("Electricity Demand of a Small Town", fontsize=13, pad=12)
ax.set_xlabel("Hour of day")
ax.set_ylabel("Demand (MW)")
ax.set_xlim(0, 23)
ax.set_ylim(10, 40)
ax.legend(loc="upper left", frameon=False)
ax.spines[["top", "right"]].set_visible(False)
ax.grid(alpha=0.2)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("line_1.pdf", bbox_inches="tight")
