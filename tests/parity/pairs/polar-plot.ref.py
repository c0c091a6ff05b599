import matplotlib.pyplot as plt
import numpy as np

angle = np.linspace(0, 2 * np.pi, 30)
ax = plt.subplot(111, projection="polar")
ax.plot(angle, 1 + np.cos(angle), color="magenta", label="heart")
ax.fill(angle, 0.5 + 0 * angle, color="lightgray")
ax.legend()
plt.savefig("p.pdf")
