import matplotlib.pyplot as plt

for n, colour in enumerate(["red", "green", "blue", "cyan", "magenta", "gold", "black", "gray"]):
    plt.plot([0, 1], [n, n], color=colour)
plt.title("Eight")
plt.savefig("c.pdf")
