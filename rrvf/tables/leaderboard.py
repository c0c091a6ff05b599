"""All published and kept rows on one page: ``leaderboard.html``.

A row is shown with the rows of its own protocol and ranked only with them. A source of published
figures is a protocol, and so is each setting of measured runs. If sources give different values for
one figure of one model, the values are shown side by side. Names, settings and environments of runs
are untrusted; :mod:`rrvf.report.page` describes how they are handled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rrvf import __version__
from rrvf.bootstrap import LEVEL, RESAMPLES, SEED
from rrvf.errors import DataError
from rrvf.report.columns import LABELS
from rrvf.report.page import make_page, write_page
from rrvf.report.table import run_title, why_null
from rrvf.report.values import Json, clip, mapping, number
from rrvf.run_folder import RESULTS, SUMMARY
from rrvf.tables.checks import check
from rrvf.tables.conflicts import list_conflicts
from rrvf.tables.formats import markdown
from rrvf.tables.measured import (
    CONFIG,
    Measured,
    compare_to_published,
    differences,
    read_runs,
    tables_of,
)
from rrvf.tables.printed import make_printed_sheets, read_protocols
from rrvf.tables.printed_board import make_conflicts, make_printed_tables
from rrvf.tables.published import Column, PublishedRow, PublishedTable
from rrvf.tables.ranking import figure
from rrvf.tables.sheet import MISSING, Row, Sheet, make_sheet

PAGE = "leaderboard.html"
UNTOLD = "not told by the source"
_TOLD_ELSEWHERE = ("policy", "name", "made", "rescored")


def write_leaderboard(results: Path, out: Path | None = None) -> Path:
    """Write the page of a results folder.

    Args:
        results: With ``paper/*.csv``, runs in ``<benchmark>/<policy>/<run>/``, or both.
        out: Folder for the page; the results folder itself without it.

    Returns:
        The path of the page.

    Raises:
        DataError: The folder is missing, or holds neither.
        UserError: The page cannot be written.
    """
    folders = _run_folders(results)
    if not folders and not any((results / "paper").glob("*.csv")):
        raise DataError(
            f"{results} holds neither paper/*.csv nor runs as <benchmark>/<policy>/<run>/; "
            "give a results folder"
        )
    runs, notes = _read_whole(folders)
    tables = tables_of(runs)
    by_table = [[run for run in runs if run.benchmark == t.benchmark] for t in tables]
    sheets = [make_sheet(table, own_runs) for table, own_runs in zip(tables, by_table, strict=True)]
    protocols = read_protocols()
    payload = {
        "version": __version__,
        "labels": LABELS,
        "notes": [clip(note) for note in notes],
        "how": f"{LEVEL:.0%} intervals by bootstrap over samples "
        f"({RESAMPLES} resamples, seed {SEED})",
        "tables": [
            _table(table, sheet, own_runs, results)
            for table, sheet, own_runs in zip(tables, sheets, by_table, strict=True)
        ]
        + make_printed_tables(protocols),
        "conflicts": make_conflicts(list_conflicts(protocols, tables, runs)),
    }
    text = markdown([*sheets, *make_printed_sheets()])
    page = make_page("leaderboard", payload, "Leaderboard", text)
    return write_page((out or results) / PAGE, page)


# --------------------------------------------------------------------------------- the folder


def _run_folders(results: Path) -> list[Path]:
    """Kept runs, and runs that are still at work there."""
    paths = (path for name in (SUMMARY, RESULTS) for path in results.glob(f"*/*/*/{name}"))
    return sorted({path.parent for path in paths})


def _read_whole(folders: Sequence[Path]) -> tuple[list[Measured], list[str]]:
    """One torn run hides no other: it is named on the page."""
    whole_folders: list[Path] = []
    notes: list[str] = []
    for folder in folders:
        try:
            read_runs([folder])
        except DataError as error:
            notes.append(f"Left out: {error}.")
        else:
            whole_folders.append(folder)
    return read_runs(whole_folders), notes


def _config(folder: Path) -> Json:
    try:
        return mapping(json.loads((folder / CONFIG).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


# ------------------------------------------------------------------------------------ a table


def _table(table: PublishedTable, sheet: Sheet, runs: Sequence[Measured], results: Path) -> Json:
    rows_by_kind = {
        kind: [row for row in sheet.rows if row.kind == kind] for kind in ("model", "measured")
    }
    models = [row for row in table.rows if row.kind == "model"]
    by_name = {run.name: run for run in runs}
    own_runs = [by_name[row.model] for row in rows_by_kind["measured"]]
    rows = [
        *(
            _make_published_row(table, *pair)
            for pair in zip(models, rows_by_kind["model"], strict=True)
        ),
        *(
            _make_measured_row(table, run, row, _facts(run, own_runs[0], results))
            for run, row in zip(own_runs, rows_by_kind["measured"], strict=True)
        ),
    ]
    for row, anchor in zip(rows, _anchors(table.benchmark, rows), strict=True):
        row["id"] = anchor
    groups = dict.fromkeys(row["group"] for row in sorted(rows, key=lambda row: row["order"]))
    settings = {
        row.group: _describe_setting(run, own_runs[0])
        for run, row in zip(own_runs, rows_by_kind["measured"], strict=True)
    }
    return {
        "id": table.benchmark,
        "view": "paper",
        "benchmark": table.benchmark,
        "title": run_title({"benchmark": table.benchmark}),
        "marks_second": table.marks_second,
        "columns": [_column(column) for column in table.columns],
        "groups": [{"name": name, "told": settings.get(name), "ranked": None} for name in groups],
        "rows": rows,
    }


def _column(column: Column) -> Json:
    return {
        "key": column.key,
        "label": column.label,
        "sub": column.sub,
        "primary": column.primary,
        "most": column.most,
    }


def _anchors(benchmark: str, rows: Sequence[Json]) -> Iterator[str]:
    """Names for links to the cards, each of them once."""
    anchors: set[str] = set()
    for row in rows:
        slug = re.sub(r"[^a-z0-9.]+", "-", row["name"].lower()).strip("-.")[:60] or "row"
        anchor = f"{benchmark}-{slug}"
        while anchor in anchors:
            anchor += "-"
        anchors.add(anchor)
        yield anchor


def _describe_setting(run: Measured, first: Measured) -> str:
    """What a run's setting is, and in what it is not the first one."""
    parts = [run.card[name] for name in ("mode", "judge", "turns", "drawn by")]
    parts[1] = "no judge" if parts[1] == "none" else parts[1]
    names = dict.fromkeys([*first.setting, *run.setting])
    changes = [name for name in names if first.setting.get(name) != run.setting.get(name)]
    parts += [f"differs from setting A in {', '.join(changes)}"] if changes else []
    return clip(" · ".join(parts))


# ------------------------------------------------------------------------------ rows and cards


def _make_published_row(table: PublishedTable, row: PublishedRow, sheet_row: Row) -> Json:
    taken_over = any(text.endswith("*") for text in row.cells.values())
    origin = row.source.partition(", table of ")[0]
    size = "" if row.size is None else f"{row.size:g} B"
    return {
        "name": row.model,
        "kind": "closed" if row.group.startswith("Closed") else "open",
        "group": "Reported by the original benchmark *" if taken_over else origin,
        "order": int(taken_over),
        "told": " · ".join(filter(None, (size, row.date))),
        "unlike": [],
        "warnings": [
            f"Does not add up, shown as printed: {failure}."
            for failure in _list_failures(table, row)
        ],
        "cells": list(_cells(table, sheet_row)),
        "deltas": list(_deltas(table, row)),
        "facts": list(_published_facts(table, row, taken_over)),
        "parts": {},
    }


def _published_facts(
    table: PublishedTable, row: PublishedRow, taken_over: bool
) -> Iterator[tuple[str, str]]:
    judge = next(column.label.split()[0] for column in table.columns if column.key == "gpt")
    n = None if taken_over else table.n_samples
    yield "source", row.source
    yield "samples", UNTOLD if n is None else f"{n}, as the exec rates imply"
    yield "mode", "as published"
    yield "judge", UNTOLD if taken_over else f"{judge}; its version and prompt are {UNTOLD}"
    for name in ("turns", "drawn by", "environment"):
        yield name, UNTOLD
    yield "intervals", "none published"


def _list_failures(table: PublishedTable, row: PublishedRow) -> list[str]:
    return [
        str(result)
        for result in check(table)
        if not result.ok and (result.row == row.model or result.row.startswith(f"{row.model}, "))
    ]


def _deltas(table: PublishedTable, row: PublishedRow) -> Iterator[Json]:
    """Difference rows below a row."""
    place = next(index for index, next_row in enumerate(table.rows) if next_row is row)
    for next_row in table.rows[place + 1 :]:
        if next_row.kind != "delta":
            return
        yield {"name": next_row.model, "cells": [next_row.cells[c.key] for c in table.columns]}


def _make_measured_row(
    table: PublishedTable, run: Measured, sheet_row: Row, facts: Sequence[tuple[str, str]]
) -> Json:
    summary = mapping(run.run.summary)
    record = _config(run.run.folder)
    parts = {
        "Protocol": mapping(summary.get("protocol")),
        "Environment": mapping(summary.get("environment")),
        "Record": {k: v for k, v in record.items() if k not in _TOLD_ELSEWHERE},
    }
    return {
        "name": clip(run.name),
        "kind": "measured",
        "group": sheet_row.group,
        "order": 2,
        "told": clip(run.card["samples"].partition(" (")[0]),
        "unlike": [clip(difference) for difference in compare_to_published(run, table)],
        "warnings": [*_warn_unfinished(run), *(clip(note) for note in run.notes)],
        "cells": list(_cells(table, sheet_row, run)),
        "deltas": list(_scored_again(table, mapping(record.get("rescored")))),
        "facts": [(name, clip(text, text=2_000)) for name, text in facts if text],
        "parts": {name: clip(part) for name, part in parts.items() if part},
    }


def _facts(run: Measured, first: Measured, results: Path) -> list[tuple[str, str]]:
    record = _config(run.run.folder)
    origin = record.get("made")
    lines: Any = mapping(record.get("rescored")).get("told", [])
    told = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [
        ("made", origin if isinstance(origin, str) else ""),
        ("scored again", "; ".join(told)),
        ("folder", run.run.folder.relative_to(results).as_posix()),
        *((name, text) for name, text in run.card.items() if name != "protocol"),
        ("unlike setting A", "; ".join(differences(first.setting, run.setting))),
    ]


def _scored_again(table: PublishedTable, verdict: Json) -> Iterator[Json]:
    """The figures of a run that came out otherwise where it was handed in."""
    metrics = mapping(verdict.get("metrics"))
    if metrics:
        values = [number(metrics.get(column.key)) for column in table.columns]
        cells = [MISSING if value is None else f"{value:.2f}" for value in values]
        yield {"name": "scored again", "cells": cells}


def _warn_unfinished(run: Measured) -> list[str]:
    return [] if run.finished or run.notes else ["This run is unfinished."]


def _cells(table: PublishedTable, row: Row, run: Measured | None = None) -> Iterator[Json]:
    for column, cell in zip(table.columns, row.cells, strict=True):
        value = None if cell.text == MISSING else figure(cell.text)
        bounds: Any = cell.interval and [cell.interval.low, cell.interval.high]
        yield {
            "text": MISSING if value is None else cell.text,
            "value": None if value is None else float(value),
            "mark": cell.mark,
            "bounds": bounds,
            "why": why_null(column.key, run.run) if run and value is None else None,
        }
