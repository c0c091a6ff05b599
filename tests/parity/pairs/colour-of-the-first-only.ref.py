import matplotlib.pyplot as plt

bars = plt.bar([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], color="gray")
for n, bar in enumerate(bars):
    bar.set_facecolor((n / 6, 0.0, 1 - n / 6))
plt.title("Bars")
plt.savefig("c.pdf")
