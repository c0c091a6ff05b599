import matplotlib.pyplot as plt
from matplotlib.patches import Arc, Circle, Ellipse

fig, ax = plt.subplots()
ax.add_patch(Ellipse((1, 1), 2, 1, facecolor="salmon"))
ax.add_patch(Circle((3, 1), 0.5, color="teal"))
ax.add_patch(Arc((2, 3), 2, 1))
ax.set_xlim(0, 5)
ax.set_ylim(0, 5)
ax.set_title("Shapes")
plt.savefig("e.pdf")
