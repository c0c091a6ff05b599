import matplotlib.pyplot as plt
import numpy as np

y, x = np.mgrid[-1:1:6j, -1:1:6j]
fig, (a, b) = plt.subplots(1, 2)
a.streamplot(x, y, 1 + x**2, y, color="teal")
b.barbs(x, y, 10 * x, 10 * y)
b.plot([0, 1], [0, 1], color="red")
b.set_title("Barbs")
plt.savefig("s.pdf")
