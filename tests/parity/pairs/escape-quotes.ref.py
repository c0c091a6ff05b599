import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red")
plt.title('It\'s "so"')
plt.savefig("e.pdf")
