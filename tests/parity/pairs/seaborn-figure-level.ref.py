import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

frame = pd.DataFrame({"x": [1, 2, 3, 1, 2, 3], "y": [1, 3, 2, 2, 2, 4], "k": list("aaabbb")})
sns.relplot(data=frame, x="x", y="y", col="k", kind="line", color="crimson")
plt.savefig("f.pdf")
