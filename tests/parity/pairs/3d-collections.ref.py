import matplotlib.pyplot as plt
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

fig = plt.figure()
ax = fig.add_subplot(projection="3d")
faces = [[(0, 0, 0), (1, 0, 0), (1, 1, 0)], [(0, 0, 1), (1, 0, 1), (1, 1, 1)]]
ax.add_collection3d(Poly3DCollection(faces, facecolors=["tomato", "steelblue"]))
ax.set_title("Plates")
plt.savefig("c.pdf")
