import matplotlib.pyplot as plt
from matplotlib_venn import venn2

# ===================
# Part 2: Data Preparation
# ===================
sizes = (4, 3, 2)
# ===================
# Part 3: Plot Configuration and Rendering
# ===================
venn2(subsets=sizes, set_labels=("A", "B"))
plt.title("Overlap")
plt.savefig("c.pdf")
