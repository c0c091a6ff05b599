import matplotlib.pyplot as plt
import numpy as np

table = np.array([[0.8, 2.4, 2.5], [2.4, 0.0, 4.0], [1.1, 2.4, 0.8]])
fig, ax = plt.subplots()
ax.imshow(table, cmap="magma")
for i in range(3):
    for j in range(3):
        ax.text(j, i, table[i, j], ha="center", color="w")
ax.set_title("Yield")
plt.savefig("h.pdf")
