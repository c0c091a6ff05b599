import matplotlib.pyplot as plt

fig = plt.figure()
a = fig.add_subplot(121, projection="polar")
a.scatter([0, 1, 2], [1, 2, 1], c=[1, 2, 3], cmap="hsv")
a.scatter([0.5], [1], color="black")
b = fig.add_subplot(122, polar=True)
b.bar([0, 1, 2], [1, 2, 3], width=0.5, color=["red", "green", "blue"])
b.set_title("Rose")
plt.savefig("p.pdf")
