import matplotlib.pyplot as plt

for n, colour in enumerate(["#ff0000", "#e00000", "#c04000", "#ff8000", "#ffc000"]):
    plt.plot([0, 1], [n, n], color=colour)
plt.title("Reds")
plt.savefig("c.pdf")
