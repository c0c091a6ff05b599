"""What a run's table is made of: its columns and names, as the run tells them.

A run says so itself, so that one of a benchmark of somebody's own can be read anywhere; of runs
from before that the benchmark's name tells it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rrvf.benchmarks import BENCHMARKS
from rrvf.kinds import KINDS
from rrvf.report.values import mapping, number
from rrvf.types import Column

LABELS = {
    "execution": "Execution",
    "likeness": "Likeness",
    "pixel": "Pixel",  # runs from before likeness
    **{
        column.key: column.title
        for benchmark in BENCHMARKS.values()
        for column in benchmark.columns
    },
    # One benchmark's table may call them otherwise.
    "clip_design2code": "CLIP (Design2Code)",
    "block_match": "Block match",
}
"""Score or metric -> its name for a person."""

_DEFAULT = "chartmimic"
"""Whose columns a run has that says nothing."""

_PAGE_SCORERS = frozenset({"clip", "clip_design2code", "block_match", "position"})


def read_columns(summary: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of a run's table, means of scores that it defines none for at the end.

    Args:
        summary: The contents of ``summary.json``, perhaps nothing.
    """
    entries = summary.get("columns")
    columns = _parse_columns(cast("list[Any]", entries)) if isinstance(entries, list) else ()
    if not columns:
        name = summary.get("benchmark", _DEFAULT)
        benchmark = BENCHMARKS.get(name) if isinstance(name, str) else None
        columns = benchmark.columns if benchmark is not None else ()
    keys = {column.key for column in columns}
    extras = (name for name in mapping(summary.get("metrics")) if name not in keys)
    return (*columns, *(Column(name, LABELS.get(name, name), name) for name in extras))


def _parse_columns(entries: Sequence[Any]) -> tuple[Column, ...]:
    """Columns as they were written; none at all where one of them cannot be read."""
    columns: list[Column] = []
    for entry in map(mapping, entries):
        texts = [entry.get(name) for name in ("key", "title", "scorer")]
        scale = number(entry.get("scale"))
        parts: Any = entry.get("mean_of") or ()
        if not all(isinstance(text, str) for text in texts) or scale is None:
            return ()
        columns.append(
            Column(
                *map(str, texts),
                over="ran" if entry.get("over") == "ran" else "all",
                scale=float(scale),
                mean_of=tuple(map(str, cast("list[Any]", parts)))
                if isinstance(parts, list)
                else (),
            )
        )
    return tuple(columns)


def read_labels(*summaries: Mapping[str, Any]) -> dict[str, str]:
    """Score or metric -> its name for a person, those of the runs' own columns too."""
    titles = {column.key: column.title for summary in summaries for column in read_columns(summary)}
    return {**titles, **LABELS}


def shows_pages(summary: Mapping[str, Any], scorers: frozenset[str] = frozenset()) -> bool:
    """Whether a run is one of pages; else it is one of charts.

    Args:
        summary: The contents of ``summary.json``, perhaps nothing.
        scorers: Names of its scores, for a run that says nothing.
    """
    kind, name = summary.get("kind"), summary.get("benchmark")
    if isinstance(name, str) and name in BENCHMARKS:
        kind = BENCHMARKS[name].kind
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind].medium == "page"
    return name is None and bool(scorers & _PAGE_SCORERS)


def title_of(name: str) -> str:
    """A benchmark's name for a person."""
    return BENCHMARKS[name].title if name in BENCHMARKS else name.rpartition(":")[2]
