import matplotlib.pyplot as plt

weeks = [1, 2, 3, 4]
fig, ax = plt.subplots(figsize=(6, 4))
ax.plot(weeks, [3, 5, 4, 6], color="#1b9e77", marker="o", label="North")
ax.plot(weeks, [2, 2, 3, 5], color="#d95f02", label="South")
ax.set_title("Visitors by week")
ax.set_xlabel("Week")
ax.set_ylabel("Visitors")
ax.legend()
plt.tight_layout()
plt.savefig("base.pdf", bbox_inches="tight")
