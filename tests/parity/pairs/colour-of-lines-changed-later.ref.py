import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
(line,) = a.plot([1, 2], color="red")
line.set_color("green")
a.axhline(1.5, color="red").set_color("blue")
a.axvspan(0.2, 0.4, color="red").set_facecolor("gold")
wedges, _ = b.pie([1, 2], colors=["white", "gray"])
wedges[0].set_facecolor("brown")
b.set_title("Later")
plt.savefig("c.pdf")
