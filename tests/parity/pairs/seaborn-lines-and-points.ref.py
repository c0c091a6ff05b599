import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

sns.set_theme(style="darkgrid")
frame = pd.DataFrame({"x": [1, 2, 3, 1, 2, 3], "y": [1, 3, 2, 2, 2, 4], "k": list("aaabbb")})
fig, axes = plt.subplots(1, 3, figsize=(10, 3))
sns.lineplot(data=frame, x="x", y="y", hue="k", ax=axes[0])
sns.scatterplot(data=frame, x="x", y="y", hue="k", ax=axes[1])
sns.regplot(data=frame, x="x", y="y", ax=axes[2], ci=None, color="black")
plt.savefig("l.pdf")
