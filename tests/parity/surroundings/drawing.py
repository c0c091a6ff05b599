# Scripts that draw much, oddly or in many fonts; `seen` is drawn beside it.

# %% many-formulas
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(8, 8))
for i in range(80):
    axes.text(i % 9 / 9, i // 9 / 9, rf"$x_{{{i}}}^{{{i + 1}}} + \frac{{{i}}}{{7}}$")
seen = "drawn"

# %% many-log-axes
import matplotlib.pyplot as plt

figure, axes = plt.subplots(4, 4, figsize=(12, 12))
for k, cell in enumerate(axes.flat):
    cell.loglog([1, 10 ** (k + 1)], [1, 10 ** (2 * k + 1)])
    cell.set_title(rf"$10^{{{k}}}$")
seen = "drawn"

# %% many-fonts
import matplotlib.pyplot as plt

families = ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral", "cmr10", "DejaVu Sans Display"]
for i, family in enumerate(families):
    for weight in ("normal", "bold"):
        for style in ("normal", "italic"):
            plt.text(0.1, i / 7, family[:5], family=family, weight=weight, style=style)
seen = "drawn"

# %% many-figures
import matplotlib.pyplot as plt

for i in range(12):
    plt.figure()
    plt.plot([1, i])
    plt.title(f"figure {i}")
seen = str(len(plt.get_fignums()))

# %% figures-closed
import matplotlib.pyplot as plt

for i in range(12):
    plt.plot([1, i])
    plt.close("all")
seen = str(len(plt.get_fignums()))

# %% many-images
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(5, 5)
for k, cell in enumerate(axes.flat):
    cell.imshow(np.outer(np.arange(20), np.arange(20)) + k, cmap="viridis")
    cell.axis("off")
seen = "drawn"

# %% surface-and-formulas
import matplotlib.pyplot as plt
import numpy as np

axes = plt.figure().add_subplot(projection="3d")
x, y = np.meshgrid(np.linspace(-2, 2, 25), np.linspace(-2, 2, 25))
axes.plot_surface(x, y, np.exp(-(x**2) - y**2), cmap="magma")
axes.set_zlabel(r"$e^{-x^2-y^2}$")
seen = "drawn"

# %% animation
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

figure, axes = plt.subplots()
(line,) = axes.plot([0, 1])


def update(frame):
    line.set_ydata([frame, 1])
    axes.set_title(f"frame {frame}")


animation = FuncAnimation(figure, update, frames=3)
seen = "drawn"

# %% animation-saved
import os

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

figure, axes = plt.subplots()
(line,) = axes.plot([0, 1])
FuncAnimation(figure, lambda i: line.set_ydata([i, 1]), frames=3).save("moving.gif", writer="pillow")
seen = str(os.path.getsize("moving.gif") > 100)

# %% animation-without-a-writer
import matplotlib.pyplot as plt
from matplotlib import animation

seen = f"{animation.writers.is_available('pillow')} {animation.writers.is_available('html')}"

# %% xkcd
import matplotlib.pyplot as plt

with plt.xkcd():
    plt.plot([1, 2, 3])
    plt.title("by hand")
seen = "drawn"

# %% chinese
import matplotlib.pyplot as plt

plt.rcParams["font.sans-serif"] = ["SimHei"]
plt.title("销售额")
plt.ylabel("数量")
seen = "drawn"

# %% emoji
import matplotlib.pyplot as plt

plt.text(0.5, 0.5, "😀 → ✓ ∞")
seen = "drawn"

# %% svg-font
import matplotlib.pyplot as plt

plt.rcParams["svg.fonttype"] = "none"
plt.rcParams["pdf.fonttype"] = 42
plt.text(0.5, 0.5, "type 42")
seen = "drawn"

# %% path-effects
import matplotlib.patheffects as effects
import matplotlib.pyplot as plt

plt.text(0.5, 0.5, "outlined", path_effects=[effects.withStroke(linewidth=3, foreground="w")])
seen = "drawn"

# %% seaborn-heat-map
import numpy as np
import seaborn as sns

sns.heatmap(np.arange(9).reshape(3, 3), annot=True, cmap="crest")
seen = "drawn"

# %% seaborn-statistics
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(1)
frame = pd.DataFrame({"group": list("abc") * 20, "value": rng.random(60)})
sns.violinplot(data=frame, x="group", y="value")
seen = "drawn"

# %% seaborn-grid
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(2)
frame = pd.DataFrame(rng.random((20, 3)), columns=list("abc"))
sns.pairplot(frame)
seen = "drawn"

# %% network
import networkx as nx

graph = nx.karate_club_graph()
nx.draw(graph, nx.spring_layout(graph, seed=1), with_labels=True)
seen = str(graph.number_of_edges())

# %% pandas-plots
import pandas as pd

frame = pd.DataFrame({"x": [1, 2, 3], "y": [3, 1, 2]})
frame.plot(kind="bar", title="frame")
seen = "drawn"

# %% dates
import datetime

import matplotlib.dates as mdates
import matplotlib.pyplot as plt

days = [datetime.date(2024, 1, day) for day in range(1, 20)]
plt.plot(days, range(19))
plt.gca().xaxis.set_major_formatter(mdates.DateFormatter("%b %d"))
seen = "drawn"

# %% widgets
import matplotlib.pyplot as plt
from matplotlib.widgets import Button, Slider

slider = Slider(plt.axes([0.1, 0.1, 0.8, 0.1]), "value", 0, 10)
button = Button(plt.axes([0.1, 0.3, 0.2, 0.1]), "press")
seen = str(slider.val)

# %% show-blocks-nothing
import matplotlib.pyplot as plt

plt.plot([1, 2])
plt.pause(0.01)
plt.draw()
seen = "drawn"

# %% huge-figure
import matplotlib.pyplot as plt

figure = plt.figure(figsize=(80, 60))
figure.add_subplot().plot([1, 2])
seen = "drawn"

# %% byte-order-mark-in-a-string
seen = repr("\ufeffA")

# %% coding-line
# -*- coding: utf-8 -*-
seen = "Grüße"

# %% tabs-and-form-feed
if True:
	seen = "tabs"

# %% walls-subprocess
import subprocess

seen = subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout.strip()

# %% walls-process-pool
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        seen = str(sum(pool.map(abs, range(10))))

# %% walls-fork
import os

child = os.fork()
if child == 0:
    os._exit(0)
seen = str(os.waitpid(child, 0)[1])
