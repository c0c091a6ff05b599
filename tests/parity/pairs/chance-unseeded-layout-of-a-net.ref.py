import matplotlib.pyplot as plt
import networkx as nx

net = nx.path_graph(4)
nx.draw(net, nx.spring_layout(net), with_labels=True, node_color="wheat")
plt.title("Path")
plt.savefig("n.pdf")
