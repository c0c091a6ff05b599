"""Figures that authors of other systems printed, cell by cell, with the stated conditions.

The files are in ``results/published`` (:func:`rrvf.project_files.find_results`).
``protocols.toml`` names the source of each table and the conditions that it states; ``<id>.csv``
has the rows. Only figures that authors print for their own runs are included.

A figure is ranked only inside its own protocol, and only if the source states the samples and, for
a judge's figure, the judge: see :meth:`Protocol.is_ranked`.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from rrvf.errors import DataError
from rrvf.project_files import find_results
from rrvf.tables.published import Column
from rrvf.tables.ranking import Mark, figure, marks
from rrvf.tables.sheet import MISSING, Cell, Row, Sheet

FIELDS = {
    "version": "version of the benchmark",
    "subset": "subset",
    "samples": "number of samples",
    "judge": "judge",
    "matplotlib": "matplotlib",
    "prompt": "prompt",
    "turns": "turns",
    "failures": "answers that fail",
}
"""What moves a figure: key in ``protocols.toml`` -> in words."""


@dataclass(frozen=True, slots=True)
class PrintedColumn:
    """A column as its source prints it.

    Attributes:
        label: Its heading.
        metric: This project's name of the same figure; empty where it has none.
        judged: A judge's figure, or one with a judge's in it.
        most: The highest figure there can be.
    """

    label: str
    metric: str = ""
    judged: bool = False
    most: float = 100.0


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A row as its source prints it.

    Attributes:
        system: Its name there.
        model: The name under which sources are set side by side.
        size: As printed, or empty.
        cells: Heading -> printed figure; empty where there is none.
        note: What a reader has to know of the row alone.
    """

    system: str
    model: str
    size: str
    cells: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One table of one source, and what that source states of it.

    Attributes:
        id: Its name in the files.
        benchmark: For a person.
        source, place, date, link: Where it is printed; the link may be empty.
        stated: Field of :data:`FIELDS` -> what the source says.
        note: What else a reader has to know.
    """

    id: str
    benchmark: str
    source: str
    place: str
    date: str
    columns: tuple[PrintedColumn, ...]
    stated: Mapping[str, str]
    link: str = ""
    note: str = ""
    rows: tuple[PrintedRow, ...] = ()

    def is_ranked(self, column: PrintedColumn) -> bool:
        """Whether the source states of which samples, and for a judge's figure by which judge."""
        return "subset" in self.stated and (not column.judged or "judge" in self.stated)

    def describe(self) -> str:
        """What is stated, and what is not, in a line."""
        known = [f"{FIELDS[name]}: {text}" for name, text in self.stated.items()]
        missing = [text for name, text in FIELDS.items() if name not in self.stated]
        return "; ".join([*known, f"not stated: {', '.join(missing)}"])

    def rank(self) -> list[dict[str, Mark]]:
        """For each row its marked columns, by heading."""
        labels = [column.label for column in self.columns if self.is_ranked(column)]
        rows = [{label: figure(row.cells[label]) for label in labels} for row in self.rows]
        return marks(rows, labels)


def read_protocols() -> list[Protocol]:
    """All printed tables with their rows, in the order of the file.

    Raises:
        DataError: A field is none of :data:`FIELDS`.
    """
    folder = _folder()
    entries = tomllib.loads((folder / "protocols.toml").read_text(encoding="utf-8"))["protocol"]
    names = read_model_names()
    return [_read_rows(_read_protocol(entry), folder, names) for entry in entries]


def read_model_names() -> dict[str, str]:
    """Name in print -> name under which sources are set side by side."""
    listed = tomllib.loads((_folder() / "models.toml").read_text(encoding="utf-8"))
    return {name: model for model, names in listed.items() for name in names}


def make_printed_sheets(benchmark: str | None = None) -> list[Sheet]:
    """A table for each protocol, every figure as printed.

    Args:
        benchmark: Of which; all without it.

    Raises:
        DataError: Nothing is printed of it.
    """
    protocols = read_protocols()
    names = list(dict.fromkeys(protocol.benchmark for protocol in protocols))
    chosen = [p for p in protocols if benchmark is None or _is_of(p, benchmark)]
    if not chosen:
        raise DataError(
            f"no figures of other systems are kept of {benchmark!r}; there are {', '.join(names)}"
        )
    return [_make_sheet(protocol) for protocol in chosen]


def _is_of(protocol: Protocol, benchmark: str) -> bool:
    """Whole words: ``design2code`` names Design2Code-HARD too, ``design`` neither."""
    words = _split_words(benchmark)
    return _split_words(protocol.benchmark)[: len(words)] == words


def _split_words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _make_sheet(protocol: Protocol) -> Sheet:
    columns = tuple(
        Column(column.label.replace(" ", "_"), column.label, most=column.most)
        for column in protocol.columns
    )
    rows = tuple(
        Row(
            "model",
            row.system,
            cells=tuple(_cells(protocol, row, row_marks)),
            group=protocol.id,
            date=protocol.date,
            model=row.system,
            note=row.note,
        )
        for row, row_marks in zip(protocol.rows, protocol.rank(), strict=True)
    )
    title = f"{protocol.benchmark}: {protocol.source}, {protocol.place}"
    return Sheet(protocol.benchmark, title, columns, rows, tuple(_notes(protocol)))


def _cells(protocol: Protocol, row: PrintedRow, row_marks: Mapping[str, Mark]) -> Iterator[Cell]:
    for column in protocol.columns:
        yield Cell(row.cells[column.label] or MISSING, row_marks.get(column.label, ""))


def _notes(protocol: Protocol) -> Iterator[str]:
    yield f"As printed on {protocol.date}; {protocol.describe()}."
    if protocol.note:
        yield protocol.note
    unranked = [column.label for column in protocol.columns if not protocol.is_ranked(column)]
    if unranked:
        yield f"Not ranked, since too little is stated: {', '.join(unranked)}."
    yield from (f"{row.system}: {row.note}." for row in protocol.rows if row.note)


# --------------------------------------------------------------------------------- the files


def _folder() -> Path:
    return find_results() / "published"


def _read_protocol(entry: Mapping[str, Any]) -> Protocol:
    columns = tuple(
        PrintedColumn(**({"label": column["printed"]} | _without(column, "printed")))
        for column in entry["columns"]
    )
    unknown = [name for name in entry["stated"] if name not in FIELDS]
    if unknown:
        raise DataError(
            f"protocols.toml, {entry['id']}: no field {unknown[0]!r}; there are {', '.join(FIELDS)}"
        )
    return Protocol(columns=columns, **_without(entry, "columns"))


def _without(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != name}


def _read_rows(protocol: Protocol, folder: Traversable, names: Mapping[str, str]) -> Protocol:
    text = (folder / f"{protocol.id}.csv").read_text(encoding="utf-8")
    rows = [
        _read_row(entry, protocol.columns, names) for entry in csv.DictReader(text.splitlines())
    ]
    return replace(protocol, rows=tuple(rows))


def _read_row(
    entry: Mapping[str, str], columns: Sequence[PrintedColumn], names: Mapping[str, str]
) -> PrintedRow:
    system = entry["system"]
    cells = {column.label: entry[column.label] for column in columns}
    return PrintedRow(
        system, names.get(system, system), entry["size"], cells, entry.get("note", "")
    )
