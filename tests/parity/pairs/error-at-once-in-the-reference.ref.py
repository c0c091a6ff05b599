import matplotlib.pyplot as plt

plt.bar(["a", "b"], heights, color="red")
plt.title("Broken")
plt.savefig("f.pdf")
