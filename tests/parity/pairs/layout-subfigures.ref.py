import matplotlib.pyplot as plt

fig = plt.figure(layout="constrained")
left, right = fig.subfigures(1, 2)
left.suptitle("Left")
for n, ax in enumerate(left.subplots(2, 1)):
    ax.plot([0, n], color="black")
right.subplots().bar([0, 1], [1, 2], color="red")
plt.savefig("l.pdf")
