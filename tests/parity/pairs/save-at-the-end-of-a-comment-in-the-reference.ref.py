import matplotlib.pyplot as plt

# saved below with plt.savefig
fig, ax = plt.subplots()
ax.plot([0, 1, 2], [5, 6, 5], color="teal")
ax.set_title("Commented")
plt.savefig("c.pdf")
