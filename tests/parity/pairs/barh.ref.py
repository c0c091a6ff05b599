import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.barh(["North", "South"], [3, 5], color="teal")
ax.barh(["North", "South"], [1, 2], left=[3, 5], color="orange")
ax.set_xlabel("Length")
plt.savefig("barh.pdf")
