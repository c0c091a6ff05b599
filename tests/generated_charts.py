"""Charts made from a seed, to draw in numbers: formulas, fonts, figures, images, 3D, animations."""

from __future__ import annotations

import random
from collections.abc import Callable

FONTS = ["serif", "sans-serif", "monospace", "cursive", "fantasy", "DejaVu Sans Mono", "Arial"]
SYMBOLS = [r"\alpha", r"\beta^2", r"\sum_{i=0}^n x_i", r"\sqrt{x}", r"\frac{a}{b}", r"\int_0^1 f"]
SYMBOLS += [r"10^{-3}", r"\mathcal{L}", r"\mathbb{R}", r"\hat{y}", r"\mathbf{v}_1", r"e^{i\pi}"]
FONT_SETS = ["dejavusans", "dejavuserif", "cm", "stix", "stixsans"]
COLORS = ["red", "#1F77B4", "seagreen", "orange", "purple", "k", "C3", "0.4"]
MAPS = ["viridis", "plasma", "Blues", "coolwarm", "tab20"]
START = "import numpy as np\nimport matplotlib.pyplot as plt\n"


def _formulas(pick: random.Random) -> str:
    rows, columns = pick.randint(1, 3), pick.randint(2, 4)
    lines = [f"plt.rcParams['mathtext.fontset'] = {pick.choice(FONT_SETS)!r}"]
    lines += [f"fig, axes = plt.subplots({rows}, {columns}, figsize=(12, 9))"]
    lines += ["for number, ax in enumerate(axes.flat):"]
    lines += [f"    ax.loglog([1, 10, 1000], [number + 1, 50, 10**{pick.randint(3, 6)}])"]
    lines += [f"    ax.set_title(r'${pick.choice(SYMBOLS)} = {pick.choice(SYMBOLS)}$')"]
    lines += [f"    ax.set_xlabel(r'${pick.choice(SYMBOLS)}$ (%d)' % number)"]
    return "\n".join(lines)


def _fonts(pick: random.Random) -> str:
    lines = ["fig, ax = plt.subplots()"]
    for number in range(pick.randint(5, 14)):
        style = f"family={pick.choice(FONTS)!r}, weight={pick.choice(['normal', 'bold'])!r}"
        style += f", style={pick.choice(['normal', 'italic'])!r}, size={pick.randint(6, 20)}"
        lines += [f"ax.text(0.1, {number / 15:.3f}, 'Text {number} – é ñ Ω 数', {style})"]
    return "\n".join([*lines, f"plt.title('Fonts', color={pick.choice(COLORS)!r})"])


def _figures(pick: random.Random) -> str:
    number = pick.randint(3, 25)
    lines = [f"for number in range({number}):", "    plt.figure(number, figsize=(3, 2))"]
    lines += [f"    plt.bar([1, 2], [number, 2], color={pick.choice(COLORS)!r})"]
    lines += ["    plt.title(f'Figure $n_{{{number}}}$')"]
    if pick.random() < 0.5:
        lines += [f"    plt.savefig('part%d.{pick.choice(['png', 'pdf', 'svg'])}' % number)"]
    return "\n".join([*lines, f"plt.figure({pick.randrange(number)})"])


def _image(pick: random.Random) -> str:
    size, colors = pick.randint(4, 60), pick.choice(MAPS)
    lines = [f"values = np.random.default_rng({pick.randrange(99)}).random(({size}, {size}))"]
    lines += [f"plt.imsave('image.png', values, cmap={colors!r})"]
    shown = "plt.imread('image.png')" if pick.random() < 0.5 else "values"
    lines += [f"plt.imshow({shown}, cmap={colors!r})", "plt.colorbar(label='$z$')"]
    return "\n".join([*lines, f"plt.title('Image of {size}')"])


def _solid(pick: random.Random) -> str:
    lines = ["fig = plt.figure()", "ax = fig.add_subplot(projection='3d')"]
    lines += ["x, y = np.meshgrid(np.arange(6.0), np.arange(5.0))"]
    drawn = [
        f"ax.plot_surface(x, y, np.sin(x) + y, cmap={pick.choice(MAPS)!r})",
        f"ax.scatter(x, y, x * y, c={pick.choice(COLORS)!r})",
        f"ax.bar3d([0, 1], [0, 1], [0, 0], 0.5, 0.5, [2, 3], color={pick.choice(COLORS)!r})",
        f"ax.plot_wireframe(x, y, x - y, color={pick.choice(COLORS)!r})",
    ]
    lines += [pick.choice(drawn), f"ax.set_zlabel(r'${pick.choice(SYMBOLS)}$')"]
    return "\n".join([*lines, f"ax.view_init({pick.randint(10, 60)}, {pick.randint(0, 90)})"])


def _animation(pick: random.Random) -> str:
    lines = ["from matplotlib.animation import FuncAnimation", "fig, ax = plt.subplots()"]
    lines += [f"line, = ax.plot([0, 1], [0, 1], color={pick.choice(COLORS)!r}, label='$x_t$')"]
    lines += ["def update(frame):", "    line.set_ydata([frame, 1 - frame])", "    return line,"]
    lines += [f"moving = FuncAnimation(fig, update, frames={pick.randint(2, 9)})", "ax.legend()"]
    if pick.random() < 0.5:
        lines += ["moving.save('moving.gif', writer='pillow', fps=5)"]
    return "\n".join(lines)


def _bars(pick: random.Random) -> str:
    names = [f"'{name}'" for name in "abcdefgh"[: pick.randint(2, 8)]]
    heights = [pick.randint(1, 99) for _ in names]
    lines = [f"plt.style.use({pick.choice(['ggplot', 'seaborn-v0_8', 'bmh', 'classic'])!r})"]
    lines += ["fig, (left, right) = plt.subplots(1, 2)"]
    lines += [f"bars = left.bar([{', '.join(names)}], {heights}, color={pick.choice(COLORS)!r})"]
    lines += ["left.bar_label(bars)", f"right.pie({heights}, labels=[{', '.join(names)}])"]
    return "\n".join([*lines, f"fig.suptitle(r'Share ${pick.choice(SYMBOLS)}$')"])


def _packages(pick: random.Random) -> str:
    made = [
        "import seaborn as sns\nsns.set_theme()\n"
        f"sns.histplot(np.random.default_rng({pick.randrange(99)}).normal(size=80), kde=True)",
        "import pandas as pd\n"
        f"pd.DataFrame({{'a': [1, {pick.randint(2, 9)}], 'b': [3, 4]}}).plot(kind='bar')",
        f"import networkx as nx\nnx.draw(nx.cycle_graph({pick.randint(3, 9)}), with_labels=True, "
        f"pos=nx.circular_layout(range(9)), node_color={pick.choice(COLORS)!r})",
        f"import squarify\nsquarify.plot([5, 3, {pick.randint(1, 9)}], label=['x', 'y', 'z'])",
        f"from scipy import stats\nx = np.linspace(-3, 3)\nplt.plot(x, stats.norm.pdf(x))\n"
        f"plt.polar([0, 1, 2], [1, 2, {pick.randint(1, 9)}])",
        "from matplotlib.backends.backend_pdf import PdfPages\nfig = plt.figure()\n"
        f"plt.plot([1, {pick.randint(2, 9)}])\nwith PdfPages('pages.pdf') as pages:\n"
        "    pages.savefig(fig)",
    ]
    return pick.choice(made)


MAKERS: tuple[Callable[[random.Random], str], ...] = (
    *(_formulas, _fonts, _figures, _image, _solid, _animation, _bars, _packages),
)


def make_charts(number: int) -> dict[str, str]:
    """``number`` scripts by name, always the same ones; about a third saves its figure itself."""
    charts: dict[str, str] = {}
    for index in range(number):
        pick = random.Random(index)
        maker = MAKERS[index % len(MAKERS)]
        code = START + maker(pick)
        ending = pick.choice(["", "plt.savefig('chart.pdf')", "plt.show()"])
        charts[f"{maker.__name__.strip('_')}-{index}"] = f"{code}\n{ending}\n"
    return charts
