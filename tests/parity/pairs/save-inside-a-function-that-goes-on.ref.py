import matplotlib.pyplot as plt


def draw():
    plt.bar(["a", "b"], [1, 2], color="red")
    plt.title("In a function")
    plt.savefig("f.pdf")
    return 1


draw()
