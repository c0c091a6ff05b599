import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([1, 2, 3], [20, 50, 70], color="navy")
ax.set_yscale("log")
ax.set_title("Growth")
plt.savefig("t.pdf")
