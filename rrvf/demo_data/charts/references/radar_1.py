# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
traits = ["Acidity", "Sweetness", "Body", "Aroma", "Bitterness", "Aftertaste"]
light = [8.1, 6.4, 4.2, 8.6, 3.1, 6.0]
medium = [6.0, 7.3, 6.5, 7.4, 5.2, 7.1]
dark = [3.2, 4.6, 8.4, 6.1, 8.2, 7.6]
angles = np.linspace(0, 2 * np.pi, len(traits), endpoint=False).tolist()
closed = angles + angles[:1]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(6.5, 6.5), subplot_kw={"projection": "polar"})
for values, label, color in [
    (light, "Light roast", "#e9c46a"),
    (medium, "Medium roast", "#e76f51"),
    (dark, "Dark roast", "#5f0f40"),
]:
    ax.plot(closed, values + values[:1], color=color, linewidth=2, label=label)
    ax.fill(closed, values + values[:1], color=color, alpha=0.15)

ax.set_xticks(angles)
ax.set_xticklabels(traits)
ax.tick_params(axis="x", pad=14)
ax.set_ylim(0, 10)
ax.set_title("Taste of Three Coffee Roasts", fontsize=13, pad=24)
ax.legend(loc="upper right", bbox_to_anchor=(1.28, 1.12), frameon=False)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("radar_1.pdf", bbox_inches="tight")
