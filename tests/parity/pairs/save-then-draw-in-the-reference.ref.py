import matplotlib.pyplot as plt

fig, ax = plt.subplots(1, 2)
ax[0].bar(["a", "b"], [1, 2], color="red")
ax[0].set_title("Before")
plt.savefig("f.pdf")
ax[1].plot([1, 2], color="blue")
ax[1].set_title("After")
