import matplotlib.pyplot as plt

bars = plt.bar(["a", "b", "c"], [1, 2, 3])
for bar, colour in zip(bars, ["#ff0000", "#00ff00", "#0000ff"]):
    bar.set_color(colour)
plt.title("Bars")
plt.savefig("c.pdf")
