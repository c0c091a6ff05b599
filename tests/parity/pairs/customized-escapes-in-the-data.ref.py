import matplotlib.pyplot as plt

# ===================
# Part 2: Data Preparation
# ===================
label = "$\\nu$"
# ===================
# Part 3: Plot Configuration and Rendering
# ===================
plt.plot([1, 2], color="red")
plt.xlabel(label)
plt.title("Two")
plt.savefig("c.pdf")
