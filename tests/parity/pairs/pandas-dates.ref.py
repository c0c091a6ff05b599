import matplotlib.pyplot as plt
import pandas as pd

days = pd.date_range("2023-01-01", periods=6, freq="D")
series = pd.Series([1, 3, 2, 4, 3, 5], index=days, name="visits")
ax = series.plot(color="maroon", legend=True)
ax.set_ylabel("Visits")
plt.savefig("d.pdf")
