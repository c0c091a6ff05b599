import matplotlib.pyplot as plt
import numpy as np

x, y = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8))
fig = plt.figure()
a = fig.add_subplot(121, projection="3d")
a.plot_surface(x, y, x * y, cmap=plt.cm.terrain)
b = fig.add_subplot(122, projection="3d")
b.plot_surface(x, y, x**2, color="orange", alpha=0.6)
b.set_title("Bowl")
plt.savefig("s.pdf")
