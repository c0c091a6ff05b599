"""The paper's tables, with measured runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rrvf.errors import DataError
from rrvf.tables.formats import FORMATS
from rrvf.tables.loop import make_loop_sheet
from rrvf.tables.measured import Measured, read_runs, tables_of
from rrvf.tables.paired_formats import render_comparison
from rrvf.tables.printed import make_printed_sheets
from rrvf.tables.published import BENCHMARKS
from rrvf.tables.sheet import Sheet, make_sheet

__all__ = [
    "Measured",
    "Sheet",
    "make_sheet",
    "read_runs",
    "render_comparison",
    "render_others",
    "render_tables",
]


def render_tables(
    benchmark: str | None = None, form: str = "markdown", folders: Sequence[Path] = ()
) -> str:
    """Published tables with measured runs below them, and what the loop of these runs changed.

    Args:
        benchmark: Whose table; ``None`` for those published, and those of the runs.
        form: ``text``, ``markdown``, ``latex``, ``csv`` or ``html``.
        folders: Of runs, finished or not.

    Raises:
        DataError: No such table or format; a folder that holds no run, or one of another
            benchmark.
    """
    if form not in FORMATS:
        raise DataError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    runs = read_runs(folders)
    tables = tables_of(runs)
    if benchmark is not None:
        tables = [table for table in tables if table.benchmark == benchmark]
        if not tables:
            raise DataError(
                f"no table of {benchmark!r} is published here; there are {', '.join(BENCHMARKS)}; "
                "of another benchmark add your runs: --runs RUN..."
            )
    for run in runs:
        if run.benchmark not in [table.benchmark for table in tables]:
            raise DataError(
                f"{run.run.folder} is a run of {run.benchmark}, not of {benchmark}; "
                f"use rrvf tables {run.benchmark}"
            )
    sheets: list[Sheet] = []
    for table in tables:
        own_runs = [run for run in runs if run.benchmark == table.benchmark]
        loop_sheet = make_loop_sheet(own_runs)
        sheets += [make_sheet(table, own_runs), *([loop_sheet] if loop_sheet else [])]
    return FORMATS[form](sheets)


def render_others(benchmark: str | None = None, form: str = "markdown") -> str:
    """What the authors of other systems print, a table for each source, ranked within it alone.

    Args:
        benchmark: Its name, or how it begins; all without it.
        form: ``text``, ``markdown``, ``latex``, ``csv`` or ``html``.

    Raises:
        DataError: Nothing is kept of it.
    """
    return FORMATS[form](make_printed_sheets(benchmark))
