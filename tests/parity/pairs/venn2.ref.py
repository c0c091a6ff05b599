import matplotlib.pyplot as plt
from matplotlib_venn import venn2

made = venn2(subsets=(10, 5, 2), set_labels=("Cats", "Dogs"), set_colors=("orange", "skyblue"))
made.get_label_by_id("10").set_text("ten")
plt.title("Pets")
plt.savefig("v.pdf")
