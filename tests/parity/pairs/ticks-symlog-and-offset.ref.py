import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
a.plot([1, 2, 3], [-20, 0, 70], color="navy")
a.set_yscale("symlog")
b.plot([1, 2, 3], [1e6 + 1, 1e6 + 2, 1e6 + 3], color="navy")
b.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
b.set_title("Large")
plt.savefig("t.pdf")
