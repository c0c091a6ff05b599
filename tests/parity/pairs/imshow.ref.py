import matplotlib.pyplot as plt
import numpy as np

fig, (a, b) = plt.subplots(1, 2)
a.imshow(np.arange(9).reshape(3, 3), cmap="YlGnBu")
b.imshow(np.zeros((2, 2, 3)))
b.set_title("Black")
plt.savefig("i.pdf")
