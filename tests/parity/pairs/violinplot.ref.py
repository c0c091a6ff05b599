import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(3)
fig, ax = plt.subplots()
parts = ax.violinplot([rng.normal(0, 1, 60), rng.normal(2, 1, 60)], showmeans=True)
for body in parts["bodies"]:
    body.set_facecolor("purple")
ax.set_title("Two teams")
plt.savefig("v.pdf")
