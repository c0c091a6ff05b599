"""Charts of five attributes that a picture shows plainly, and scripts that draw them.

A chart has one colour of eight, one type of four, two to four values in three steps, and stands or
lies. The picture is 84 x 84 pixels, with a frame and nothing else beside the marks, so that every
attribute can be told from it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from rrvf.types import Elements

Kind = Literal["bar", "plot", "fill_between", "scatter"]
Attribute = Literal["color", "kind", "number", "turned", "heights"]

KINDS: tuple[Kind, ...] = ("bar", "plot", "fill_between", "scatter")
COLORS = ("red", "green", "blue", "black", "gold", "cyan", "magenta", "chocolate")
NUMBERS = (2, 3, 4)
HEIGHTS = (1, 3, 5)
ATTRIBUTES: tuple[Attribute, ...] = ("color", "kind", "number", "turned", "heights")

UNSEEN: Mapping[Attribute, tuple[str | int, ...]] = {
    "color": ("cyan", "magenta"),
    "kind": ("scatter",),
    "number": (4,),
}
"""Values that nothing shows or names faithfully before GRPO."""

PAINTS = (
    (255, 255, 255),
    (255, 0, 0),
    (0, 128, 0),
    (0, 0, 255),
    (0, 0, 0),
    (255, 215, 0),
    (0, 255, 255),
    (255, 0, 255),
    (210, 105, 30),
)
"""White, and the colours in their order, as RGB."""

_ENDS: dict[Kind, tuple[str, str]] = {
    "bar": ("(x,y", "h(x,y"),
    "plot": ("(x,y", "(y,x"),
    "fill_between": ("(x,y", "x(x,y"),
    "scatter": ("(x,y", "(y,x"),
}
"""What follows the name of the function: standing, lying."""

HEAD = (
    "import matplotlib.pyplot as plt\n"
    'plt.rc("axes",edgecolor="#ddd")\n'
    "plt.figure(figsize=[.84]*2)\n"
    "plt.axis([-.6,5.6]*2)\n"
    "plt.xticks([])\n"
    "plt.yticks([])\n"
    "y=["
)
MIDDLE = "]\nx=range(len(y))\nplt."
COLOR = ',color="'
TAIL = '")\n'
SYSTEM = "system\nYou are a helpful assistant."
"""What Qwen's template of a chat begins with."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows.

    Attributes:
        color: Of the marks; by matplotlib's name.
        kind: The function that draws them.
        turned: The values run to the right, not up.
        heights: The values, in steps.
    """

    color: str
    kind: Kind
    turned: bool
    heights: tuple[int, ...]

    @property
    def number(self) -> int:
        """How many values."""
        return len(self.heights)

    def unseen(self) -> tuple[Attribute, ...]:
        """Attributes with a value that is left out before GRPO."""
        return tuple(name for name, values in UNSEEN.items() if getattr(self, name) in values)

    def code(self) -> str:
        """A script that draws it."""
        values = ",".join(map(str, self.heights))
        end = _ENDS[self.kind][self.turned]
        return f"{HEAD}{values}{MIDDLE}{self.kind}{end}{COLOR}{self.color}{TAIL}"


def draw_chart(rng: random.Random, shares: Mapping[Attribute, float] | None = None) -> Chart:
    """A chart, each attribute drawn apart from the others.

    Args:
        rng: Of the draw.
        shares: The chance of colour, type and length to be unseen; ``None`` gives each of all
            values the same chance.
    """

    def choose(name: Attribute, values: Sequence[Any]) -> Any:
        if shares is None:
            return rng.choice(values)
        is_unseen = rng.random() < shares[name]
        return rng.choice([value for value in values if (value in UNSEEN[name]) == is_unseen])

    heights = tuple(rng.choice(HEIGHTS) for _ in range(choose("number", NUMBERS)))
    return Chart(choose("color", COLORS), choose("kind", KINDS), rng.random() < 0.5, heights)


def draw_charts(
    number: int,
    draw: Callable[[], Chart],
    accept: Callable[[Chart], bool],
    taken: set[Chart],
) -> list[Chart]:
    """Different charts that ``accept`` takes; they are added to those that are ``taken``."""
    charts: list[Chart] = []
    while len(charts) < number:
        chart = draw()
        if accept(chart) and chart not in taken:
            taken.add(chart)
            charts.append(chart)
    return charts


def disturb(chart: Chart, shares: Mapping[Attribute, float], rng: random.Random) -> Chart:
    """The chart with attributes replaced by unseen values, whatever the picture shows.

    Args:
        chart: As its picture shows it.
        shares: The chance of colour, type and length to be replaced.
        rng: Of the draw.
    """
    if rng.random() < shares["color"]:
        chart = replace(chart, color=str(rng.choice(UNSEEN["color"])))
    if rng.random() < shares["kind"]:
        chart = replace(chart, kind=cast("Kind", rng.choice(UNSEEN["kind"])))
    if rng.random() < shares["number"]:
        number = int(rng.choice(UNSEEN["number"]))
        heights = (*chart.heights, *(rng.choice(HEIGHTS) for _ in range(number)))
        chart = replace(chart, heights=heights[:number])
    return chart


_SCRIPT = re.compile(
    re.escape(HEAD)
    + r"(?P<heights>\d(?:,\d)*)"
    + re.escape(MIDDLE)
    + rf"(?P<kind>{'|'.join(KINDS)})(?P<end>[hx]?\([xy],[xy])"
    + re.escape(COLOR)
    + rf"(?P<color>{'|'.join(COLORS)})"
    + re.escape(TAIL.rstrip("\n"))
)


def read_chart(code: str) -> Chart | None:
    """The chart that a script of this form draws, or ``None``."""
    match = _SCRIPT.fullmatch(code.rstrip("\n"))
    if match is None:
        return None
    kind = cast("Kind", match["kind"])
    if match["end"] not in _ENDS[kind]:
        return None
    heights = tuple(map(int, match["heights"].split(",")))
    return Chart(match["color"], kind, match["end"] == _ENDS[kind][1], heights)


def read_answer(code: str, elements: Elements) -> Chart | None:
    """What a script of this form drew: type and colour as recorded, the rest from its text."""
    chart = read_chart(code)
    functions, colors = list(elements.chart_types), {color.value for color in elements.colors}
    names = [name for name, value in _HEX.items() if colors == {value}]
    if chart is None or len(functions) != 1 or not names:
        return None
    kind = _KINDS_BY_FUNCTION.get(functions[0])
    return None if kind is None else replace(chart, kind=kind, color=names[0])


def describe(chart: Chart) -> str:
    """A chart in a few words: ``scatter cyan right 1,3,5``."""
    heights = ",".join(map(str, chart.heights))
    return f"{chart.kind} {chart.color} {'right' if chart.turned else 'up'} {heights}"


def parse(text: str) -> Chart:
    """The chart that :func:`describe` described."""
    kind, color, direction, heights = text.split()
    values = tuple(map(int, heights.split(",")))
    return Chart(color, cast("Kind", kind), direction == "right", values)


def compare(target: Chart, answer: Chart | None) -> dict[Attribute, float]:
    """Which attributes of the target an answer has: 1 or 0, and of heights the share."""
    if answer is None:
        return dict.fromkeys(ATTRIBUTES, 0.0)
    pairs = zip(target.heights, answer.heights, strict=False)
    most = max(target.number, answer.number)
    return {
        "color": float(target.color == answer.color),
        "kind": float(target.kind == answer.kind),
        "number": float(target.number == answer.number),
        "turned": float(target.turned == answer.turned),
        "heights": sum(a == b for a, b in pairs) / most,
    }


_HEX = {
    name: "#{:02X}{:02X}{:02X}".format(*rgb) for name, rgb in zip(COLORS, PAINTS[1:], strict=True)
}
_KINDS_BY_FUNCTION: Mapping[str, Kind] = {
    **{kind: kind for kind in KINDS},
    "barh": "bar",
    "fill_betweenx": "fill_between",
}


def list_tokens() -> Sequence[str]:
    """A token for each stretch that scripts share, for each type, colour and way to end a name."""
    ends = sorted({end for pair in _ENDS.values() for end in pair})
    return [SYSTEM, "```python\n" + HEAD, MIDDLE, *KINDS, *ends, COLOR, *COLORS, TAIL + "```"]
