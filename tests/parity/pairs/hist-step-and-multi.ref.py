import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
a, b = rng.normal(size=(2, 80))
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.hist([a, b], bins=8, color=["coral", "cadetblue"], label=["a", "b"])
left.legend()
right.hist(a, bins=8, histtype="step", color="black")
right.hist(b, bins=8, alpha=0.5, color="green")
right.set_title("Outline")
plt.savefig("h.pdf")
