"""A table as text for a terminal: aligned columns that fit its width, nothing cut.

A cell that is too wide for its column goes on below, at a space. Words are never broken, so that a
very narrow terminal shows longer lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

GAP = 2
_BOLD, _UNDERLINED, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Text:
    """What a cell says, and how it is set off.

    Attributes:
        text: May hold anything; what is not printable becomes a space.
        bold, underlined: By the terminal's own means.
    """

    text: str
    bold: bool = False
    underlined: bool = False


Line = Sequence[Text]
"""A row: a cell for each column, one that stands for the whole row, or none for a rule."""


def align(head: Sequence[str], rows: Sequence[Line], width: int) -> list[str]:
    """The lines of a table; the first column to the left, figures to the right.

    Args:
        head: A label for each column.
        rows: Below it.
        width: Of the terminal, in characters.
    """
    labels = [Text(label, bold=True) for label in head]
    cells = [row for row in [labels, *rows] if len(row) == len(head)]
    columns = [[_clean(cell.text) for cell in column] for column in zip(*cells, strict=True)]
    widths = _fit(columns, width - GAP * (len(head) - 1))
    lines = [*_draw_row(labels, widths)]
    for row in [(), *rows]:
        if len(row) == len(head):
            lines += _draw_row(row, widths)
        else:
            lines += [_style(_clean(cell.text), cell) for cell in row] or [_draw_rule(widths)]
    return lines


def wrap_note(text: str, width: int) -> str:
    """A remark below a table."""
    return _wrap(f"* {_clean(text)}", width, indent="  ")


def wrap_title(text: str, width: int) -> str:
    """What stands above a table."""
    return _wrap(_clean(text), width)


def _wrap(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _clean(text: str) -> str:
    """Names come from outside: none of them may steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _fit(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is: as its longest cell, or narrower, down to its longest word.

    The first column, with the names, gives way last.
    """
    widths = [max(map(len, column)) for column in columns]
    least = [max(len(word) for cell in column for word in cell.split(" ")) for column in columns]
    while sum(widths) > room:
        spare = [(at > 0, wide, at) for at, wide in enumerate(widths) if wide > least[at]]
        if not spare:
            break
        widths[max(spare)[-1]] -= 1
    return widths


def _draw_row(row: Line, widths: Sequence[int]) -> Iterator[str]:
    """As many lines as its tallest cell has."""
    parts = [_wrap(_clean(cell.text), w).split("\n") for cell, w in zip(row, widths, strict=True)]
    for texts in zip_longest(*parts, fillvalue=""):
        places = enumerate(zip(texts, row, widths, strict=True))
        cells = [_pad(text, cell, width, left=at == 0) for at, (text, cell, width) in places]
        yield (" " * GAP).join(cells).rstrip()


def _pad(text: str, cell: Text, width: int, *, left: bool) -> str:
    gap = " " * (width - len(text))
    return _style(text, cell) + gap if left else gap + _style(text, cell)


def _style(text: str, cell: Text) -> str:
    before = _BOLD * cell.bold + _UNDERLINED * cell.underlined
    return f"{before}{text}{_PLAIN}" if before and text else text


def _draw_rule(widths: Sequence[int]) -> str:
    return "─" * (sum(widths) + GAP * (len(widths) - 1))
