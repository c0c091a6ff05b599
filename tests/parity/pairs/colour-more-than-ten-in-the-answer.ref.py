import matplotlib.pyplot as plt

for n, colour in enumerate(["red", "green", "blue"]):
    plt.plot([0, 1], [n, n], color=colour)
plt.title("Rainbow")
plt.savefig("c.pdf")
