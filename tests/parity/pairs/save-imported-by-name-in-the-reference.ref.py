import matplotlib.pyplot as plt
from matplotlib.pyplot import savefig

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("By name")
savefig("f.pdf")
