"""A table before it is formatted: published rows, then measured rows.

Published and measured rows never share a ranking, because the items, prompts and versions of the
published figures are not fully known. Measured runs are ranked only within one setting; each
setting is its own group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from rrvf.bootstrap import LEVEL, RESAMPLES, SEED, Interval
from rrvf.tables.checks import check, check_marks
from rrvf.tables.measured import Measured, compare_to_published, differences
from rrvf.tables.published import Column, PublishedTable
from rrvf.tables.ranking import Mark, marks, published_marks

MISSING = "–"
"""A figure that was not measured; published tables print a hyphen."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure.

    Attributes:
        text: As printed.
        mark: Its place among the rows it is ranked with.
        italic: Of a column that is not ranked.
        interval: Of a measured figure.
    """

    text: str
    mark: Mark = ""
    italic: bool = False
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        kind: ``heading`` of a group, ``rule`` between groups, else what the row holds.
        label: The first cell.
        bold: The label is printed bold.
        cells: One a column; none in headings and rules.
        group, date, model: What the label is made of.
        note: What a reader has to know of the row.
    """

    kind: Literal["heading", "rule", "model", "delta", "measured", "loop"]
    label: str = ""
    bold: bool = False
    cells: tuple[Cell, ...] = ()
    group: str = ""
    date: str = ""
    model: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole table, with the remarks below it."""

    benchmark: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def has_intervals(self) -> bool:
        """Some figure has one."""
        return any(cell.interval for row in self.rows for cell in row.cells)


def make_sheet(table: PublishedTable, runs: Sequence[Measured] = ()) -> Sheet:
    """The published table, and measured runs of its benchmark below it."""
    groups = _group_by_setting(runs)
    rows = [*_make_published_rows(table), *_make_measured_rows(table, groups)]
    notes = [*_published_notes(table), *_measured_notes(table, groups)]
    return Sheet(table.benchmark, table.title, table.columns, tuple(rows), tuple(notes))


# --------------------------------------------------------------------------- published rows


def _make_published_rows(table: PublishedTable) -> Iterator[Row]:
    group = ""
    for row, row_marks in zip(table.rows, published_marks(table), strict=True):
        if row.group != group:
            group = row.group
            has_heading = group.endswith("MLLMs")  # SFT and RRVF are set apart by a rule alone
            yield Row("heading", group, group=group) if has_heading else Row("rule")
        cells = tuple(
            Cell(
                row.cells[column.key],
                row_marks.get(column.key, ""),
                italic=not column.primary and row.cells[column.key] != "-",
            )
            for column in table.columns
        )
        yield Row(
            "delta" if row.kind == "delta" else "model",
            row.label,
            "model" in row.bold,
            cells,
            row.group,
            row.date,
            row.model,
            row.source,
        )


def _published_notes(table: PublishedTable) -> Iterator[str]:
    if not table.rows:
        return
    ranks = "best and second-best" if table.marks_second else "best"
    style = "bold and underlined" if table.marks_second else "bold"
    yield f"{ranks.capitalize()} among open models below 10 B parameters: {style}, as computed."
    if any(text.endswith("*") for row in table.rows for text in row.cells.values()):
        yield "*: taken over by the authors from the benchmark's own publication."
    for finding in [str(result) for result in check(table) if not result.ok] + check_marks(table):
        yield f"Does not add up, shown as printed: {finding}."


# ---------------------------------------------------------------------------- measured runs


def _group_by_setting(runs: Sequence[Measured]) -> list[list[Measured]]:
    """Runs that may be ranked together; an unfinished one stands alone."""
    groups: dict[object, list[Measured]] = {}
    for run in runs:
        own_folder = "" if run.finished else str(run.run.folder)
        groups.setdefault((own_folder, tuple(sorted(run.setting.items()))), []).append(run)
    return list(groups.values())


def _make_measured_rows(
    table: PublishedTable, groups: Sequence[Sequence[Measured]]
) -> Iterator[Row]:
    keys = [column.key for column in table.columns]
    for index, group in enumerate(groups):
        name = _group_name(index, groups)
        yield Row("heading", name, group=name)
        figures = [{key: _round_figure(run.metrics.get(key)) for key in keys} for run in group]
        for run, values, row_marks in zip(group, figures, marks(figures, keys), strict=True):
            cells = tuple(
                Cell(
                    MISSING if (value := values[column.key]) is None else str(value),
                    row_marks.get(column.key, ""),
                    italic=not column.primary and value is not None,
                    interval=run.intervals.get(column.key),
                )
                for column in table.columns
            )
            label = _measured_label(run, table)
            note = "; ".join(_remarks(run, table))
            yield Row("measured", label, False, cells, name, "", run.name, note)


def _group_name(index: int, groups: Sequence[Sequence[Measured]]) -> str:
    name = "Measured" if len(groups) == 1 else f"Measured, setting {_letter(index)}"
    return name if groups[index][0].finished else f"{name}, unfinished"


def _measured_label(run: Measured, table: PublishedTable) -> str:
    is_unlike = table.rows and compare_to_published(run, table)
    return f"{run.name} †" if is_unlike or not run.finished else run.name


def _remarks(run: Measured, table: PublishedTable) -> Iterator[str]:
    if not run.finished:
        yield "unfinished"
    if table.rows and (unlike := compare_to_published(run, table)):
        yield f"unlike the published rows ({', '.join(unlike)})"
    yield from (f"{name}: {text}" for name, text in run.card.items())
    yield from run.notes


def _measured_notes(table: PublishedTable, groups: Sequence[Sequence[Measured]]) -> Iterator[str]:
    if not groups:
        return
    yield "Measured rows are ranked only within one setting, never with published ones."
    if any(run.intervals for group in groups for run in group):
        yield (
            f"In brackets: {LEVEL:.0%} intervals by bootstrap over samples "
            f"({RESAMPLES} resamples, seed {SEED})."
        )
    for index, group in enumerate(groups[1:], start=1):
        first = groups[0][0]
        text = "; ".join(differences(first.setting, group[0].setting)) or "unfinished"
        yield f"Setting {_letter(index)} is not setting A: {text}."
    for group in groups:
        for run in group:
            yield f"{_measured_label(run, table)}: {'; '.join(_remarks(run, table))}."


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _round_figure(value: float | None) -> Decimal | None:
    """As shown: rows that look alike share their rank."""
    return None if value is None else Decimal(f"{value:.2f}")
