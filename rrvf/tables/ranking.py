"""The best and second best of some rows, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from rrvf.tables.published import PublishedTable

Mark = Literal["", "best", "second"]


def marks(
    rows: Sequence[Mapping[str, Decimal | None]], keys: Sequence[str]
) -> list[dict[str, Mark]]:
    """For each row its marked columns; equal figures share a mark, a single row has none.

    Args:
        rows: Metric -> figure as shown, ``None`` where there is none.
        keys: The columns to rank, more being better.
    """
    marks_by_row: list[dict[str, Mark]] = [{} for _ in rows]
    for key in keys:
        figures = [figure for row in rows if (figure := row.get(key)) is not None]
        order = sorted(set(figures), reverse=True)
        names: list[Mark] = ["best", "second"]
        mark = dict(zip(order, names, strict=False)) if len(figures) > 1 else {}
        for row, row_marks in zip(rows, marks_by_row, strict=True):
            figure = row.get(key)
            if figure is not None and figure in mark:
                row_marks[key] = mark[figure]
    return marks_by_row


def published_marks(table: PublishedTable) -> list[dict[str, Mark]]:
    """For each published row its marked columns: among open models below 10 B parameters."""
    keys = [column.key for column in table.columns if column.primary]
    ranked_rows = [row for row in table.rows if row.ranked]
    row_marks = marks([{key: figure(row.cells[key]) for key in keys} for row in ranked_rows], keys)
    by_row = dict(zip([id(row) for row in ranked_rows], row_marks, strict=True))
    kinds = ("best", "second") if table.marks_second else ("best",)
    return [
        {key: mark for key, mark in by_row.get(id(row), {}).items() if mark in kinds}
        for row in table.rows
    ]


def figure(cell: str) -> Decimal | None:
    """The number in a printed cell; ``None`` in a dash."""
    text = cell.removesuffix("*")
    return None if text in ("", "-") else Decimal(text)
