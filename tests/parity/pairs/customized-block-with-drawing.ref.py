import matplotlib.pyplot as plt

# ===================
# Part 2: Data Preparation
# ===================
values = [1, 2, 3]
plt.plot(values, color="red")
plt.title("Drawn by the data")
plt.show()

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
plt.bar(values, values, color="blue")
plt.ylabel("Value")
plt.savefig("c.pdf")
