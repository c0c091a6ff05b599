import matplotlib.pyplot as plt

fig, (a, b, c) = plt.subplots(1, 3)
a.eventplot([[1, 2, 3], [2, 4]], colors=["red", "blue"])
b.ecdf([1, 2, 2, 3], color="green")
c.acorr([1.0, 2, 1, 3, 2], maxlags=2)
c.set_title("Lags")
plt.savefig("e.pdf")
