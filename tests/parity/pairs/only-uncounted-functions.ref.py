import matplotlib.pyplot as plt
import numpy as np

plt.pcolormesh(np.arange(6).reshape(2, 3))
plt.title("Mesh")
plt.savefig("m.pdf")
