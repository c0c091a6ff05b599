import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.bar([0, 1, 2], [3, 1, 2], color="orchid")
ax.set_xticks([0, 1, 2], ["red", "green", "blue"])
ax.set_yticks([0, 3])
ax.set_yticklabels(["none", "all"])
ax.set_title("Votes")
plt.savefig("t.pdf")
