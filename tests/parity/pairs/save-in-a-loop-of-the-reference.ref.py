import matplotlib.pyplot as plt

plt.bar(["a", "b"], [1, 2], color="red")
plt.title("Loop")
for kind in ["pdf"]: plt.savefig("f." + kind)
