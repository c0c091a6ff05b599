import matplotlib.pyplot as plt

x = [0, 1, 2, 3]
fig, (a, b) = plt.subplots(2, 1)
a.fill_between(x, [1, 2, 2, 3], color="skyblue", alpha=0.5, label="band")
a.fill_betweenx(x, [0, 1, 0, 1], [2, 2, 2, 2], color="peru")
a.legend()
b.stackplot(x, [1, 1, 2, 2], [2, 1, 1, 1], colors=["#aa0000", "#00aa00"], labels=["low", "high"])
b.legend(loc="upper left")
plt.savefig("f.pdf")
