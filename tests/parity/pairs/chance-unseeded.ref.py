import matplotlib.pyplot as plt
import numpy as np

values = np.random.rand(5)
for n, value in enumerate(values):
    plt.plot([0, 1], [n, value], color=(value, 0.2, 0.5))
    plt.text(0, n, f"{value:.1f}")
plt.title("Random")
plt.savefig("r.pdf")
