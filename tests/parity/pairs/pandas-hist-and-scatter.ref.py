import matplotlib.pyplot as plt
import pandas as pd

frame = pd.DataFrame({"a": [1, 2, 2, 3, 5], "b": [2, 3, 3, 4, 4]})
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
frame.plot.hist(ax=axes[0], bins=4, alpha=0.5)
frame.plot.scatter(ax=axes[1], x="a", y="b", c="a", cmap="viridis", colorbar=False)
frame.boxplot(ax=axes[2])
plt.savefig("h.pdf")
