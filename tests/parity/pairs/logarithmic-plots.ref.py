import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, figsize=(9, 3))
axes[0].semilogx([1, 10, 100], [1, 2, 3], color="red")
axes[1].semilogy([1, 2, 3], [2, 3, 6], color="green")
axes[2].loglog([1, 2, 4], [2, 3, 5], color="blue")
axes[2].set_title("Both")
plt.savefig("l.pdf")
