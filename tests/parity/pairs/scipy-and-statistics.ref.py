import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.stats import gaussian_kde

data = np.array([1.0, 1.2, 3.1, 3.3, 7.0])
fig, (a, b) = plt.subplots(1, 2)
x = np.linspace(0, 8, 50)
a.fill_between(x, gaussian_kde(data)(x), color="lightcoral", label="density")
a.legend()
dendrogram(linkage(data[:, None]), ax=b, labels=list("pqrst"))
b.set_title("Tree")
plt.savefig("s.pdf")
