"""The published tables as printed: every cell is the string in the RRVF README.

The files are in ``results/paper``, see :func:`rrvf.project_files.find_results`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rrvf import types
from rrvf.benchmarks.plot2code import RATING
from rrvf.errors import DataError
from rrvf.project_files import find_results

SMALL = 10
"""Billions of parameters below which an open model takes part in the ranking."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures.

    Attributes:
        key: Name of the metric, as in ``summary.json``.
        label: As printed.
        sub: Printed lower, behind the label.
        primary: Takes part in the ranking; others are set in italics.
        most: The highest figure there can be.
    """

    key: str
    label: str
    sub: str = ""
    primary: bool = True
    most: float = 100.0


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a published table.

    Attributes:
        group: Heading or part of the table that it stands in.
        kind: ``model``, or ``delta``: the difference to another row.
        date: ``2024/11``, or empty.
        model: Its name, verbatim.
        cells: Metric -> the printed string.
        size: Billions of parameters, ``None`` for closed models and differences.
        bold, underline: Metrics printed so, and ``model`` for the name.
        source: Where the row stands.
    """

    group: str
    kind: str
    date: str
    model: str
    cells: Mapping[str, str]
    size: float | None
    bold: frozenset[str]
    underline: frozenset[str]
    source: str

    @property
    def label(self) -> str:
        """The first cell: date and name."""
        return f"({self.date}) {self.model}" if self.date else self.model

    @property
    def ranked(self) -> bool:
        """An open model that is small enough."""
        return self.kind == "model" and self.size is not None and self.size < SMALL


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of the RRVF README.

    Attributes:
        n_samples: Items that the figures imply, ``None`` where they do not tell.
        marks_second: The second-best figures are underlined.
    """

    benchmark: str
    title: str
    columns: tuple[Column, ...]
    n_samples: int | None
    marks_second: bool = True
    rows: tuple[PublishedRow, ...] = ()


_TABLES = {
    "chartmimic": PublishedTable(
        "chartmimic",
        "Results on the ChartMimic test set",
        (
            Column("exec_rate", "Exec rate"),
            Column("text", "Text"),
            Column("layout", "Layout"),
            Column("type", "Type"),
            Column("color", "Color"),
            Column("gpt", "GPT-4o score"),
            Column("overall", "Overall"),
        ),
        n_samples=600,
    ),
    "plot2code": PublishedTable(
        "plot2code",
        "Results on Plot2Code (Zero-Shot)",
        (
            Column("exec_rate", "Exec Rate"),
            Column("text", "Text"),
            Column("gpt", "GPT-4o Score", most=RATING),
            Column("text_pass", "Text", "pass", primary=False),
            Column("gpt_pass", "GPT-4o Score", "pass", primary=False, most=RATING),
        ),
        n_samples=132,
    ),
    "websight": PublishedTable(
        "websight",
        "Results on the WebSight test set",
        (Column("clip", "CLIP Score"), Column("gpt", "GPT Score")),
        n_samples=None,
        marks_second=False,
    ),
}

BENCHMARKS = tuple(_TABLES)


def read_published(benchmark: str) -> PublishedTable:
    """The table of a benchmark with its rows.

    Raises:
        DataError: There is no such table.
    """
    if benchmark not in _TABLES:
        raise DataError(f"no table of {benchmark!r}; there are {', '.join(_TABLES)}")
    table = _TABLES[benchmark]
    text = (find_results() / "paper" / f"{benchmark}.csv").read_text(encoding="utf-8")
    rows = tuple(_row(entry, table) for entry in csv.DictReader(text.splitlines()))
    return replace(table, rows=rows)


def table_of(benchmark: str, title: str, columns: Sequence[types.Column]) -> PublishedTable:
    """The table of a benchmark, without rows where none are published.

    Args:
        benchmark: Its name.
        title: For a person.
        columns: Of its runs.
    """
    if benchmark in _TABLES:
        return read_published(benchmark)
    heads = tuple(Column(column.key, column.title, most=column.scale) for column in columns)
    return PublishedTable(benchmark, f"Results on {title}", heads, None)


def _row(entry: Mapping[str, str], table: PublishedTable) -> PublishedRow:
    return PublishedRow(
        group=entry["group"],
        kind=entry["kind"],
        date=entry["date"],
        model=entry["model"],
        cells={column.key: entry[column.key] for column in table.columns},
        size=_size(entry["size_b"]),
        bold=frozenset(entry["printed_bold"].split()),
        underline=frozenset(entry["printed_underline"].split()),
        source=entry["source"],
    )


def _size(text: str) -> float | None:
    """``8x7``, a mixture of eight experts, counts as 56."""
    if not text:
        return None
    size = 1.0
    for factor in text.split("x"):
        size *= float(factor)
    return size
