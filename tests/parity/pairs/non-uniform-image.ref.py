import matplotlib.pyplot as plt
import numpy as np
from matplotlib.image import NonUniformImage

fig, ax = plt.subplots()
picture = NonUniformImage(ax, extent=(0, 4, 0, 4), cmap="PuOr")
picture.set_data(np.array([0.0, 1, 4]), np.array([0.0, 2, 4]), np.arange(9.0).reshape(3, 3))
ax.add_image(picture)
ax.set_title("Uneven")
plt.savefig("n.pdf")
