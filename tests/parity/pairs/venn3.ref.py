import matplotlib.pyplot as plt
from matplotlib_venn import venn3, venn3_circles

venn3(subsets=(5, 4, 2, 3, 1, 1, 1), set_labels=("Read", "Write", "Count"))
venn3_circles(subsets=(5, 4, 2, 3, 1, 1, 1), linestyle="dotted")
plt.savefig("v.pdf")
