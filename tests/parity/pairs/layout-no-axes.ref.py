import matplotlib.pyplot as plt
from matplotlib.patches import Circle

fig = plt.figure()
fig.text(0.5, 0.5, "Only text")
fig.add_artist(Circle((0.5, 0.5), 0.1, color="red"))
plt.savefig("l.pdf")
