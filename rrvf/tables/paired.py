"""Two runs on the same samples: what the second gains over the first, and on which of them.

Differences are second minus first, over the samples that both runs hold. The interval resamples
samples, not runs: both runs keep their scores of a drawn sample, so that what makes a sample hard
for both cancels out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rrvf.bootstrap import (
    LEVEL,
    RESAMPLES,
    SEED,
    Interval,
    Samples,
    figures_by_row,
    interval,
)
from rrvf.errors import DataError
from rrvf.report.values import mapping
from rrvf.tables.measured import Measured, differences, read_runs
from rrvf.types import Column

MOST = 10
"""Changed samples that are listed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of both runs, over the samples they share, in the table's unit."""

    metric: str
    first: float
    second: float
    interval: Interval | None

    @property
    def value(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Change:
    """One sample whose scores differ: scorer -> (first, second), and the mean difference."""

    sample_id: str
    mean: float
    values: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The paired comparison of two runs.

    Attributes:
        n: Samples that both hold.
        alone: Samples that only the first, only the second holds.
        unlike: What differs between their settings, besides the samples.
        differences: Of the columns that both measured.
        changes: Samples that changed most, the largest change first.
        n_changed: All that changed.
        n_other_pictures: Samples whose reference was drawn, and looks otherwise in each run.
    """

    first: Measured
    second: Measured
    n: int
    alone: tuple[int, int]
    unlike: tuple[str, ...]
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]
    n_changed: int
    n_other_pictures: int


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare two run folders.

    Raises:
        DataError: A folder is no run, they are of different benchmarks, or share no sample.
    """
    runs = read_runs([first, second])
    if len(runs) != 2:
        raise DataError(f"{first} was named twice; name two runs to compare")
    one, two = runs
    if one.benchmark != two.benchmark:
        raise DataError(
            f"{first} is a run of {one.benchmark}, {second} of {two.benchmark}; "
            "only runs of one benchmark can be compared"
        )
    if bool(one.samples.owners) != bool(two.samples.owners):
        raise DataError(
            f"one of {first} and {second} has several episodes a sample, the other has one; "
            "compare runs of one kind"
        )
    here = {name: i for i, name in enumerate(two.samples.ids)}
    pairs = [(i, here[name]) for i, name in enumerate(one.samples.ids) if name in here]
    if not pairs:
        raise DataError(
            f"{first} and {second} have no sample in common; name runs on the same data"
        )
    left = one.samples.at([i for i, _ in pairs])
    right = two.samples.at([j for _, j in pairs])
    averages = left.average(), right.average()
    changes = sorted(_changes(*averages), key=lambda change: -abs(change.mean))
    settings = [{k: v for k, v in run.setting.items() if k != "samples"} for run in runs]
    return Comparison(
        one,
        two,
        len(averages[0].ids),
        (len(one.samples.ids) - len(pairs), len(two.samples.ids) - len(pairs)),
        tuple(differences(*settings)),
        tuple(paired_differences(one.columns, left, right)),
        tuple(changes[:MOST]),
        len(changes),
        _other_pictures(one, two),
    )


def _other_pictures(first: Measured, second: Measured) -> int:
    """Names of pictures tell their content."""
    known = [
        {
            line["sample_id"]: name
            for line in run.run.lines
            if (name := mapping(line.get("pictures")).get("reference"))
        }
        for run in (first, second)
    ]
    return sum(known[1].get(sample_id, name) != name for sample_id, name in known[0].items())


def paired_differences(
    columns: Sequence[Column], first: Samples, second: Samples
) -> list[Difference]:
    """The columns that both sides measured; samples that one side could not score are left out.

    Args:
        columns: Of the benchmark's table.
        first: Scores of n samples.
        second: Scores of the same samples in the same order.
    """
    first, second = _both_scored(first, second)
    once, often = np.ones((1, len(first.ids))), first.resample()
    before, after = (figures_by_row(columns, side, once) for side in (first, second))
    drawn = [figures_by_row(columns, side, often) for side in (first, second)]
    values = {name: (float(row[0]), float(after[name][0])) for name, row in before.items()}
    return [
        Difference(name, *pair, interval(drawn[1][name] - drawn[0][name]))
        for name, pair in values.items()
        if not np.isnan(pair).any()
    ]


def render_comparison(first: Path, second: Path) -> str:
    """The comparison of two run folders in Markdown.

    Raises:
        DataError: See :func:`compare_runs`.
    """
    return "\n".join(_lines(compare_runs(first, second))) + "\n"


def _both_scored(first: Samples, second: Samples) -> tuple[Samples, Samples]:
    """A value counts where the other side has one, too."""
    names = [name for name in first.values if name in second.values]
    open_ = {n: np.isnan(first.values[n]) | np.isnan(second.values[n]) for n in names}
    one, two = (
        Samples(
            side.ids,
            side.passed,
            {name: np.where(open_[name], np.nan, side.values[name]) for name in names},
            side.owners,
        )
        for side in (first, second)
    )
    return one, two


def _changes(first: Samples, second: Samples) -> Iterator[Change]:
    names = [name for name in first.values if name in second.values]
    for i, sample_id in enumerate(first.ids):
        pairs = {
            name: (float(first.values[name][i]), float(second.values[name][i])) for name in names
        }
        known = {name: pair for name, pair in pairs.items() if not np.isnan(pair).any()}
        changed = {name: pair for name, pair in known.items() if pair[0] != pair[1]}
        if changed:
            mean = sum(after - before for before, after in known.values()) / len(known)
            yield Change(sample_id, mean, changed)


def _lines(told: Comparison) -> Iterator[str]:
    labels = {column.key: column.title for column in told.first.columns} | {
        column.key: f"{column.label} {column.sub}".strip() for column in told.first.table().columns
    }
    first, second = _text(told.first.name), _text(told.second.name)
    yield f"#### {second} against {first}: {told.n} samples of {told.first.benchmark}"
    yield ""
    yield f"| Metric | {first} | {second} | Difference | {LEVEL:.0%} interval |"
    yield "| :--- | ---: | ---: | ---: | :---: |"
    for entry in told.differences:
        low, high = (entry.interval.low, entry.interval.high) if entry.interval else (0.0, 0.0)
        bounds = f"[{low:+.2f}, {high:+.2f}]" if entry.interval else "–"
        yield (
            f"| {labels[entry.metric]} | {entry.first:.2f} | {entry.second:.2f} | "
            f"{entry.value:+.2f} | {bounds} |"
        )
    yield ""
    yield f"* Paired bootstrap over samples, {RESAMPLES} resamples, seed {SEED}."
    yield from (f"* {note}" for note in _remarks(told))
    yield ""
    if not told.changes:
        yield "No sample changed."
        return
    yield f"Samples that changed most, of {told.n_changed} that changed:"
    yield ""
    for change in told.changes:
        each = ", ".join(f"{n} {a:.2f} -> {b:.2f}" for n, (a, b) in change.values.items())
        yield f"* {_text(change.sample_id)}: {change.mean:+.2f} ({each})"


def _remarks(told: Comparison) -> Iterator[str]:
    for run, n in zip((told.first, told.second), told.alone, strict=True):
        if n:
            yield f"{n} samples stand only in {_text(run.name)} and are left out."
        if not run.finished:
            yield f"{_text(run.name)} is unfinished."
    if told.n_other_pictures:
        yield (
            f"**Perhaps not the same data**: {told.n_other_pictures} of these samples have another "
            "picture of the reference in each run."
        )
    if told.unlike:
        yield f"**Not the same setting**: {_text('; '.join(told.unlike))}."


def _text(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`|<>*_" else c if c.isprintable() else " " for c in text)
