# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
years = np.arange(2010, 2025)
hydro = np.linspace(31, 33, 15)
wind = 4 + 0.16 * (years - 2010) ** 1.9
solar = 1 + 0.045 * (years - 2010) ** 2.3
biomass = np.linspace(6, 9, 15)

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(8, 5))
ax.stackplot(
    years,
    hydro,
    wind,
    solar,
    biomass,
    labels=["Hydro", "Wind", "Solar", "Biomass"],
    colors=["#277da1", "#90be6d", "#f9c74f", "#8d6a9f"],
    alpha=0.9,
)
ax.set_title("Renewable Electricity by Source", fontsize=13, pad=10)
ax.set_xlabel("Year")
ax.set_ylabel("Output (TWh)")
ax.set_xlim(2010, 2024)
ax.legend(loc="upper left", frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("area_1.pdf", bbox_inches="tight")
