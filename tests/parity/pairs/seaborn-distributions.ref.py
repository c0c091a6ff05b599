import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

data = np.random.default_rng(1).normal(size=60)
fig, axes = plt.subplots(2, 2)
sns.boxplot(x=data, ax=axes[0, 0], color="gold")
sns.violinplot(x=data, ax=axes[0, 1], color="plum")
sns.kdeplot(data, ax=axes[1, 0], fill=True, color="teal")
sns.histplot(data, ax=axes[1, 1], bins=6, color="gray")
axes[1, 1].set_title("Counts")
plt.savefig("d.pdf")
