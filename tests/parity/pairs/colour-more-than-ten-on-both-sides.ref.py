import matplotlib.pyplot as plt

for n in range(14):
    plt.plot([0, 1], [n, n], color=plt.cm.viridis(n / 13))
plt.title("Shades")
plt.savefig("c.pdf")
