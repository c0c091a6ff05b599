import matplotlib.pyplot as plt
import squarify

squarify.plot(sizes=[5, 3, 2], label=["Oak", "Elm", "Fir"], color=["#2d6a4f", "#52b788", "#b7e4c7"])
plt.axis("off")
plt.title("Trees")
plt.savefig("t.pdf")
