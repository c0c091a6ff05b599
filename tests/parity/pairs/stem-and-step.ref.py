import matplotlib.pyplot as plt

fig, (a, b) = plt.subplots(1, 2)
a.stem([1, 2, 3], [2, 3, 1], linefmt="g-", markerfmt="ro", basefmt="k-")
b.step([1, 2, 3], [1, 3, 2], where="mid", color="indigo", label="s")
b.legend()
plt.savefig("s.pdf")
