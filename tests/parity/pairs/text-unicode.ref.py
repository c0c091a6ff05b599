import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red", label="Größe")
plt.title("销售额 2023")
plt.xlabel("Température (°C) → €")
plt.ylabel("Скорость")
plt.legend()
plt.savefig("t.pdf")
