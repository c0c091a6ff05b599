import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 4))
ax.plot([0, 10], [0, 10], color="black", label="path")
ax.axhline(4, color="firebrick", label="limit")
ax.axvline(6, color="navy", linestyle="--")
ax.axhspan(1, 2, color="khaki", alpha=0.4)
ax.axvspan(7, 8, facecolor="plum")
ax.hlines([3, 5, 7], 0, 5, colors=["tab:red", "tab:green", "tab:blue"])
ax.vlines([2, 4], 0, 8, color="gray")
ax.legend()
plt.savefig("lines.pdf", bbox_inches="tight")
