import matplotlib.pyplot as plt
import networkx as nx

net = nx.Graph()
net.add_nodes_from(["a", "b"])
nx.draw_networkx(net, {"a": (0, 0), "b": (1, 1)}, node_color="pink")
plt.title("Loose")
plt.savefig("n.pdf")
