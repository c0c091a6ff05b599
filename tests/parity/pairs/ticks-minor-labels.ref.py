import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FormatStrFormatter

fig, ax = plt.subplots()
ax.plot([0, 10], [0, 1], color="orchid")
ax.xaxis.set_minor_locator(FixedLocator([2.5, 7.5]))
ax.xaxis.set_minor_formatter(FormatStrFormatter("%.1f h"))
ax.set_title("Hours")
plt.savefig("t.pdf")
