import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot([0, 10], [0, 1], color="navy")
top = ax.secondary_xaxis("top", functions=(lambda c: c * 1.8 + 32, lambda f: (f - 32) / 1.8))
top.set_xlabel("Fahrenheit")
ax.set_xlabel("Celsius")
plt.savefig("t.pdf")
