import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.pie([3, 5], radius=1, colors=["navy", "orange"], labels=["in", "out"], wedgeprops={"width": 0.3})
ax.pie([1, 2, 5], radius=0.7, colors=["navy", "lightblue", "moccasin"], wedgeprops={"width": 0.3})
ax.set(aspect="equal", title="Rings")
plt.savefig("donut.pdf")
