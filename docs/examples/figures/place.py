import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
ax.plot([0, 1, 2, 3], [1, 3, 2, 5], marker="o")
ax.set_title("Growth")
ax.set_xlabel("Week")
ax.set_ylabel("Height")
ax.set_xticks([0, 1, 2, 3])
ax.set_yticks([1, 3, 5])
ax.annotate("rain", (1, 3), (1, 40))
