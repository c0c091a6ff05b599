import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
ax.bar([0, 1, 2], [3, 5, 4], width=0.4, color="#1f77b4", label="North")
ax.plot([0.2, 1.2, 2.2], [2, 4, 6], color="#ff7f0e", label="South")
ax.set_title("Visitors")
ax.set_ylabel("Hundreds")
ax.set_xticks([0.2, 1.2, 2.2], ["Mon", "Tue", "Wed"])
ax.set_yticks([0, 3, 6])
ax.legend()
fig.tight_layout()
plt.savefig("chart.pdf")
