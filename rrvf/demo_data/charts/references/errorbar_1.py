# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

# ===================
# Part 2: Data Preparation
# ===================
dose = np.array([0, 5, 10, 20, 40, 80])
clover = np.array([12.1, 14.6, 17.9, 21.8, 23.4, 22.7])
clover_error = np.array([0.8, 0.9, 1.1, 1.0, 1.4, 1.6])
rye = np.array([9.4, 13.1, 18.8, 25.2, 30.9, 33.5])
rye_error = np.array([0.7, 1.0, 1.2, 1.5, 1.3, 2.0])

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(7.5, 5))
ax.errorbar(
    dose, clover, yerr=clover_error, fmt="o-", color="#3a7d44", capsize=4, label="White clover"
)
ax.errorbar(
    dose, rye, yerr=rye_error, fmt="s--", color="#9c6644", capsize=4, label="Perennial ryegrass"
)
ax.set_title("Growth after Eight Weeks", fontsize=13, pad=10)
ax.set_xlabel("Nitrogen (kg per hectare)")
ax.set_ylabel("Plant height (cm)")
ax.legend(loc="lower right", frameon=False)
ax.grid(alpha=0.2)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("errorbar_1.pdf", bbox_inches="tight")
