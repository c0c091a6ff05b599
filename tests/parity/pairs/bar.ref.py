import matplotlib.pyplot as plt

crops = ["Rye", "Oats", "Spelt"]
plt.figure(figsize=(6, 4))
plt.bar(crops, [4, 7, 3], color=["#8c564b", "#e377c2", "#7f7f7f"])
plt.title("Harvest by crop")
plt.ylabel("Tonnes")
plt.savefig("bar.pdf", bbox_inches="tight")
