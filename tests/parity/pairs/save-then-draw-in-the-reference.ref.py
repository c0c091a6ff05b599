import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2)
left.bar(["a", "b"], [1, 2], color="red")
left.set_title("Before")
plt.savefig("f.pdf")
right.plot([1, 2], color="blue")
right.set_title("After")
