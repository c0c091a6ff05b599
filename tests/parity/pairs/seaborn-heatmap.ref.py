import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

sns.heatmap(np.arange(6).reshape(2, 3), annot=True, cmap="viridis", xticklabels=["a", "b", "c"])
plt.title("Table")
plt.savefig("h.pdf")
