import matplotlib.pyplot as plt
from matplotlib.patches import Ellipse

fig, ax = plt.subplots()
one = ax.add_patch(Ellipse((0.5, 0.5), 0.4, 0.2, facecolor="red"))
one.set_facecolor("green")
ax.set_title("Leaf")
plt.savefig("e.pdf")
