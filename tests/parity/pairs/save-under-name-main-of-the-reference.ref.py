import matplotlib.pyplot as plt

if __name__ == "__main__":
    plt.bar(["a", "b"], [1, 2], color="red")
    plt.title("Main")
    plt.savefig("f.pdf")
