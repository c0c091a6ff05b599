import matplotlib.pyplot as plt

fig = plt.figure()
a = fig.add_subplot(121, projection="3d")
a.bar3d([0, 1], [0, 1], [0, 0], 0.5, 0.5, [1, 2], color="skyblue")
b = fig.add_subplot(122, projection="3d")
for z, color in enumerate(["r", "g", "b"]):
    b.bar([0, 1, 2], [1, 2, 3], zs=z, zdir="y", color=color, alpha=0.8)
b.set_xlabel("Day")
plt.savefig("b.pdf")
