import sys

import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Exit")
plt.savefig("f.pdf")
sys.exit(0)
