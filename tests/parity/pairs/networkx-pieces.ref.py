import matplotlib.pyplot as plt
import networkx as nx

net = nx.Graph([("a", "b"), ("b", "c"), ("c", "a")])
spots = {"a": (0, 0), "b": (1, 0), "c": (0.5, 1)}
nx.draw_networkx_nodes(net, spots, node_color=["red", "green", "blue"])
nx.draw_networkx_edges(net, spots, edge_color="gray")
nx.draw_networkx_labels(net, spots, font_color="white")
plt.title("Ring")
plt.savefig("n.pdf")
