"""The table of a run, as plain text, and what there is to say about its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rrvf.loop_effect import describe_loop
from rrvf.repeats import describe_repeats
from rrvf.report.columns import LABELS, read_columns, read_labels, shows_pages, title_of
from rrvf.report.reading import Run
from rrvf.report.values import MAX_TEXT, clip, count_of, mapping, number
from rrvf.types import STATUSES

NULL = "–"
"""How a figure that was not measured is shown; never as 0."""


def format_table(summary: Mapping[str, Any]) -> str:
    """Set a run's metrics as the paper's table, in Markdown that also reads well as plain text.

    Args:
        summary: The contents of ``summary.json``.

    Returns:
        The table, a figure that was not measured as "–", then one line for the samples and their
        statuses and, where there are any, one for the unscored counts. No final line break.
    """
    metrics = mapping(summary.get("metrics"))
    columns = [(column.key, column.title) for column in read_columns(summary)]
    cells = [_figure(metrics.get(key)) for key, _ in columns]
    widths = [max(len(label), len(cell)) for (_, label), cell in zip(columns, cells, strict=True)]
    rows = [
        [label.rjust(width) for (_, label), width in zip(columns, widths, strict=True)],
        ["-" * (width - 1) + ":" for width in widths],
        [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)],
    ]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*table, "", *_footer(summary)])


def table_columns(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of the columns that a run's table shows."""
    return tuple(column.key for column in read_columns(summary))


def guess_summary(run: Run) -> Mapping[str, Any]:
    """The summary; without one, what a run of pages may be, as far as the items tell it."""
    if run.summary is not None:
        return run.summary
    return {"benchmark": "websight"} if run_shows_pages(run) else {}


def run_shows_pages(run: Run) -> bool:
    """Whether a run is one of pages."""
    scorers = (name for line in run.lines for name in mapping(line.get("scores")))
    return shows_pages(run.summary or {}, frozenset(scorers))


def _footer(summary: Mapping[str, Any]) -> list[str]:
    statuses = mapping(summary.get("statuses"))
    order = [*STATUSES, *(key for key in statuses if key not in STATUSES)]
    counts = ", ".join(f"{key} {statuses[key]}" for key in order if statuses.get(key))
    mode = mapping(summary.get("protocol")).get("mode")
    parts = [
        run_title(summary),
        count_of(summary.get("n_samples", 0), "sample") + (f" ({counts})" if counts else ""),
        *([f"mode {mode}"] if mode else []),
    ]
    if summary.get("finished") is False:
        parts.append("unfinished")
    lines = [" · ".join(parts)]
    lines += describe_repeats(mapping(summary.get("repeats")), read_labels(summary))
    lines += describe_loop(mapping(mapping(summary.get("episodes")).get("loop")))
    unscored = {k: n for k, n in mapping(summary.get("n_unscored")).items() if n}
    if unscored:
        counts = ", ".join(f"{LABELS.get(key, key)} {count}" for key, count in unscored.items())
        lines.append(f"Not scored and left out of the means: {counts}")
    return lines


def why_null(metric: str, run: Run) -> str:
    """Say why a figure of the table is missing."""
    if run.summary is None:
        return "the run is unfinished"
    unscored = mapping(run.summary.get("n_unscored"))
    column = next((entry for entry in read_columns(run.summary) if entry.key == metric), None)
    labels = read_labels(run.summary)
    if column is not None and column.mean_of:
        *names, last = (labels.get(key, key) for key in column.mean_of)
        both = "both " if len(names) == 1 else ""
        return f"needs {both}{', '.join(names)} and {last}"
    scorer = metric if column is None else column.scorer
    if n_items := unscored.get(scorer):
        return f"not scored: {count_of(n_items, 'item')}{_main_reason(scorer, run.lines)}"
    return "no judge was named for this run" if scorer == "gpt" else "not measured in this run"


def _main_reason(scorer: str, lines: Iterable[Mapping[str, Any]]) -> str:
    """What most items without a value say of it, as the end of a sentence."""
    scores = (mapping(mapping(line.get("scores")).get(scorer)) for line in lines)
    reasons = Counter(
        reason for score in scores
        if score.get("value") is None and isinstance(reason := score.get("reason"), str)
    )  # fmt: skip
    if not reasons:
        return ""
    reason, _ = reasons.most_common(1)[0]
    return f", {'mostly: ' if len(reasons) > 1 else ''}{clip(reason)}"


def run_title(summary: Mapping[str, Any]) -> str:
    """The benchmark's name, for a person."""
    name = summary.get("benchmark")
    return title_of(name)[:MAX_TEXT] if isinstance(name, str) else "Unfinished run"


def _figure(value: Any) -> str:
    figure = number(value)
    return NULL if figure is None else f"{figure:.2f}"
