import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
ax.plot([0, 1], [1, 0], color="gray")
ax.set_title("word " * 60)
ax.text(0.1, 0.5, "this sentence is far too long for such a small figure and will wrap", wrap=True)
plt.savefig("t.pdf")
