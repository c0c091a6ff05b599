import matplotlib.pyplot as plt
import pandas as pd

frame = pd.DataFrame({"tea": [1, 2, 3], "milk": [2, 1, 2]}, index=["Mo", "Tu", "We"])
fig, axes = plt.subplots(2, 2)
frame.plot(ax=axes[0, 0], color=["green", "gray"])
frame.plot.bar(ax=axes[0, 1], stacked=True, legend=False)
frame.plot.area(ax=axes[1, 0])
frame["tea"].plot.pie(ax=axes[1, 1], autopct="%d")
plt.savefig("p.pdf")
