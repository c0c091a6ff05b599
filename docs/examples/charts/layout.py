import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(4, 3))
left.bar([0, 1, 2], [3, 5, 4], width=0.4, color="#1f77b4", label="North")
right.bar([0, 1, 2], [2, 4, 6], width=0.4, color="#ff7f0e", label="South")
left.set_title("Visitors")
left.set_ylabel("Hundreds")
for ax in (left, right):
    ax.set_xticks([0, 1, 2], ["Mon", "Tue", "Wed"])
    ax.set_yticks([0, 3, 6])
    ax.legend()
fig.tight_layout()
plt.savefig("chart.pdf")
