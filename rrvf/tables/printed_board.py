"""The printed figures of other systems, and their contradictions, for the leaderboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rrvf.report.values import Json
from rrvf.tables.conflicts import LABELS, Conflict
from rrvf.tables.printed import FIELDS, PrintedColumn, PrintedRow, Protocol
from rrvf.tables.ranking import Mark, figure
from rrvf.tables.sheet import MISSING

VIEW = "printed"
"""Of the page, in which these tables stand."""


def make_printed_tables(protocols: Sequence[Protocol]) -> list[Json]:
    """A table for each benchmark, in it a group of rows for each protocol."""
    benchmarks = dict.fromkeys(protocol.benchmark for protocol in protocols)
    return [
        _table(benchmark, [p for p in protocols if p.benchmark == benchmark])
        for benchmark in benchmarks
    ]


def make_conflicts(conflicts: Sequence[Conflict]) -> list[Json]:
    """For each figure its values, the lowest first."""
    return [
        {
            "benchmark": conflict.benchmark,
            "model": conflict.model,
            "label": conflict.label,
            "spread": float(conflict.spread),
            "values": [
                {
                    "text": value.text,
                    "share": float(value.share),
                    "system": value.system,
                    "source": value.source,
                    "told": value.protocol,
                    "derived": value.derived,
                }
                for value in conflict.values
            ],
        }
        for conflict in conflicts
    ]


def _table(benchmark: str, protocols: Sequence[Protocol]) -> Json:
    columns: dict[str, Json] = {}
    for column in (column for protocol in protocols for column in protocol.columns):
        label = LABELS[column.metric] if column.metric else column.label
        columns.setdefault(
            _key(column),
            {"key": _key(column), "label": label, "sub": "", "primary": True, "most": column.most},
        )
    name = f"{_slug(benchmark)}-printed"
    return {
        "id": name,
        "view": VIEW,
        "benchmark": benchmark,
        "title": benchmark,
        "marks_second": True,
        "columns": list(columns.values()),
        "groups": [_group(protocol) for protocol in protocols],
        "rows": [
            {**row, "id": f"{name}-{place}"}
            for place, row in enumerate(_rows(protocols, list(columns)))
        ],
    }


def _group(protocol: Protocol) -> Json:
    known = [f"{FIELDS[name]}: {text}" for name, text in protocol.stated.items()]
    missing = [text for name, text in FIELDS.items() if name not in protocol.stated]
    told = " · ".join([*known, f"not stated: {', '.join(missing)}"])
    ranked = [_key(column) for column in protocol.columns if protocol.is_ranked(column)]
    return {"name": _title(protocol), "told": told, "ranked": ranked}


def _title(protocol: Protocol) -> str:
    return f"{protocol.source}, {protocol.place}"


def _rows(protocols: Sequence[Protocol], keys: Sequence[str]) -> Iterator[Json]:
    for protocol in protocols:
        for row, row_marks in zip(protocol.rows, protocol.rank(), strict=True):
            yield {
                "name": row.system,
                "kind": VIEW,
                "group": _title(protocol),
                "order": 0,
                "told": row.size,
                "unlike": [],
                "warnings": [f"{row.note[:1].upper()}{row.note[1:]}."] if row.note else [],
                "cells": _cells(protocol, row, row_marks, keys),
                "deltas": [],
                "facts": list(_facts(protocol, row)),
                "parts": {},
            }


def _cells(
    protocol: Protocol, row: PrintedRow, row_marks: Mapping[str, Mark], keys: Sequence[str]
) -> list[Json]:
    columns = {_key(column): column for column in protocol.columns}
    return [_cell(columns.get(key), row, row_marks) for key in keys]


def _cell(column: PrintedColumn | None, row: PrintedRow, row_marks: Mapping[str, Mark]) -> Json:
    text = row.cells[column.label] if column else ""
    value = figure(text)
    return {
        "text": text or MISSING,
        "value": None if value is None else float(value),
        "mark": row_marks.get(column.label, "") if column else "",
        "bounds": None,
        "why": None if text else "not printed there",
        "most": column.most if column else None,
    }


def _facts(protocol: Protocol, row: PrintedRow) -> Iterator[tuple[str, str]]:
    if row.model != row.system:
        yield "set beside", row.model
    yield "source", protocol.source
    yield "place", f"{protocol.place}, {protocol.date}"
    if protocol.link:
        yield "link", protocol.link
    yield from ((text, protocol.stated.get(name, "not stated")) for name, text in FIELDS.items())
    headings = ", ".join(column.label for column in protocol.columns)
    yield "columns, as printed", headings
    if protocol.note:
        yield "note", protocol.note
    yield "intervals", "none published"


def _key(column: PrintedColumn) -> str:
    return column.metric or f"printed-{_slug(column.label)}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
