import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2, figsize=(5, 2))
a.plot([1, 2], color="black")
b.set_title("Outside", y=1.5)
b.set_xlabel("Far below", labelpad=60)
plt.savefig("t.pdf", bbox_inches="tight", pad_inches=0.3, dpi=72)
