import matplotlib.pyplot as plt
import networkx as nx

net = nx.cycle_graph(4)
nx.draw_circular(net, with_labels=True, node_color="skyblue")
plt.title("Four stops")
plt.savefig("graph_ring.pdf")
