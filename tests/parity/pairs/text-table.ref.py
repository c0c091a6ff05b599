import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.bar(["a", "b"], [1, 2], color="tan")
ax.table(cellText=[["1", "2"], ["3", "4"]], rowLabels=["min", "max"], colLabels=["a", "b"])
ax.set_xticks([])
plt.savefig("t.pdf")
