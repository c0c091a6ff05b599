"""Synthetic charts: matplotlib scripts generated from a seed, at five levels of difficulty.

The same seed and level give the same script, byte for byte, on any machine: the only source of
randomness is :class:`random.Random`, and numbers are made without the machine's mathematical
functions. The levels:

1. One series in one colour, a title.
2. Labelled axes, more kinds, more points.
3. Several series with a legend, colour maps, sometimes a theme.
4. More series, more kinds (radar, stacked areas, twin axes), values and notes in the drawing.
5. Two to four such panels in one figure.

:func:`synthetic_tiny` is a separate family: a few coloured bars without text in a picture of
84 x 84 pixels, by a script of 36 to 40 tokens of a small BPE in Qwen's form, for models
of about a million parameters.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rrvf.types import Sample
from training.synthetic_words import NOTES, TITLE_FORMS, TOPICS, Topic

LEVELS = (1, 2, 3, 4, 5)

VERSION = 1
"""Of charts and pages together; raise it when a seed no longer gives what it gave before."""

TINY_COLORS = "rgbcmy"
TINY_BARS = (3, 4)
TINY_HEIGHT = 9
"""Of the tallest bar, which fills the picture; the others are 1 to 9."""

_PALETTES = (
    ("steelblue", "darkorange", "seagreen", "firebrick", "mediumpurple", "goldenrod", "teal"),
    ("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51", "#6d597a", "#355070"),
    ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2"),
    ("navy", "crimson", "olive", "orchid", "slategray", "chocolate", "darkcyan"),
    ("#003f5c", "#bc5090", "#ffa600", "#58508d", "#ff6361", "#7a9e7e", "#444e86"),
    ("skyblue", "salmon", "lightgreen", "plum", "khaki", "lightcoral", "turquoise"),
)
_THEMES = ("ggplot", "bmh", "seaborn-v0_8-whitegrid", "seaborn-v0_8-darkgrid", "fivethirtyeight")
_COLOR_MAPS = ("viridis", "plasma", "Blues", "YlOrRd", "coolwarm", "Greens", "cividis")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":")
_HATCHES = ("/", "x", ".", "\\\\")
_SIZES = ((6, 4), (7, 5), (8, 5), (8, 6), (6, 6), (9, 5))
_SCALES = (1, 5, 10, 50)

_POINTS: Mapping[int, tuple[int, int]] = {1: (3, 5), 2: (4, 7), 3: (4, 6), 4: (5, 7), 5: (4, 6)}
_SERIES: Mapping[int, tuple[int, int]] = {1: (1, 1), 2: (1, 1), 3: (2, 3), 4: (3, 4), 5: (2, 4)}

_SETTERS = frozenset(("title", "xlabel", "ylabel", "xticks", "yticks", "xlim", "ylim"))


def synthetic_chart(seed: int, level: int) -> Sample:
    """A chart.

    Args:
        seed: Any whole number.
        level: 1 to 5.

    Returns:
        The id is ``chart-<level>-<seed>``, the reference a script. Tags: ``category``, the kind
        of chart or ``panels``, and ``level``.

    Raises:
        ValueError: There is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level} is none of {LEVELS}")
    sheet = _Sheet(random.Random(f"chart:{level}:{seed}"), level)
    category = _panels(sheet) if level == max(LEVELS) else _single(sheet)
    code = "\n".join([*sheet.head(), "", *sheet.lines]) + "\n"
    tags = {"category": category, "level": str(level)}
    return Sample(f"chart-{level}-{seed}", code, tags=tags)


def synthetic_tiny(seed: int) -> Sample:
    """Three or four coloured bars on white, 84 x 84 pixels, no text; millions of different ones.

    Args:
        seed: Any whole number. Two seeds may give the same chart.

    Returns:
        The id is ``tiny-<seed>``. Tags: ``category``, which is ``tiny``, and ``level``: 0.
    """
    rng = random.Random(f"tiny:{seed}")
    number = rng.choice(TINY_BARS)
    heights = [rng.randint(1, TINY_HEIGHT) for _ in range(number)]
    # Axes end at the tallest bar: [1, 2] and [2, 4] would be the same picture.
    heights[rng.randrange(number)] = TINY_HEIGHT
    colors = "".join(rng.choice(TINY_COLORS) for _ in heights)
    digits = ",".join(map(str, heights))
    code = (
        "import matplotlib.pyplot as plt\n"
        "plt.figure(figsize=[.84]*2)\n"
        'plt.axis("off")\n'
        f'plt.bar(range({number}),[{digits}],color=[*"{colors}"])\n'
    )
    return Sample(f"tiny-{seed}", code, tags={"category": "tiny", "level": "0"})


# ------------------------------------------------------------------------------- the script


@dataclass
class _Sheet:
    """A script being written; what it draws on now is called ``name``."""

    rng: random.Random
    level: int
    name: str = "plt"
    numpy: bool = False
    theme: str | None = None
    lines: list[str] = field(default_factory=list[str])
    topic: Topic = TOPICS[0]
    colors: Sequence[str] = ()
    scale: int = 1

    def head(self) -> list[str]:
        """Imports and the theme, once it is known what is needed."""
        lines = ["import matplotlib.pyplot as plt"]
        if self.numpy:
            lines.append("import numpy as np")
        if self.theme is not None:
            lines += ["", f"plt.style.use({_literal(self.theme)})"]
        return lines

    def turn_to(self, name: str) -> None:
        """Draw on other axes, about something else, in other colours."""
        self.name = name
        self.topic = self.rng.choice(TOPICS)
        palette = self.rng.choice(_PALETTES)
        self.colors = self.rng.sample(palette, len(palette))

    def set(self, name: str, value: object) -> None:
        """An assignment."""
        self.lines.append(f"{name} = {_literal(value)}")

    def set_rows(self, name: str, rows: Sequence[Sequence[float]]) -> None:
        """An assignment of lists, a line for each."""
        self.lines += [f"{name} = [", *(f"    {_literal(row)}," for row in rows), "]"]

    def call(self, function: str, *arguments: str, **options: str) -> None:
        """A call on the axes; arguments are code."""
        prefix = "set_" if self.name != "plt" and function in _SETTERS else ""
        parts = [*arguments, *(f"{name}={value}" for name, value in options.items())]
        self.lines.append(f"{self.name}.{prefix}{function}({', '.join(parts)})")

    def likely(self, chance: float) -> bool:
        """A coin."""
        return self.rng.random() < chance

    # ---------------------------------------------------------------------- what is drawn

    def n_points(self) -> int:
        """How many points or categories."""
        return self.rng.randint(*_POINTS[self.level])

    def n_series(self) -> int:
        """How many series, no more than the topic names."""
        return min(self.rng.randint(*_SERIES[self.level]), len(self.topic.series))

    def categories(self, number: int) -> list[str]:
        """Names of categories, in the topic's order."""
        start = self.rng.randint(0, max(0, len(self.topic.categories) - number))
        return list(self.topic.categories[start : start + number])

    def series(self, number: int) -> list[str]:
        """Names of series."""
        return list(self.topic.series[:number])

    def values(self, number: int, low: int = 4, high: int = 40) -> list[float]:
        """Positive numbers, whole or with one decimal."""
        self.scale = self.rng.choice(_SCALES)
        if self.scale == 1:
            return [round(self.rng.randint(low * 10, high * 10) / 10, 1) for _ in range(number)]
        return [self.rng.randint(low, high) * self.scale for _ in range(number)]

    def table(self, rows: int, columns: int) -> list[list[float]]:
        """Rows of numbers of one scale."""
        flat = self.values(rows * columns)
        return [flat[row * columns : (row + 1) * columns] for row in range(rows)]

    def cloud(self, number: int, spread: int = 20) -> list[float]:
        """Numbers that gather around a middle: each is a sum of four draws."""
        middle = self.rng.randint(20, 80)
        sums = (sum(self.rng.randint(-spread, spread) for _ in range(4)) for _ in range(number))
        return [round(middle + total / 4, 1) for total in sums]


def _literal(value: object) -> str:
    """Strings, numbers and lists of them as Python writes them, in double quotes."""
    text = json.dumps(value)
    return f"({text[1:-1]})" if isinstance(value, tuple) else text


# --------------------------------------------------------------------------- kinds of charts


def _bar(sheet: _Sheet) -> None:
    number = sheet.n_points()
    sheet.set("labels", sheet.categories(number))
    sheet.set("values", sheet.values(number))
    options = _bar_style(sheet, number)
    if sheet.level > 1 and sheet.likely(0.3):
        sheet.call("barh", "labels", "values", **options)
        _label_axes(sheet, sheet.topic.unit, sheet.topic.groups)
        return
    sheet.call("bar", "labels", "values", **options)
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)
    if sheet.level > 2:
        sheet.lines.append("for position, value in enumerate(values):")
        where = 'position, value, str(value), ha="center", va="bottom"'
        sheet.lines.append(f"    {sheet.name}.text({where})")


def _bar_style(sheet: _Sheet, number: int) -> dict[str, str]:
    has_several = sheet.level > 1 and sheet.likely(0.5)
    color = list(sheet.colors[:number]) if has_several else sheet.colors[0]
    options = {"color": _literal(color)}
    if sheet.likely(0.3):
        options["width" if sheet.level == 1 else "alpha"] = sheet.rng.choice(("0.5", "0.6", "0.7"))
    if sheet.likely(0.3):
        options["edgecolor"] = '"black"'
    if sheet.level > 1 and sheet.likely(0.15):
        options["hatch"] = f'"{sheet.rng.choice(_HATCHES)}"'
    return options


def _lines(sheet: _Sheet) -> None:
    number, series = sheet.n_points() + 2, sheet.n_series()
    start = sheet.rng.randint(1, 9) if sheet.likely(0.5) else sheet.rng.randint(1990, 2015)
    sheet.set("x", list(range(start, start + number)))
    for name, values, color in zip(
        sheet.series(series), sheet.table(series, number), sheet.colors, strict=False
    ):
        options = {"color": _literal(color)}
        if sheet.likely(0.6):
            options["marker"] = _literal(sheet.rng.choice(_MARKERS))
        if sheet.likely(0.5):
            options["linestyle"] = _literal(sheet.rng.choice(_LINES))
        if sheet.likely(0.3):
            options["linewidth"] = sheet.rng.choice(("2", "3"))
        if series > 1:
            options["label"] = _literal(name)
        sheet.call("plot", "x", _literal(values), **options)
    _label_axes(sheet, "Year" if start > 100 else "Day", sheet.topic.unit)
    _legend(sheet, series)


def _scatter(sheet: _Sheet) -> None:
    series = sheet.n_series()
    number = 4 * sheet.n_points()
    for name, color in zip(sheet.series(series), sheet.colors, strict=False):
        sheet.set("x", sheet.cloud(number))
        sheet.set("y", sheet.cloud(number))
        options = {"color": _literal(color), "s": str(sheet.rng.choice((20, 40, 60, 90)))}
        if sheet.likely(0.5):
            options["marker"] = _literal(sheet.rng.choice(_MARKERS))
        if sheet.likely(0.4):
            options["alpha"] = sheet.rng.choice(("0.5", "0.7"))
        if series > 1:
            options["label"] = _literal(name)
        sheet.call("scatter", "x", "y", **options)
    _label_axes(sheet, f"{sheet.topic.subject} before", f"{sheet.topic.subject} after")
    _legend(sheet, series)


def _pie(sheet: _Sheet) -> None:
    number = sheet.n_points()
    sheet.set("labels", sheet.categories(number))
    sheet.set("sizes", [sheet.rng.randint(5, 40) for _ in range(number)])
    options = {"labels": "labels", "colors": _literal(list(sheet.colors[:number]))}
    if sheet.level > 1 or sheet.likely(0.3):
        options["autopct"] = sheet.rng.choice(('"%1.1f%%"', '"%d%%"'))
    if sheet.likely(0.4):
        options["startangle"] = sheet.rng.choice(("45", "90", "180"))
    if sheet.level > 1 and sheet.likely(0.4):
        options["wedgeprops"] = '{"width": 0.4}'
    sheet.call("pie", "sizes", **options)


def _histogram(sheet: _Sheet) -> None:
    sheet.set("values", sheet.cloud(10 * sheet.n_points()))
    bins = str(sheet.rng.randint(5, 12))
    sheet.call("hist", "values", bins=bins, color=_literal(sheet.colors[0]), edgecolor='"white"')
    _label_axes(sheet, f"{sheet.topic.subject} ({sheet.topic.unit})", "Count")


def _distributions(sheet: _Sheet) -> None:
    number = max(2, sheet.n_points() - 1)
    sheet.set_rows("data", [sheet.cloud(10) for _ in range(number)])
    names = _literal(sheet.categories(number))
    if sheet.level > 3 and sheet.likely(0.5):
        options = {"showmedians": "True"} if sheet.likely(0.5) else {"showmeans": "True"}
        sheet.lines.append(f"parts = {sheet.name}.violinplot(data, {_pairs(options)})")
        patches = 'parts["bodies"]'
    else:
        sheet.lines.append(f"parts = {sheet.name}.boxplot(data, patch_artist=True)")
        patches = 'parts["boxes"]'
    colors = _literal(list(sheet.colors[:number]))
    sheet.lines.append(f"for patch, color in zip({patches}, {colors}):")
    sheet.lines.append("    patch.set_facecolor(color)")
    sheet.call("xticks", _literal(list(range(1, number + 1))), names)
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)


def _grouped_bars(sheet: _Sheet) -> None:
    number, series = sheet.n_points(), sheet.n_series()
    sheet.numpy = True
    width = round(0.8 / series, 2)
    sheet.set("labels", sheet.categories(number))
    sheet.lines.append("x = np.arange(len(labels))")
    sheet.lines.append(f"width = {width}")
    rows = zip(sheet.series(series), sheet.table(series, number), sheet.colors, strict=False)
    for place, (name, values, color) in enumerate(rows):
        position = "x" if place == 0 else f"x + {place} * width" if place > 1 else "x + width"
        options = {"label": _literal(name), "color": _literal(color)}
        sheet.call("bar", position, _literal(values), "width", **options)
    sheet.call("xticks", f"x + {round(width * (series - 1) / 2, 3)}", "labels")
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)
    _legend(sheet, series)


def _stacked_bars(sheet: _Sheet) -> None:
    number, series = sheet.n_points(), sheet.n_series()
    sheet.numpy = True
    sheet.set("labels", sheet.categories(number))
    sheet.lines.append("bottom = np.zeros(len(labels))")
    for name, values, color in zip(
        sheet.series(series), sheet.table(series, number), sheet.colors, strict=False
    ):
        sheet.lines.append(f"values = np.array({_literal(values)})")
        options = {"bottom": "bottom", "label": _literal(name), "color": _literal(color)}
        sheet.call("bar", "labels", "values", **options)
        sheet.lines.append("bottom += values")
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)
    _legend(sheet, series)


def _error_bars(sheet: _Sheet) -> None:
    number, series = sheet.n_points(), sheet.n_series()
    sheet.set("labels", sheet.categories(number))
    for name, values, color in zip(
        sheet.series(series), sheet.table(series, number), sheet.colors, strict=False
    ):
        errors = [round(value * sheet.rng.randint(5, 25) / 100, 1) for value in values]
        options = {"yerr": _literal(errors), "capsize": sheet.rng.choice(("3", "5"))}
        marker = sheet.rng.choice(_MARKERS) + sheet.rng.choice(("", "-", "--"))
        options |= {"fmt": _literal(marker), "color": _literal(color), "label": _literal(name)}
        sheet.call("errorbar", "labels", _literal(values), **options)
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)
    _legend(sheet, series)


def _heatmap(sheet: _Sheet) -> None:
    columns, rows = sheet.n_points(), max(3, sheet.n_series())
    rows = min(rows, len(sheet.topic.series))
    sheet.set_rows(
        "data", [[sheet.rng.randint(0, 99) for _ in range(columns)] for _ in range(rows)]
    )
    color_map = _literal(sheet.rng.choice(_COLOR_MAPS))
    sheet.lines.append(f'image = {sheet.name}.imshow(data, cmap={color_map}, aspect="auto")')
    sheet.call("xticks", f"range({columns})", _literal(sheet.categories(columns)))
    sheet.call("yticks", f"range({rows})", _literal(sheet.series(rows)))
    beside = "" if sheet.name == "plt" else f", ax={sheet.name}"
    sheet.lines.append(f"plt.colorbar(image{beside}, label={_literal(sheet.topic.unit)})")
    if sheet.level > 3:
        sheet.lines.append("for row, numbers in enumerate(data):")
        sheet.lines.append("    for column, number in enumerate(numbers):")
        where = 'column, row, number, ha="center", va="center", color="white"'
        sheet.lines.append(f"        {sheet.name}.text({where})")


def _areas(sheet: _Sheet) -> None:
    number, series = sheet.n_points() + 2, sheet.n_series()
    sheet.set("x", list(range(1, number + 1)))
    names, rows = sheet.series(series), sheet.table(series, number)
    colors = list(sheet.colors[:series])
    if sheet.level > 3 or sheet.likely(0.5):
        sheet.set_rows("series", rows)
        sheet.call("stackplot", "x", "series", labels=_literal(names), colors=_literal(colors))
    else:
        for name, values, color in zip(names, rows, colors, strict=True):
            sheet.set("y", values)
            shade = _literal(color)
            sheet.call("plot", "x", "y", color=shade, label=_literal(name))
            sheet.call("fill_between", "x", "y", color=shade, alpha="0.3")
    _label_axes(sheet, "Week", sheet.topic.unit)
    _legend(sheet, series)


def _twin_axes(sheet: _Sheet) -> None:
    number = sheet.n_points()
    sheet.set("labels", sheet.categories(number))
    bars, lines = sheet.table(2, number)
    first, second = sheet.series(2)
    color, other_color = map(_literal, sheet.colors[:2])
    sheet.call("bar", "labels", _literal(bars), color=color, label=_literal(first))
    _label_axes(sheet, sheet.topic.groups, sheet.topic.unit)
    sheet.call("legend", loc='"upper left"')
    sheet.lines.append(f"twin = {sheet.name}.twinx()")
    marker = _literal(sheet.rng.choice(_MARKERS))
    options = f"color={other_color}, marker={marker}, label={_literal(second)}"
    sheet.lines.append(f"twin.plot(labels, {_literal(lines)}, {options})")
    sheet.lines.append(f"twin.set_ylabel({_literal(second)}, color={other_color})")
    sheet.lines.append('twin.legend(loc="upper right")')


def _radar(sheet: _Sheet) -> None:
    number, series = max(5, sheet.n_points()), sheet.n_series()
    sheet.numpy = True
    sheet.set("labels", sheet.categories(number))
    sheet.lines.append("angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False).tolist()")
    sheet.lines.append("angles += angles[:1]")
    for name, values, color in zip(
        sheet.series(series), sheet.table(series, number), sheet.colors, strict=False
    ):
        sheet.set("values", [*values, values[0]])
        sheet.call("plot", "angles", "values", color=_literal(color), label=_literal(name))
        sheet.call("fill", "angles", "values", color=_literal(color), alpha="0.2")
    sheet.call("xticks", "angles[:-1]", "labels")
    _legend(sheet, series)


def _rose(sheet: _Sheet) -> None:
    number = max(5, sheet.n_points())
    sheet.numpy = True
    sheet.set("labels", sheet.categories(number))
    sheet.set("values", sheet.values(number))
    sheet.lines.append("angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)")
    options = {"width": str(round(5 / number, 2)), "alpha": "0.8"}
    options["color"] = _literal(list(sheet.colors[:number]))
    sheet.call("bar", "angles", "values", **options)
    sheet.call("xticks", "angles", "labels")


_Kind = Callable[[_Sheet], None]

_POLAR: Mapping[str, _Kind] = {"radar": _radar, "rose": _rose}
_KINDS: Mapping[str, _Kind] = {
    "bar": _bar,
    "line": _lines,
    "scatter": _scatter,
    "pie": _pie,
    "hist": _histogram,
    "box": _distributions,
    "grouped": _grouped_bars,
    "stacked": _stacked_bars,
    "errorbar": _error_bars,
    "heatmap": _heatmap,
    "area": _areas,
    "twin": _twin_axes,
    **_POLAR,
}
_BY_LEVEL: Mapping[int, tuple[str, ...]] = {
    1: ("bar", "line", "scatter", "pie"),
    2: ("bar", "line", "scatter", "hist", "box"),
    3: ("grouped", "stacked", "line", "scatter", "errorbar", "heatmap", "area", "pie"),
    4: ("grouped", "stacked", "line", "errorbar", "heatmap", "area", "twin", "radar", "rose"),
    5: ("bar", "pie", "hist", "box", "grouped", "stacked", "line", "scatter", "heatmap", "area"),
}

# ---------------------------------------------------------------------------------- around them


def _single(sheet: _Sheet) -> str:
    """A figure with one chart; returns its kind."""
    kind = sheet.rng.choice(_BY_LEVEL[sheet.level])
    size = f"figsize={_literal(sheet.rng.choice(_SIZES))}"
    if sheet.level > 2 and sheet.likely(0.35):
        sheet.theme = sheet.rng.choice(_THEMES)
    if kind in _POLAR:
        sheet.lines.append(f'fig, ax = plt.subplots({size}, subplot_kw={{"projection": "polar"}})')
        sheet.turn_to("ax")
    elif kind == "twin" or sheet.likely(0.5):
        sheet.lines.append(f"fig, ax = plt.subplots({size})")
        sheet.turn_to("ax")
    else:
        sheet.lines.append(f"plt.figure({size})")
        sheet.turn_to("plt")
    _KINDS[kind](sheet)
    _finish(sheet, kind)
    if sheet.level > 1:
        sheet.lines.append("plt.tight_layout()")
    return kind


def _panels(sheet: _Sheet) -> str:
    """A figure with several charts."""
    rows, columns = sheet.rng.choice(((1, 2), (2, 1), (1, 3), (2, 2), (2, 2)))
    if sheet.likely(0.4):
        sheet.theme = sheet.rng.choice(_THEMES)
    size = _literal((5 * columns, 4 * rows))
    sheet.lines.append(f"fig = plt.figure(figsize={size})")
    subject = ""
    # Over two rows, the first chart may take the whole of the upper one.
    wide = (rows, columns) == (2, 2) and sheet.likely(0.4)
    places = ["(1, 2)", "3", "4"] if wide else [str(n + 1) for n in range(rows * columns)]
    for number, place in enumerate(places, start=1):
        kind = sheet.rng.choice((*_BY_LEVEL[sheet.level], "rose"))
        projection = ', projection="polar"' if kind in _POLAR else ""
        sheet.lines += ["", f"ax{number} = fig.add_subplot({rows}, {columns}, {place}{projection})"]
        sheet.turn_to(f"ax{number}")
        subject = subject or sheet.topic.subject
        _KINDS[kind](sheet)
        _finish(sheet, kind)
    sheet.lines += ["", f"fig.suptitle({_literal(f'{subject} and more')}, fontsize=16)"]
    sheet.lines.append("fig.tight_layout()")
    return "panels"


def _finish(sheet: _Sheet, kind: str) -> None:
    """What every chart may have: a title, a grid, a line across, a note, other spines."""
    topic = sheet.topic
    form = sheet.rng.choice(TITLE_FORMS)
    title = form.format(subject=topic.subject, unit=topic.unit, groups=topic.groups.lower())
    weight = {"fontweight": '"bold"'} if sheet.likely(0.25) else {}
    sheet.call("title", _literal(title), **weight)
    if kind in (*_POLAR, "pie", "heatmap"):
        return
    if sheet.level > 1 and sheet.likely(0.4):
        sheet.call("grid", "True", linestyle=_literal(sheet.rng.choice(_LINES)), alpha="0.6")
    if sheet.level > 3 and kind in ("line", "grouped", "stacked", "errorbar"):
        _add_note(sheet)
    if sheet.name != "plt" and kind != "twin" and sheet.likely(0.3):
        sheet.lines.append(f'{sheet.name}.spines[["top", "right"]].set_visible(False)')


def _add_note(sheet: _Sheet) -> None:
    """A note in a corner, and mostly a line across."""
    if sheet.likely(0.7):
        height = sheet.rng.randint(8, 32) * sheet.scale
        sheet.call("axhline", str(height), color='"gray"', linestyle='"--"')
    axes = "plt.gca()" if sheet.name == "plt" else sheet.name
    note = _literal(f"{sheet.rng.choice(NOTES)}: {sheet.rng.choice(sheet.topic.series)}")
    options = f"transform={axes}.transAxes, fontsize=9, color={_literal(sheet.colors[0])}"
    sheet.call("text", "0.03", "0.93", note, options)


def _label_axes(sheet: _Sheet, x: str, y: str) -> None:
    """Labels of the axes, from the second level on."""
    if sheet.level > 1:
        sheet.call("xlabel", _literal(x))
        sheet.call("ylabel", _literal(y))


def _legend(sheet: _Sheet, series: int) -> None:
    if series < 2:
        return
    where = sheet.rng.choice(("upper right", "upper left", "best", "lower right"))
    options = {"loc": _literal(where)}
    if sheet.likely(0.3):
        options["title"] = _literal(sheet.rng.choice(("Legend", "Key", "Series")))
    sheet.call("legend", **options)


def _pairs(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
