"""Runs on the same samples: what each gains over the others, and on which samples.

Two runs are compared at a time. Differences are second minus first, over the samples that all runs
have. The interval resamples samples, not runs: both runs keep their scores of a drawn sample, so
samples that are hard for both cancel out. P-values are those of :mod:`rrvf.tables.significance`;
all p-values of a comparison are one family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rrvf.bootstrap import Interval, Samples, figures_by_row, interval
from rrvf.errors import DataError
from rrvf.report.values import mapping
from rrvf.tables.labels import group_samples, read_labels
from rrvf.tables.measured import Measured, differences, read_runs
from rrvf.tables.significance import SWAPS, correct, count_swaps, find_p_values
from rrvf.types import Column

MOST = 10
"""Changed samples that are listed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of two runs, over the samples of a group, in the table's unit.

    Attributes:
        interval: ``None`` for fewer than two samples.
        p: The p-value of the difference; ``None`` for fewer than two samples.
        holm: The same, corrected for the whole comparison.
    """

    metric: str
    first: float
    second: float
    interval: Interval | None
    p: float | None = None
    holm: float | None = None

    @property
    def value(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the samples.

    Attributes:
        label: Of their tag; ``None`` for all samples.
        n: How many.
        differences: Of the columns that both runs measured.
    """

    label: str | None
    n: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One sample whose scores differ: scorer -> (first, second), and the mean difference."""

    sample_id: str
    mean: float
    values: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two of the runs.

    Attributes:
        groups: All samples, then those of each label, where a tag was named.
        unlike: What differs between the runs' settings, besides the samples.
        changes: Samples that changed most, the largest change first.
        n_changed: All that changed.
        n_other_pictures: Samples whose reference was drawn, and looks otherwise in each run.
    """

    first: Measured
    second: Measured
    groups: tuple[Group, ...]
    unlike: tuple[str, ...]
    changes: tuple[Change, ...]
    n_changed: int
    n_other_pictures: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The paired comparison of two runs or more.

    Attributes:
        n: Samples that all of them hold.
        alone: Those of each run that another one lacks.
        tag: What the samples are grouped by, if anything.
        pairs: Each run against each before it.
        n_swaps: Ways to swap outcomes that a p-value draws at most.
    """

    runs: tuple[Measured, ...]
    n: int
    alone: tuple[int, ...]
    tag: str | None
    pairs: tuple[Pair, ...]
    n_swaps: int

    @property
    def n_tests(self) -> int:
        """P-values of the comparison, the family that Holm's correction is for."""
        return len(_list_p_values(self.pairs))

    @property
    def n_untagged(self) -> int:
        """Samples that stand in no group."""
        groups = self.pairs[0].groups if self.tag is not None else ()
        return self.n - sum(group.n for group in groups[1:]) if groups else 0

    @property
    def benchmark(self) -> str:
        """Whose runs they are."""
        return self.runs[0].benchmark

    @property
    def labels(self) -> dict[str, str]:
        """Metric -> its name as printed in the benchmark's table."""
        titles = {column.key: column.title for column in self.runs[0].columns}
        return titles | {
            column.key: f"{column.label} {column.sub}".strip()
            for column in self.runs[0].table().columns
        }


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the samples, as each run scored them."""

    label: str | None
    sides: Sequence[Samples]

    @property
    def n(self) -> int:
        """Samples, however many episodes each has."""
        return len(set(self.sides[0].units()))


def compare_runs(folders: Sequence[Path], tag: str | None = None) -> Comparison:
    """Compare run folders.

    Args:
        folders: Of two runs or more.
        tag: Of the samples; they are compared label by label as well.

    Raises:
        DataError: A folder is no run, they are of different benchmarks or share no sample, or no
            sample has the tag.
    """
    runs = _read_comparable_runs(folders)
    names, sides = _find_shared(runs)
    labels = {} if tag is None else read_labels(runs, tag)
    numbers = list(combinations(range(len(runs)), 2))
    parts = _split(names, sides, labels)
    n_swaps = count_swaps(len(runs[0].columns) * len(numbers) * sum(part.n > 1 for part in parts))
    groups: dict[tuple[int, int], list[Group]] = {pair: [] for pair in numbers}
    for part in parts:
        table = paired_differences(runs[0].columns, part.sides, n_swaps)
        for pair, entries in table.items():
            groups[pair].append(Group(part.label, part.n, tuple(entries)))
    averages = [side.average() for side in sides]
    pairs = [
        _make_pair((runs[i], runs[j]), (averages[i], averages[j]), groups[i, j]) for i, j in numbers
    ]
    return Comparison(
        runs=tuple(runs),
        n=len(averages[0].ids),
        alone=tuple(len(run.samples.ids) - len(names) for run in runs),
        tag=tag,
        pairs=tuple(_correct(pairs)),
        n_swaps=n_swaps,
    )


def paired_differences(
    columns: Sequence[Column], sides: Sequence[Samples], n_swaps: int = SWAPS
) -> dict[tuple[int, int], list[Difference]]:
    """The columns that both sides of a pair measured, for each pair of sides.

    Args:
        columns: Of the benchmark's table.
        sides: Scores of the same n samples in the same order.
        n_swaps: Ways to swap outcomes that a p-value draws at most.

    Returns:
        Numbers of two sides, from 0, -> differences of the second to the first.
    """
    sides = _keep_commonly_scored(sides)
    is_one = len(set(sides[0].units())) < 2
    ones, resamples = np.ones((1, len(sides[0].ids))), sides[0].resample()
    figures = [figures_by_row(columns, side, ones) for side in sides]
    resampled = [figures_by_row(columns, side, resamples) for side in sides]
    table: dict[tuple[int, int], list[Difference]] = {}
    for i, j in combinations(range(len(sides)), 2):
        p_values = find_p_values(columns, sides[i], sides[j], n_swaps)
        table[i, j] = [
            Difference(
                name,
                float(figures[i][name][0]),
                float(figures[j][name][0]),
                None if is_one else interval(resampled[j][name] - resampled[i][name]),
                p_values.get(name),
            )
            for name in figures[i]
            if not np.isnan(figures[i][name] + figures[j][name])
        ]
    return table


def _read_comparable_runs(folders: Sequence[Path]) -> list[Measured]:
    for folder in folders:
        if folders.count(folder) > 1:
            raise DataError(f"{folder} was named twice; name each run once")
    if len(folders) < 2:
        raise DataError("one run cannot be compared; name two or more: --compare RUN RUN...")
    first, *others = read_runs(folders)
    for run in others:
        if run.benchmark != first.benchmark:
            raise DataError(
                f"{first.run.folder} is a run of {first.benchmark}, {run.run.folder} of "
                f"{run.benchmark}; only runs of one benchmark can be compared"
            )
        if bool(run.samples.owners) != bool(first.samples.owners):
            raise DataError(
                f"one of {first.run.folder} and {run.run.folder} has several episodes a sample, "
                "the other has one; compare runs of one kind"
            )
    return [first, *others]


def _find_shared(runs: Sequence[Measured]) -> tuple[list[str], list[Samples]]:
    """The names of the samples that all runs hold, and the scores of these in each run."""
    places = [{name: i for i, name in enumerate(run.samples.ids)} for run in runs]
    names = [name for name in runs[0].samples.ids if all(name in place for place in places)]
    if not names:
        folders = ", ".join(str(run.run.folder) for run in runs)
        raise DataError(f"{folders} have no sample in common; name runs on the same data")
    return names, [
        run.samples.at([place[name] for name in names])
        for run, place in zip(runs, places, strict=True)
    ]


def _split(
    names: Sequence[str], sides: Sequence[Samples], labels: Mapping[str, str]
) -> list[_Part]:
    """All samples, then those of each label."""
    groups = [(None, [*range(len(names))]), *group_samples(names, labels).items()]
    return [_Part(label, [side.at(places) for side in sides]) for label, places in groups]


def _make_pair(
    runs: tuple[Measured, Measured], averages: tuple[Samples, Samples], groups: Sequence[Group]
) -> Pair:
    changes = sorted(_changes(*averages), key=lambda change: -abs(change.mean))
    settings = [{k: v for k, v in run.setting.items() if k != "samples"} for run in runs]
    return Pair(
        *runs,
        groups=tuple(groups),
        unlike=tuple(differences(*settings)),
        changes=tuple(changes[:MOST]),
        n_changed=len(changes),
        n_other_pictures=_other_pictures(*runs),
    )


def _correct(pairs: Sequence[Pair]) -> list[Pair]:
    """Holm's correction of all p-values as one family."""
    corrected = iter(correct(_list_p_values(pairs)))
    return [
        replace(
            pair,
            groups=tuple(
                replace(
                    group,
                    differences=tuple(
                        entry if entry.p is None else replace(entry, holm=next(corrected))
                        for entry in group.differences
                    ),
                )
                for group in pair.groups
            ),
        )
        for pair in pairs
    ]


def _list_p_values(pairs: Sequence[Pair]) -> list[float]:
    return [
        entry.p
        for pair in pairs
        for group in pair.groups
        for entry in group.differences
        if entry.p is not None
    ]


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


def _keep_commonly_scored(sides: Sequence[Samples]) -> list[Samples]:
    """A value counts where all sides have one that measured its score at all.

    So a run has one figure, whichever run it is compared to.
    """
    names = dict.fromkeys(name for side in sides for name in side.values)
    gaps: dict[str, NDArray[np.bool_]] = {}
    for name in names:
        blanks = [np.isnan(side.values[name]) for side in sides if name in side.values]
        gaps[name] = np.any([blank for blank in blanks if not blank.all()], axis=0)
    return [
        replace(
            side,
            values={
                name: np.where(gaps[name], np.nan, values) for name, values in side.values.items()
            },
        )
        for side in sides
    ]


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
