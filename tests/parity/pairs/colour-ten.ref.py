import matplotlib.pyplot as plt

for n in range(10):
    plt.plot([0, 1], [n, n], color=plt.cm.tab10(n))
plt.title("Ten")
plt.savefig("c.pdf")
