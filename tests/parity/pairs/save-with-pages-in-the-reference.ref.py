import matplotlib.pyplot as plt
from matplotlib.backends.backend_pdf import PdfPages

with PdfPages("pages.pdf") as pages:
    plt.bar([1, 2], [1, 2], color="red")
    plt.title("Page one")
    pages.savefig()
