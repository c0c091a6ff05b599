import matplotlib.pyplot as plt

plt.plot([1, 2], [1, 2], color="red")
plt.title("First line\n\nThird line")
plt.text(1, 1, "one\ntwo\nthree")
plt.savefig("t.pdf")
