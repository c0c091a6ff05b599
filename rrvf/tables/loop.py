"""Does the loop help? A table of the measures of :mod:`rrvf.loop_effect`, one row per run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrvf.bootstrap import LEVEL, RESAMPLES, SEED, Interval
from rrvf.loop_effect import MEASURES, SHARES, has_turns
from rrvf.report.values import mapping, number
from rrvf.tables.measured import Measured
from rrvf.tables.published import Column
from rrvf.tables.sheet import MISSING, Cell, Row, Sheet

LABELS: Mapping[str, str] = {
    "first": "First state",
    "last": "Last state",
    "oracle": "Best state",
    "gain": "Gain a turn",
    "answer_gain": "Answer above best draft",
    "collapse": "Collapse",
    "collapsed": "Collapsed %",
    "recovery": "Recovered %",
    "breakage": "Broken %",
    "same_code": "Same code %",
    "same_picture": "Same picture %",
    "answer_same_code": "Answer is last draft %",
    "tokens_per_point": "Tokens a point",
    "seconds_per_point": "Seconds a point",
    "teacher_calls_per_point": "Teacher calls a point",
}
"""Measure -> its column."""


def make_loop_sheet(runs: Sequence[Measured]) -> Sheet | None:
    """The measures of runs of one benchmark; ``None`` where no loop was played."""
    played = [run for run in runs if has_turns(run.loop)]
    if not played:
        return None
    table = played[0].table()
    columns = tuple(Column(f"loop_{name}", label) for name, label in LABELS.items())
    rows = [
        Row("loop", run.name, cells=_make_cells(run.loop), group="loop", model=run.name)
        for run in played
    ]
    title = f"{table.title}: does the loop help?"
    return Sheet(table.benchmark, title, columns, tuple(rows), tuple(_list_notes(played)))


def _make_cells(loop: Mapping[str, Any]) -> tuple[Cell, ...]:
    measures = mapping(loop.get("measures"))
    return tuple(_make_cell(mapping(measures.get(name))) for name in LABELS)


def _make_cell(measure: Mapping[str, Any]) -> Cell:
    value = number(measure.get("value"))
    low, high = number(measure.get("low")), number(measure.get("high"))
    bounds = Interval(low, high) if low is not None and high is not None else None
    return Cell(MISSING if value is None else f"{value:.2f}", interval=bounds)


def _list_notes(runs: Sequence[Measured]) -> Iterator[str]:
    yield "A state is a draft or the answer; its value is the mean of its scores in points."
    for name, label in LABELS.items():
        unit = ", in percent" if name in SHARES else ""
        yield f"{label.removesuffix(' %')}: {MEASURES[name]}{unit}."
    yield (
        f"In brackets: {LEVEL:.0%} intervals by bootstrap over samples "
        f"({RESAMPLES} resamples, seed {SEED}); a cost has none where a resample gained nothing."
    )
    for run in runs:
        scorers = ", ".join(map(str, run.loop.get("value_of", ())))
        reasons = mapping(run.loop.get("stop_reasons"))
        shares = ", ".join(
            f"{reason} {mapping(share)['value']:.1f} %" for reason, share in reasons.items()
        )
        yield (
            f"{run.name}: {run.loop.get('n')} episodes of {run.loop.get('n_samples')} samples; "
            f"value is the mean of {scorers}; ended: {shares}."
        )
