import matplotlib.pyplot as plt

plt.figure(1)
plt.bar([1, 2], [1, 2], color="red")
plt.title("First")
plt.figure(2)
plt.subplot(211).plot([1, 2], color="blue")
plt.title("Second")
plt.figure(1)
plt.savefig("f.pdf")
