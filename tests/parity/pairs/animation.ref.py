import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 1, 2], [0, 1, 4], color="green")
ax.set_title("Frame 0")
plt.savefig("a.pdf")
