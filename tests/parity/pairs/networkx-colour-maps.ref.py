import matplotlib.pyplot as plt
import networkx as nx

net = nx.path_graph(3)
spots = {0: (0, 0), 1: (1, 1), 2: (2, 0)}
nx.draw(net, spots, node_color=[1, 2, 3], cmap=plt.cm.viridis, edge_color=[1.0, 2.0], edge_cmap=plt.cm.Reds)
plt.title("Mapped")
plt.savefig("n.pdf")
