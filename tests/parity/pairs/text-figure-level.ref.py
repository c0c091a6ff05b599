import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
a.plot([0, 1], [1, 0], color="gray", label="left")
b.plot([0, 1], [0, 1], color="black", label="right")
fig.suptitle("Two views")
fig.supxlabel("Time")
fig.supylabel("Share")
fig.text(0.5, 0.01, "Source: own count")
fig.legend(loc="upper right", title="Views")
plt.savefig("t.pdf")
