"""P-values of paired differences, against scipy and by hand; Holm's correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rrvf.bootstrap import Samples
from rrvf.tables.significance import SWAPS, correct, count_swaps, find_p_values
from rrvf.types import Column
from tests.test_bootstrap import columns, made

Floats = NDArray[np.float64]
Figure = Callable[[Samples], float]

CLIP = (Column("clip", "CLIP", "clip"),)


def scored(*values: float, passed: Sequence[bool] | None = None) -> Samples:
    """One score a sample."""
    ran = np.array([True] * len(values) if passed is None else passed)
    return Samples(tuple(f"item-{i}" for i in range(len(values))), ran, {"clip": np.array(values)})


def p_of_scipy(first: Samples, second: Samples, figure: Figure, n_resamples: float) -> float:
    """What is swapped are places in the outcomes of both, so that any figure can be computed."""
    n = len(first.ids)

    def pick(places: Floats) -> Samples:
        sides = [(first, int(i)) if i < n else (second, int(i) - n) for i in places]
        values = {
            name: np.array([side.values[name][i] for side, i in sides]) for name in first.values
        }
        return Samples(first.ids, np.array([side.passed[i] for side, i in sides]), values)

    result = stats.permutation_test(
        (np.arange(n), np.arange(n) + n),
        lambda x, y: figure(pick(y)) - figure(pick(x)),
        permutation_type="samples",
        vectorized=False,
        n_resamples=n_resamples,
        alternative="two-sided",
        rng=np.random.default_rng(5),
    )
    return float(result.pvalue)


def mean_clip(samples: Samples) -> float:
    return float(samples.values["clip"].mean())


def text_of_those_that_ran(samples: Samples) -> float:
    return float(samples.values["text"][samples.passed].mean())


def overall(samples: Samples) -> float:
    parts = [samples.values[name].mean() for name in ("text", "layout", "type", "color")]
    return float((np.mean(parts) + samples.values["gpt"].mean()) / 2)


FIGURES: list[tuple[str, str, Figure]] = [
    ("websight", "clip", mean_clip),
    ("plot2code", "text_pass", text_of_those_that_ran),
    ("chartmimic", "overall", overall),
]


@pytest.mark.parametrize(("benchmark", "metric", "figure"), FIGURES)
@pytest.mark.parametrize("seed", [1, 3])
def test_exact_p_values_are_scipys(benchmark: str, metric: str, figure: Figure, seed: int) -> None:
    first, second = made(benchmark, seed, n=8), made(benchmark, seed + 1, n=8)
    ours = find_p_values(columns(benchmark), first, second)[metric]
    assert ours == pytest.approx(p_of_scipy(first, second, figure, np.inf), abs=1e-12)


@pytest.mark.parametrize(("benchmark", "metric", "figure"), FIGURES)
def test_drawn_p_values_are_scipys(benchmark: str, metric: str, figure: Figure) -> None:
    """Both draw at random; scipy doubles the smaller tail. Three standard errors of that."""
    first, second = made(benchmark, 6, n=40), made(benchmark, 7, n=40)
    ours = find_p_values(columns(benchmark), first, second)[metric]
    theirs = p_of_scipy(first, second, figure, 1000)
    tail = theirs / 2
    room = 3 * 2 * np.sqrt(tail * (1 - tail) * (1 / SWAPS + 1 / 1000))
    assert ours == pytest.approx(theirs, abs=room)


def test_p_values_of_many_samples_are_near_the_normal_ones() -> None:
    first, second = made("websight", seed=8, n=900), made("websight", seed=9, n=900)
    gains = second.values["clip"] - first.values["clip"]
    z = gains.sum() / np.sqrt((gains**2).sum())
    ours = find_p_values(columns("websight"), first, second)["clip"]
    assert ours == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.02)


@pytest.mark.parametrize(
    ("gains", "p"),
    [
        ((0.1, 0.2, 0.3), 2 / 8),  # as large are: all as they are, all swapped
        ((0.1, 0.2, 0.0), 2 / 4),  # of two that differ
        ((0.1, 0.2, -0.3), 1),  # no difference is smaller than none
        ((0.3, 0.3, -0.1), 4 / 8),  # 5, and 7 without the minus, either way round
        ((0.0, 0.0, 0.0), 1),
    ],
)
def test_p_values_by_hand(gains: tuple[float, ...], p: float) -> None:
    first = scored(*[0.5] * len(gains))
    second = scored(*(0.5 + gain for gain in gains))
    assert find_p_values(CLIP, first, second) == {"clip": p}
    assert find_p_values(CLIP, second, first) == {"clip": p}


def test_no_drawn_p_value_is_zero() -> None:
    first, second = scored(*[0.2] * 40), scored(*[0.3] * 40)
    assert find_p_values(CLIP, first, second) == {"clip": 1 / (SWAPS + 1)}
    assert find_p_values(CLIP, first, second, 99) == {"clip": 1 / 100}


def test_one_sample_has_no_p_value() -> None:
    assert find_p_values(CLIP, scored(0.1), scored(0.9)) == {}
    assert find_p_values((), scored(0.1, 0.2), scored(0.9, 0.9)) == {}


def test_what_one_side_did_not_measure_has_no_p_value() -> None:
    told = find_p_values(CLIP, scored(0.1, 0.2), scored(np.nan, np.nan))
    assert told == {}


def test_episodes_of_a_sample_are_swapped_together() -> None:
    owners = ("a",) * 4 + ("b",) * 4
    ids = tuple(f"{owner}#{i}" for i, owner in enumerate(owners))
    first, second = (
        Samples(ids, np.ones(8, dtype=np.bool_), {"clip": np.full(8, value)}, owners)
        for value in (0.2, 0.7)
    )
    assert find_p_values(CLIP, first, second) == {"clip": 2 / 4}
    alone = Samples(ids, first.passed, first.values, ("a",) * 8)
    assert find_p_values(CLIP, alone, second) == {}


def test_a_swap_that_leaves_no_sample_to_a_figure_counts_against_the_difference() -> None:
    """Each run has one answer that ran; swapped alone, both are one run's."""
    ran = (Column("clip_pass", "CLIP", "clip", over="ran"),)
    first = scored(1.0, 0.0, passed=[True, False])
    second = scored(0.0, 0.5, passed=[False, True])
    assert find_p_values(ran, first, second) == {"clip_pass": 1}


def test_under_the_null_one_in_twenty_is_below_a_twentieth() -> None:
    generator = np.random.default_rng(11)
    trials = 400
    n_below = 0
    for _ in range(trials):
        hard = generator.random(30)
        sides = [scored(*np.clip(hard + generator.normal(0, 0.1, 30), 0, 1)) for _ in range(2)]
        n_below += find_p_values(CLIP, sides[0], sides[1], 400)["clip"] <= 0.05
    assert stats.binomtest(n_below, trials, 0.05).pvalue > 0.01


# -------------------------------------------------------------------------------------- Holm


def test_holm_by_hand() -> None:
    # In order: 4 x 0.005 = 0.02, 3 x 0.01 = 0.03, 2 x 0.03 = 0.06, and 0.04, no less than before.
    assert correct([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct([0.5, 0.4]) == pytest.approx([0.8, 0.8])
    assert correct([0.9, 0.02, 0.9]) == pytest.approx([1, 0.06, 1])
    assert correct([0.3]) == [0.3]
    assert correct([]) == []


def test_large_families_draw_enough_for_holms_factor() -> None:
    assert count_swaps(24) == SWAPS
    assert 1000 / (count_swaps(1000) + 1) < 0.05
    assert count_swaps(10**6) == 100_000, "whoever waits for it"
