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
    first_run, second_run = runs
    if first_run.benchmark != second_run.benchmark:
        raise DataError(
            f"{first} is a run of {first_run.benchmark}, {second} of {second_run.benchmark}; "
            "only runs of one benchmark can be compared"
        )
    if bool(first_run.samples.owners) != bool(second_run.samples.owners):
        raise DataError(
            f"one of {first} and {second} has several episodes a sample, the other has one; "
            "compare runs of one kind"
        )
    places = {name: i for i, name in enumerate(second_run.samples.ids)}
    pairs = [(i, places[name]) for i, name in enumerate(first_run.samples.ids) if name in places]
    if not pairs:
        raise DataError(
            f"{first} and {second} have no sample in common; name runs on the same data"
        )
    first_samples = first_run.samples.at([i for i, _ in pairs])
    second_samples = second_run.samples.at([j for _, j in pairs])
    averages = first_samples.average(), second_samples.average()
    changes = sorted(_changes(*averages), key=lambda change: -abs(change.mean))
    settings = [{k: v for k, v in run.setting.items() if k != "samples"} for run in runs]
    return Comparison(
        first_run,
        second_run,
        len(averages[0].ids),
        (len(first_run.samples.ids) - len(pairs), len(second_run.samples.ids) - len(pairs)),
        tuple(differences(*settings)),
        tuple(paired_differences(first_run.columns, first_samples, second_samples)),
        tuple(changes[:MOST]),
        len(changes),
        _other_pictures(first_run, second_run),
    )


def _other_pictures(first: Measured, second: Measured) -> int:
    """Names of pictures tell their content."""
    pictures = [
        {
            line["sample_id"]: name
            for line in run.run.lines
            if (name := mapping(line.get("pictures")).get("reference"))
        }
        for run in (first, second)
    ]
    return sum(pictures[1].get(sample_id, name) != name for sample_id, name in pictures[0].items())


def paired_differences(
    columns: Sequence[Column], first: Samples, second: Samples
) -> list[Difference]:
    """The columns that both sides measured; samples that one side could not score are left out.

    Args:
        columns: Of the benchmark's table.
        first: Scores of n samples.
        second: Scores of the same samples in the same order.
    """
    first, second = _keep_both_scored(first, second)
    ones, resamples = np.ones((1, len(first.ids))), first.resample()
    first_figures, second_figures = (
        figures_by_row(columns, side, ones) for side in (first, second)
    )
    figures = [figures_by_row(columns, side, resamples) for side in (first, second)]
    values = {
        name: (float(row[0]), float(second_figures[name][0])) for name, row in first_figures.items()
    }
    return [
        Difference(name, *pair, interval(figures[1][name] - figures[0][name]))
        for name, pair in values.items()
        if not np.isnan(pair).any()
    ]


def render_comparison(first: Path, second: Path) -> str:
    """The comparison of two run folders in Markdown.

    Raises:
        DataError: See :func:`compare_runs`.
    """
    return "\n".join(_lines(compare_runs(first, second))) + "\n"


def _keep_both_scored(first: Samples, second: Samples) -> tuple[Samples, Samples]:
    """A value counts where the other side has one, too."""
    names = [name for name in first.values if name in second.values]
    gaps = {n: np.isnan(first.values[n]) | np.isnan(second.values[n]) for n in names}
    first_side, second_side = (
        Samples(
            side.ids,
            side.passed,
            {name: np.where(gaps[name], np.nan, side.values[name]) for name in names},
            side.owners,
        )
        for side in (first, second)
    )
    return first_side, second_side


def _changes(first: Samples, second: Samples) -> Iterator[Change]:
    names = [name for name in first.values if name in second.values]
    for i, sample_id in enumerate(first.ids):
        pairs = {
            name: (float(first.values[name][i]), float(second.values[name][i])) for name in names
        }
        scored_pairs = {name: pair for name, pair in pairs.items() if not np.isnan(pair).any()}
        changed_pairs = {name: pair for name, pair in scored_pairs.items() if pair[0] != pair[1]}
        if changed_pairs:
            gains = [
                second_value - first_value for first_value, second_value in scored_pairs.values()
            ]
            yield Change(sample_id, sum(gains) / len(gains), changed_pairs)


def _lines(comparison: Comparison) -> Iterator[str]:
    labels = {column.key: column.title for column in comparison.first.columns} | {
        column.key: f"{column.label} {column.sub}".strip()
        for column in comparison.first.table().columns
    }
    first, second = _text(comparison.first.name), _text(comparison.second.name)
    yield f"#### {second} against {first}: {comparison.n} samples of {comparison.first.benchmark}"
    yield ""
    yield f"| Metric | {first} | {second} | Difference | {LEVEL:.0%} interval |"
    yield "| :--- | ---: | ---: | ---: | :---: |"
    for entry in comparison.differences:
        low, high = (entry.interval.low, entry.interval.high) if entry.interval else (0.0, 0.0)
        bounds = f"[{low:+.2f}, {high:+.2f}]" if entry.interval else "–"
        yield (
            f"| {labels[entry.metric]} | {entry.first:.2f} | {entry.second:.2f} | "
            f"{entry.value:+.2f} | {bounds} |"
        )
    yield ""
    yield f"* Paired bootstrap over samples, {RESAMPLES} resamples, seed {SEED}."
    yield from (f"* {note}" for note in _remarks(comparison))
    yield ""
    if not comparison.changes:
        yield "No sample changed."
        return
    yield f"Samples that changed most, of {comparison.n_changed} that changed:"
    yield ""
    for change in comparison.changes:
        values = ", ".join(f"{n} {a:.2f} -> {b:.2f}" for n, (a, b) in change.values.items())
        yield f"* {_text(change.sample_id)}: {change.mean:+.2f} ({values})"


def _remarks(comparison: Comparison) -> Iterator[str]:
    for run, n in zip((comparison.first, comparison.second), comparison.alone, strict=True):
        if n:
            yield f"{n} samples stand only in {_text(run.name)} and are left out."
        if not run.finished:
            yield f"{_text(run.name)} is unfinished."
    if comparison.n_other_pictures:
        yield (
            f"**Perhaps not the same data**: {comparison.n_other_pictures} of these samples have "
            "another picture of the reference in each run."
        )
    if comparison.unlike:
        yield f"**Not the same setting**: {_text('; '.join(comparison.unlike))}."


def _text(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`|<>*_" else c if c.isprintable() else " " for c in text)
