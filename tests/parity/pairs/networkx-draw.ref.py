import matplotlib.pyplot as plt
import networkx as nx

net = nx.DiGraph([("x", "y"), ("y", "z")])
spots = {"x": (0, 0), "y": (1, 1), "z": (2, 0)}
fig, (a, b) = plt.subplots(1, 2)
nx.draw(net, spots, ax=a, with_labels=True, node_color="lightgreen", edge_color="brown", font_size=9)
nx.draw_networkx(net, spots, ax=b, node_color="orange", arrows=True, width=2)
b.set_title("Flow")
plt.savefig("n.pdf")
