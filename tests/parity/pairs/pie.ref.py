import matplotlib.pyplot as plt

plt.pie([30, 50, 20], labels=["Tea", "Milk", "Juice"], autopct="%1.1f%%", colors=["#e76f51", "#2a9d8f", "#e9c46a"])
plt.title("Drinks")
plt.savefig("p.pdf")
