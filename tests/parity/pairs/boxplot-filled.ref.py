import matplotlib.pyplot as plt

fig, ax = plt.subplots()
made = ax.boxplot([[1, 2, 3, 9], [2, 3, 4, 5], [4, 4, 5, 8]], patch_artist=True)
for box, color in zip(made["boxes"], ["pink", "lightblue", "lightgreen"]):
    box.set_facecolor(color)
ax.set_title("Waiting time")
plt.savefig("b.pdf")
