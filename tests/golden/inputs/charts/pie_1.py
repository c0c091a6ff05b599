# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt

# ===================
# Part 2: Data Preparation
# ===================
labels = ["Heating", "Hot water", "Cooking", "Lighting", "Appliances"]
shares = [46, 18, 9, 7, 20]
colors = ["#bc4749", "#f2a65a", "#f6d38b", "#a7c4a0", "#457b9d"]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
fig, ax = plt.subplots(figsize=(6.5, 6))
ax.pie(
    shares,
    labels=labels,
    colors=colors,
    autopct="%1.0f%%",
    pctdistance=0.78,
    startangle=90,
    counterclock=False,
    wedgeprops={"width": 0.45, "edgecolor": "white", "linewidth": 2},
)
ax.text(0, 0, "3,400 kWh\nper person", ha="center", va="center", fontsize=12)
ax.set_title("Where Household Energy Goes", fontsize=14)

# ===================
# Part 4: Saving Output
# ===================
plt.tight_layout()
plt.savefig("pie_1.pdf", bbox_inches="tight")
