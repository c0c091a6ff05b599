import io

import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("By format")
buffer = io.BytesIO()
plt.savefig(buffer, format="pdf", dpi=300, facecolor="lightyellow", transparent=False)
