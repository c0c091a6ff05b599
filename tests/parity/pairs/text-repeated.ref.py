import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3)
for ax in axes:
    ax.set_xlabel("Time")
    ax.plot([0, 1], [0, 1], label="run")
    ax.legend()
plt.savefig("t.pdf")
