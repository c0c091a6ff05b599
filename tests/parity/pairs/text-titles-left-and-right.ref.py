import matplotlib.pyplot as plt

plt.plot([0, 1], [1, 0], color="gray")
plt.title("(a)", loc="left")
plt.title("Middle")
plt.title("n = 12", loc="right")
plt.xlabel("")
plt.ylabel(" ")
plt.savefig("t.pdf")
