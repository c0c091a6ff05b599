# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
import numpy as np

np.random.seed(0)

# ===================
# Part 2: Data Preparation
# ===================
months = ["Jan", "Feb", "Mar"]
sales = np.array([3, 5, 4])
title = "Sales by month"

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(6, 4))
ax.bar(months, sales, color="steelblue")
ax.set_title(title)
ax.set_ylabel("Units")

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("c.pdf", bbox_inches="tight")
