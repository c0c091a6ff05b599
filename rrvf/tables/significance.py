"""Do two runs differ by more than chance? Swaps of their outcomes, and Holm's correction.

If both runs answered equally well, the outcomes of any sample could be exchanged. So outcomes are
swapped at random, sample by sample, and the figures are computed again. The p-value is the share of
swaps whose difference is at least as large as the real one. This works for every figure that is
computed from outcomes, ratios included; for a mean over all samples it is the paired sign-flip
test. Episodes of one sample are swapped together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rrvf.bootstrap import SEED, Floats, Samples, add_means, terms
from rrvf.types import Column

SWAPS = 10_000
SWAPS_PER_TEST, MOST_SWAPS = 100, 100_000
"""More for a large family of p-values, so that Holm's factor leaves room below 0.05."""

_TIE = 1e-9
"""Differences that differ by less are equal: they are sums of the same scores in another order."""

_CELLS = 4_000_000
"""Of the swaps that are held at once as numbers."""


def count_swaps(n_tests: int) -> int:
    """How many ways to swap are drawn for each p-value of a family."""
    return min(MOST_SWAPS, max(SWAPS, SWAPS_PER_TEST * n_tests))


def find_p_values(
    columns: Sequence[Column], first: Samples, second: Samples, count: int = SWAPS
) -> dict[str, float]:
    """The two-sided p-value of the difference in each column that both sides measured.

    Where the samples that differ can be swapped in at most ``count`` ways, each is taken once and
    the values are exact. Else so many are drawn, and the real outcome counts as one more of them,
    so that no value is 0. A swap that leaves a figure without samples counts as an extreme one.

    Args:
        columns: Of the benchmark's table.
        first: Scores of n samples.
        second: Scores of the same samples in the same order.
        count: How many ways are drawn at most.

    Returns:
        Key -> p-value; empty for fewer than two samples.
    """
    if not columns or len(set(first.units())) < 2:
        return {}
    sums = _add_up(columns, first, second)
    n = len(sums.gains)
    sizes = {
        name: abs(float(row[0]))
        for name, row in sums.find_differences(np.zeros((1, n))).items()
        if not np.isnan(row[0])
    }
    extremes, n_ways = dict.fromkeys(sizes, 0), 0
    for swaps in _draw_swaps(n, count):
        n_ways += len(swaps)
        table = sums.find_differences(swaps)
        for name, size in sizes.items():
            smaller = np.abs(table[name]) < size - _TIE  # false for NaN, too
            extremes[name] += int(np.count_nonzero(~smaller))
    real = 0 if _is_exact(n, count) else 1
    return {name: (m + real) / (n_ways + real) for name, m in extremes.items()}


def correct(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of one family of p-values, in the order given."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


@dataclass(frozen=True, slots=True)
class _Sums:
    """Two runs, as far as their figures go.

    Attributes:
        columns: Of the benchmark's table; c of them are those of a scorer.
        totals: What these c add up, then what they divide by: of either run, shape (2, 2 c).
        gains: What the first run's totals gain, and the second's lose, when the outcomes of a
            sample are swapped; of the n samples with which any total changes, shape (n, 2 c).
    """

    columns: Sequence[Column]
    totals: Floats
    gains: Floats

    def find_differences(self, swaps: Floats) -> Mapping[str, Floats]:
        """Second minus first in each column, for each row of swaps.

        Args:
            swaps: 1 where a sample's outcomes are swapped, shape (b, n).
        """
        gained = swaps @ self.gains
        firsts = self._find_figures(self.totals[0] + gained)
        seconds = self._find_figures(self.totals[1] - gained)
        return {name: seconds[name] - row for name, row in firsts.items()}

    def _find_figures(self, totals: Floats) -> dict[str, Floats]:
        scored = [column for column in self.columns if not column.mean_of]
        with np.errstate(invalid="ignore", divide="ignore"):
            quotients = totals[:, : len(scored)] / totals[:, len(scored) :]
        rows = {column.key: column.scale * quotients[:, i] for i, column in enumerate(scored)}
        with np.errstate(invalid="ignore"):
            return add_means(self.columns, rows)


def _add_up(columns: Sequence[Column], first: Samples, second: Samples) -> _Sums:
    scored = [column for column in columns if not column.mean_of]
    units = first.units()
    sides: list[Floats] = []
    for samples in (first, second):
        values, counts = zip(*(terms(column, samples) for column in scored), strict=True)
        by_episode = np.stack([*values, *counts], axis=1)
        by_unit = np.zeros((units.max() + 1, by_episode.shape[1]))
        np.add.at(by_unit, units, by_episode)
        sides.append(by_unit)
    gains = sides[1] - sides[0]
    totals = np.stack([side.sum(axis=0) for side in sides])
    return _Sums(columns, totals, gains[(gains != 0).any(axis=1)])


def _is_exact(n: int, count: int) -> bool:
    return 2**n <= count


def _draw_swaps(n: int, count: int) -> Iterator[Floats]:
    """Which of n samples are swapped: every way once, or ``count`` ways where there are more."""
    if _is_exact(n, count):
        numbers: NDArray[np.int64] = np.arange(1 << n)[:, None]
        yield ((numbers >> np.arange(n)) % 2).astype(np.float64)
        return
    generator = np.random.default_rng(SEED)
    size = max(1, _CELLS // n)
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield generator.integers(0, 2, size=(rows, n), dtype=np.uint8).astype(np.float64)
