import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Printed")
print(plt.savefig("f.pdf"))
