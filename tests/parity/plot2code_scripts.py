"""Pairs of scripts for the parity of Plot2Code's text score: reference and answer, by name.

An answer is mostly its reference with a few replacements. Each pair is about one thing that the
rule looks at: where a text is, whether it is visible, which of several it takes.
"""

from __future__ import annotations

from collections.abc import Mapping

PLT = "import matplotlib.pyplot as plt\nimport numpy as np\n"

LINES = f"""{PLT}
fig, ax = plt.subplots(figsize=(6, 4))
x = np.linspace(0, 10, 50)
ax.plot(x, np.sin(x), label="Sine")
ax.plot(x, np.cos(x), label="Cosine")
ax.set_title("  Two Waves ")
ax.set_xlabel("Time (s)")
ax.set_ylabel("Amplitude")
ax.legend()
plt.savefig("lines.png")
plt.show()
"""

BARS = f"""{PLT}
names = ["ash", "birch", "cedar", "dogwood"]
fig, ax = plt.subplots()
bars = ax.bar(names, [12, 7, 31, 18])
ax.bar_label(bars, fmt="%d m")
ax.set_ylabel("height")
fig.suptitle("Trees of the park")
"""

GRID = f"""{PLT}
fig, axes = plt.subplots(2, 2, sharex=True, sharey=True, layout="constrained")
for number, ax in enumerate(axes.flat):
    ax.scatter(np.arange(20), np.random.rand(20) * 4)
    ax.set_title(f"Part {{number}}")
    ax.label_outer()
fig.supxlabel("common x")
fig.supylabel("common y")
"""

YEARS = f"""{PLT}
years = np.arange(1990, 2021)
plt.plot(years, np.log(years - 1980))
plt.annotate("crisis", (2008, 3.3), xytext=(1995, 3.5), arrowprops={{"arrowstyle": "->"}})
plt.text(2000, 2.6, "Turn of the century")
plt.xlabel("year")
"""

COPIES = f"""{PLT}
ax = plt.figure(figsize=(5, 5)).add_axes([0, 0, 1, 1])
ax.set(xlim=(-10, 90), ylim=(-10, 90))
ax.axis("off")
PLACES = [(0, 0), (20, 0), (60, 60)]
for x, y in PLACES:
    ax.text(x, y, "Node")
"""

DATES = f"""{PLT}
from datetime import datetime, timedelta
start = datetime(2024, 3, 1)
days = [start + timedelta(days=7 * n) for n in range(12)]
fig, ax = plt.subplots()
ax.plot(days, np.arange(12) ** 2)
ax.text(days[4], 80, "in April")
ax.text(start, 20, "start", transform=ax.get_xaxis_transform(), clip_on=True)
fig.autofmt_xdate()
"""

HEATMAP = f"""{PLT}
table = np.random.RandomState(3).randint(0, 5, (6, 7))
fig, ax = plt.subplots()
shown = ax.imshow(table, cmap="viridis")
for row in range(6):
    for column in range(7):
        ax.text(column, row, table[row, column], ha="center", color="w")
ax.set_xticks(range(7), labels=list("ABCDEFG"), rotation=45)
fig.colorbar(shown, label="Count")
"""

THREE_D = f"""{PLT}
fig, ax = plt.subplots(subplot_kw={{"projection": "3d"}})
x, y = np.meshgrid(np.linspace(-2, 2, 20), np.linspace(-2, 2, 20))
ax.plot_surface(x, y, np.exp(-x**2 - y**2), cmap="magma")
ax.set(xlabel="East", ylabel="North", zlabel="Up", title="A hill")
ax.text(1, 1, 0.5, "slope")
"""

POLAR = f"""{PLT}
labels = ["speed", "range", "price", "noise", "weight"]
angles = np.linspace(0, 2 * np.pi, 5, endpoint=False)
ax = plt.subplot(projection="polar")
ax.fill(angles, [3, 4, 2, 5, 1], alpha=0.4)
ax.set_xticks(angles, labels)
ax.set_rlabel_position(30)
plt.title("Radar", pad=20)
"""

PIE = f"""{PLT}
plt.figure(figsize=(7, 4))
plt.pie([40, 30, 20, 10], labels=["North", "South", "East", "West"], autopct="%1.1f%%")
plt.legend(title="Sides", loc="center left", bbox_to_anchor=(1, 0.5))
"""

LOGARITHMIC = f"""{PLT}
x = np.logspace(0, 4, 30)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.loglog(x, x**1.5)
left.set_title(r"$y = x^{{3/2}}$")
right.semilogx(x, np.log(x))
right.set_xlabel("x\\nin two lines")
fig.tight_layout()
"""

TWINS = f"""{PLT}
fig, left = plt.subplots()
left.plot([0, 1, 2], [1, 3, 2], "r-", label="rain")
right = left.twinx()
right.bar([0, 1, 2], [20, 22, 25], alpha=0.3, label="warmth")
left.set_ylabel("mm")
right.set_ylabel("°C")
below = left.secondary_xaxis("top", functions=(lambda v: v * 12, lambda v: v / 12))
below.set_xlabel("months")
inner = left.inset_axes([0.6, 0.6, 0.3, 0.3])
inner.set_title("Détail")
fig.legend(loc="upper left")
"""

STYLED = f"""{PLT}
plt.style.use("ggplot")
plt.rcParams.update({{"font.size": 20, "xtick.labelsize": 26, "figure.figsize": (5, 3)}})
fig, ax = plt.subplots(layout="tight")
ax.plot(np.arange(41), np.arange(41) * 0.37)
ax.set_title("Big letters")
"""

TABLE = f"""{PLT}
from matplotlib.offsetbox import AnchoredText
fig, ax = plt.subplots()
ax.axis("off")
ax.table([["1", "2"], ["3", "4"]], colLabels=["Left", "Right"], rowLabels=["a", "b"], loc="center")
ax.add_artist(AnchoredText("Note", loc="upper right"))
"""

AXISARTIST = f"""{PLT}
from mpl_toolkits.axisartist.axislines import AxesZero
ax = plt.figure().add_subplot(axes_class=AxesZero)
ax.plot([1, 4, 2])
ax.set_xlabel("Lower")
ax.axis["right"].set_visible(False)
ax.axis["xzero"].set_visible(True)
"""

SUBFIGURES = f"""{PLT}
fig = plt.figure(layout="constrained", figsize=(8, 4))
left, right = fig.subfigures(1, 2, width_ratios=[2, 1])
left.suptitle("Left part")
left.subplots(1, 2)[0].set_title("One")
right.subplots().set_xlabel("Below")
right.text(0.5, 0.5, "Over all")
"""

SEVERAL = f"""{PLT}
plt.figure("first", figsize=(4, 4))
plt.title("First")
shared = plt.gca()
plt.figure("second")
plt.subplot(sharex=shared)
plt.title("Second")
plt.plot([1, 20])
"""

EMPTY = f"""{PLT}
plt.imshow(np.eye(4))
plt.axis("off")
"""

SAVED = f"""{PLT}
plt.rcParams["savefig.bbox"] = "tight"
plt.rcParams["savefig.dpi"] = 220
fig, ax = plt.subplots(dpi=60)
ax.set_xlabel("Far below", labelpad=60)
ax.set_ylabel("Left")
plt.savefig("first.pdf")
plt.savefig("second.svg")
"""

ANIMATED = f"""{PLT}
from matplotlib.animation import FuncAnimation
fig, ax = plt.subplots()
line, = ax.plot([0, 1], [0, 1])
title = ax.set_title("waiting")
def update(frame):
    title.set_text(f"Frame {{frame}}")
    return line, title
animation = FuncAnimation(fig, update, frames=5)
"""

FORMATTED = f"""{PLT}
from matplotlib.ticker import FuncFormatter, MultipleLocator
seen = []
def remembered(value, position):
    seen.append(value)
    return f"call {{len(seen)}}"
fig, ax = plt.subplots()
ax.plot([0, 3], [0, 3])
ax.xaxis.set_major_formatter(FuncFormatter(remembered))
ax.yaxis.set_minor_locator(MultipleLocator(0.25))
ax.yaxis.set_minor_formatter("{{x:.2f}}")
"""

PANDAS = f"""{PLT}
import pandas as pd
table = pd.DataFrame({{"day": [1, 2, 3, 4], "sales": [5, 9, 2, 7], "costs": [4, 4, 5, 3]}})
table.plot.barh(x="day", title="A week", figsize=(5, 4))
plt.tight_layout()
"""

RANDOM = f"""{PLT}
import random
rng = np.random.default_rng()
plt.hist(rng.normal(size=300), bins=12)
plt.title(f"{{random.random():.3f}} {{np.random.rand():.3f}} {{rng.random():.3f}}")
"""


def changed(script: str, *replacements: tuple[str, str]) -> str:
    """A script with something else in it."""
    for before, after in replacements:
        assert before in script, before
        script = script.replace(before, after)
    return script


PAIRS: Mapping[str, tuple[str, str]] = {
    "the same": (LINES, LINES),
    "case and blanks": (LINES, changed(LINES, ('"  Two Waves "', '"TWO waves\\n"'))),
    "one title differs": (LINES, changed(LINES, ("Two Waves", "Two Weaves"))),
    "another size": (LINES, changed(LINES, ("figsize=(6, 4)", "figsize=(12, 5)"))),
    "another resolution": (LINES, changed(LINES, ("(6, 4)", "(6, 4), dpi=300"))),
    "no legend": (LINES, changed(LINES, ("ax.legend()", ""))),
    "legend outside": (
        LINES,
        changed(LINES, ("ax.legend()", "ax.legend(loc='upper left', bbox_to_anchor=(1, 1))")),
    ),
    "ticks removed": (LINES, changed(LINES, ("ax.legend()", "ax.set_xticks([])"))),
    "axes not visible": (
        LINES,
        changed(LINES, ("ax.legend()", "ax.set_visible(False); fig.text(0.5, 0.5, 'alone')")),
    ),
    "axis switched off": (LINES, changed(LINES, ("ax.legend()", "ax.axis('off')"))),
    "another order of bars": (
        BARS,
        changed(BARS, ('"ash", "birch"', '"birch", "ash"'), ("12, 7", "7, 12")),
    ),
    "labels not visible": (BARS, changed(BARS, ('"%d m"', '"%d m", visible=False'))),
    "lying bars": (BARS, changed(BARS, ("ax.bar(", "ax.barh("), ("set_ylabel", "set_xlabel"))),
    "a grid of axes": (GRID, changed(GRID, ("2, 2,", "1, 4,"), ("common x", "Common X"))),
    "layout by hand": (GRID, changed(GRID, (', layout="constrained"', ""))),
    "data near and far": (YEARS, changed(YEARS, ("(1995,", "(1900,"), ("(2000,", "(2021,"))),
    "data of another figure": (YEARS, changed(YEARS, ("plt.plot(y", "plt.figure(figsize=(7, 5));"
                                                       " plt.plot(y"))),
    "one copy less": (COPIES, changed(COPIES, ("(0, 0), ", ""))),
    "greedy loses a copy": (COPIES, changed(COPIES, ("(0, 0), (20, 0)", "(10, 0), (-15, 0)"))),
    "copies the other way round": (COPIES, changed(COPIES, ("in PLACES", "in PLACES[::-1]"))),
    "just near enough": (COPIES, changed(COPIES, ("(60, 60)", "(60, 82.314)"))),
    "just far enough": (COPIES, changed(COPIES, ("(60, 60)", "(60, 82.315)"))),
    "no number as a place": (COPIES, changed(COPIES, ("in PLACES", "in [*PLACES, (np.nan, 1)]"))),
    "dates": (DATES, DATES),
    "dates of the week": (DATES, changed(DATES, ("days=7", "days=8"))),
    "heat map": (HEATMAP, changed(HEATMAP, ("RandomState(3)", "RandomState(4)"))),
    "3d": (THREE_D, changed(THREE_D, ("(1, 1, 0.5,", "(0, 1, 0.8,"), ("North", "South"))),
    "polar": (POLAR, changed(POLAR, ('"noise", "weight"', '"weight", "noise"'))),
    "pie": (PIE, changed(PIE, ("40, 30,", "30, 40,"), ("%1.1f", "%1.0f"))),
    "logarithmic": (LOGARITHMIC, changed(LOGARITHMIC, ("0, 4, 30", "0, 5, 30"))),
    "twins": (TWINS, changed(TWINS, ("rain", "Rain "), ("[0.6, 0.6,", "[0.1, 0.1,"))),
    "defaults restored before reading": (STYLED, changed(STYLED, ('"font.size": 20', '"font.size"'
                                                                  ': 9'), ("26", "8"))),
    "table": (TABLE, changed(TABLE, ('loc="center")', 'loc="top")'), ('"3"', '"5"'))),
    "texts that say what others say": (AXISARTIST, changed(AXISARTIST, ("[1, 4, 2]", "[1, 9]"))),
    "subfigures": (SUBFIGURES, changed(SUBFIGURES, ("[2, 1]", "[1, 2]"))),
    "the last of two figures": (SEVERAL, changed(SEVERAL, ("[1, 20]", "[1, 21]"))),
    "the first of two figures": (SEVERAL, SEVERAL + 'plt.figure("first")\n'),
    "no text on either side": (EMPTY, EMPTY),
    "no text on one side": (EMPTY, changed(EMPTY, ('plt.axis("off")', ""))),
    "settings of the saving": (SAVED, changed(SAVED, ("labelpad=60", "labelpad=70"))),
    "first frame": (ANIMATED, changed(ANIMATED, ("waiting", "ready"))),
    "labels that count their calls": (FORMATTED, changed(FORMATTED, ("[0, 3]", "[0, 4]"))),
    "pandas": (PANDAS, changed(PANDAS, ("barh", "bar"))),
    "no seed": (RANDOM, RANDOM),
    "closed at the end": (LINES, LINES + "plt.close()\n"),
    "error at the end": (LINES, LINES + "1 / 0\n"),
    "exit at the end": (LINES, LINES + "exit()\n"),
}  # fmt: skip
