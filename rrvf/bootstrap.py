"""Confidence intervals of a run's figures: the bootstrap over samples.

A resample draws as many samples as there are, with replacement. It is stored as the number of
times that it contains each sample, so a column of the table becomes a weighted mean. The interval
lies between percentiles of the column's resampled values (Efron's percentile method).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rrvf.types import Column, SampleResult

RESAMPLES = 4000
SEED = 0
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """The scores of a run, sample by sample.

    Attributes:
        ids: Of the samples.
        passed: Whether a sample's answer ran, shape (n,).
        values: Scorer -> values in [0, 1], NaN where there is none, shape (n,).
        owners: Whose each of them is, where several are episodes of one sample; they are drawn
            together. Empty where each stands for itself.
    """

    ids: tuple[str, ...]
    passed: NDArray[np.bool_]
    values: Mapping[str, Floats]
    owners: tuple[str, ...] = ()

    def at(self, indices: Sequence[int]) -> Samples:
        """Some of them, in the order given."""
        places = np.array(indices, dtype=np.intp)
        values = {name: column[places] for name, column in self.values.items()}
        owners = tuple(self.owners[i] for i in indices) if self.owners else ()
        return Samples(tuple(self.ids[i] for i in indices), self.passed[places], values, owners)

    def average(self) -> Samples:
        """One value for each owner: the mean of its episodes that have one."""
        if not self.owners:
            return self
        names = tuple(dict.fromkeys(self.owners))
        places = [[i for i, owner in enumerate(self.owners) if owner == name] for name in names]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is nothing
            values = {
                scorer: np.array([float(np.nanmean(column[group])) for group in places])
                for scorer, column in self.values.items()
            }
        passed = np.array([self.passed[group].any() for group in places], dtype=np.bool_)
        return Samples(names, passed, values)

    def units(self) -> NDArray[np.intp]:
        """The number of each one's owner, from 0; without owners each is a unit of its own."""
        owners = self.owners or self.ids
        numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
        return np.array([numbers[owner] for owner in owners], dtype=np.intp)

    def resample(self) -> Floats:
        """How often each of them counts in each resample, shape (resamples, n)."""
        units = self.units()
        counts = resamples(len(set(units)))
        return counts[:, units] if self.owners else counts


def read_results(results: Sequence[SampleResult]) -> Samples:
    """The scores of results; several episodes of one sample belong together."""
    names = dict.fromkeys(name for result in results for name in result.scores)
    values = {name: np.array([_value(result, name) for result in results]) for name in names}
    is_repeated = any("repeat" in result.tags for result in results)
    return Samples(
        tuple(result.sample_id for result in results),
        np.array([result.status == "ok" for result in results], dtype=np.bool_),
        values,
        tuple(result.tags.get("sample", result.sample_id) for result in results)
        if is_repeated
        else (),
    )


def _value(result: SampleResult, scorer: str) -> float:
    score = result.scores.get(scorer)
    return float("nan") if score is None or score.value is None else float(score.value)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a probability of :data:`LEVEL`, in the figure's own unit."""

    low: float
    high: float


def figures_by_row(
    columns: Sequence[Column], samples: Samples, weights: Floats
) -> dict[str, Floats]:
    """The columns of the table for each row of weights.

    Args:
        columns: Of the table.
        samples: The scores, n of them.
        weights: How often each sample counts, shape (b, n).

    Returns:
        Key -> figures in the table's unit, shape (b,), NaN where nothing was measured.
    """
    return add_means(
        columns,
        {column.key: _mean(column, samples, weights) for column in columns if not column.mean_of},
    )


def add_means(columns: Sequence[Column], measured: Mapping[str, Floats]) -> dict[str, Floats]:
    """All columns of the table, those that are means of others too.

    Args:
        columns: Of the table.
        measured: Those of a scorer.
    """
    table: dict[str, Floats] = {}
    for column in columns:
        if column.mean_of:
            parts = [table[key] for key in column.mean_of]
            table[column.key] = sum(parts[1:], parts[0]) / len(parts)
        else:
            table[column.key] = measured[column.key]
    return table


def figures(columns: Sequence[Column], samples: Samples) -> dict[str, float | None]:
    """The columns of the table, ``None`` where nothing was measured."""
    table = figures_by_row(columns, samples, np.ones((1, len(samples.ids))))
    return {name: None if math.isnan(row[0]) else float(row[0]) for name, row in table.items()}


def mean_of(column: Column, samples: Samples) -> float | None:
    """One mean over some samples; ``None`` where nothing was measured."""
    [value] = _mean(column, samples, np.ones((1, len(samples.ids))))
    return None if math.isnan(value) else float(value)


def intervals(columns: Sequence[Column], samples: Samples) -> dict[str, Interval]:
    """The interval of each column that was measured on two samples or more."""
    if len(samples.ids) < 2:
        return {}
    table = figures_by_row(columns, samples, samples.resample())
    bounds = {name: interval(row) for name, row in table.items()}
    return {name: ends for name, ends in bounds.items() if ends is not None}


def resamples(n: int, count: int = RESAMPLES, seed: int = SEED) -> Floats:
    """How often each of n samples is drawn in each resample, shape (count, n)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, np.full(n, 1 / n), size=count).astype(np.float64)


def interval(values: Floats) -> Interval | None:
    """Between the percentiles; ``None`` where no resample has a value."""
    numbers = values[~np.isnan(values)]
    if numbers.size == 0:
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(numbers, [tail, 100 - tail])
    return Interval(float(low), float(high))


def terms(column: Column, samples: Samples) -> tuple[Floats, Floats]:
    """What a column of a scorer adds up, and what it divides by, sample by sample."""
    blanks = np.full(len(samples.ids), np.nan)
    values = samples.values.get(column.scorer, blanks)
    mask = ~np.isnan(values)
    if column.over == "ran":
        mask &= samples.passed
    return np.where(mask, values, 0.0), mask.astype(np.float64)


def _mean(column: Column, samples: Samples, weights: Floats) -> Floats:
    values, counts = terms(column, samples)
    with np.errstate(invalid="ignore", divide="ignore"):
        return column.scale * (weights @ values) / (weights @ counts)
