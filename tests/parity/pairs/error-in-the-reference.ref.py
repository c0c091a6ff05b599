import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Broken")
plt.savefig("f.pdf")
raise SystemError("broken")
