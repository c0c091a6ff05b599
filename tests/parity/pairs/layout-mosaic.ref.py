import matplotlib.pyplot as plt

fig, axes = plt.subplot_mosaic([["top", "top"], ["left", "."]], layout="constrained")
axes["top"].bar([1, 2], [2, 1], color="brown")
axes["left"].plot([0, 1], color="black")
axes["left"].set_title("Detail")
plt.savefig("l.pdf")
