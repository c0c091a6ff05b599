import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.bar([1, 2], [3, 4], color="lightgray")
ax.set_ylabel("Rain")
twin = ax.twinx()
twin.plot([1, 2], [20, 10], color="red")
twin.set_ylabel("Heat")
plt.savefig("l.pdf")
