from __future__ import annotations

import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Future")
plt.savefig("f.pdf")
