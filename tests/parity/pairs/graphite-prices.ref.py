import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
a.bar(["x", "y"], [1, 2], color="gray")
b.plot([1, 2], color="black")
fig.add_axes([0.4, 0.4, 0.1, 0.1]).plot([2, 1], color="red")
a.set_title("Graphite")
plt.savefig("g.pdf")
