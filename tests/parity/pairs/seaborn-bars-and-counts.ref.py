import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

frame = pd.DataFrame({"day": ["Mo", "Mo", "Tu", "Tu"], "n": [1, 2, 3, 5], "who": ["x", "y", "x", "y"]})
fig, (a, b) = plt.subplots(1, 2)
sns.barplot(data=frame, x="day", y="n", hue="who", ax=a, errorbar=None, palette="Set2")
sns.countplot(data=frame, x="who", ax=b, color="salmon")
plt.savefig("b.pdf")
