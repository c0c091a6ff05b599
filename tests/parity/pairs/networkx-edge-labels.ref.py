import matplotlib.pyplot as plt
import networkx as nx

net = nx.Graph()
net.add_edge("in", "out", weight=3)
spots = {"in": (0, 0), "out": (1, 1)}
nx.draw_networkx(net, spots, node_color="gold")
nx.draw_networkx_edge_labels(net, spots, edge_labels={("in", "out"): "3 km"})
plt.savefig("n.pdf")
