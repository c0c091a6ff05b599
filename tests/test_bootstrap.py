"""Intervals and paired differences, against scipy and against the benchmarks' own rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rrvf.benchmarks import BENCHMARKS
from rrvf.benchmarks.benchmark import compute_metrics
from rrvf.bootstrap import Interval, Samples, figures, intervals, resamples
from rrvf.tables.paired import paired_differences
from rrvf.types import Column, SampleResult, Score

N = 120
Floats = NDArray[np.float64]

SCORES: Mapping[str, tuple[str, ...]] = {
    "chartmimic": ("execution", "text", "layout", "type", "color", "gpt"),
    "plot2code": ("execution", "text", "gpt"),
    "websight": ("execution", "clip", "gpt"),
}


def columns(benchmark: str) -> Sequence[Column]:
    return BENCHMARKS[benchmark].columns


def made(benchmark: str, seed: int, n: int = N, missing: float = 0.0) -> Samples:
    """Random scores; those of answers that did not run are 0."""
    generator = np.random.default_rng(seed)
    passed = generator.random(n) < 0.8
    values = {name: np.where(passed, generator.random(n), 0.0) for name in SCORES[benchmark]}
    values["execution"] = passed.astype(np.float64)
    for name in values:
        values[name][generator.random(n) < missing] = np.nan
    return Samples(tuple(f"item-{i}" for i in range(n)), passed, values)


def as_results(samples: Samples) -> list[SampleResult]:
    return [
        SampleResult(
            sample_id,
            "ok" if samples.passed[i] else "code_error",
            None,
            0.0,
            {
                name: Score(None if np.isnan(column[i]) else float(column[i]))
                for name, column in samples.values.items()
            },
        )
        for i, sample_id in enumerate(samples.ids)
    ]


def like_scipy(ours: Interval, data: tuple[Floats, ...], statistic: Callable[..., float]) -> bool:
    """Both draw at random: ends may differ by a twentieth of the width."""
    theirs = stats.bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=4000,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    room = 0.05 * (theirs.high - theirs.low)
    return abs(ours.low - theirs.low) < room and abs(ours.high - theirs.high) < room


@pytest.mark.parametrize("benchmark", SCORES)
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_figures_are_those_of_the_benchmarks_rule(benchmark: str, missing: float) -> None:
    samples = made(benchmark, seed=1, missing=missing)
    wanted = compute_metrics(columns(benchmark), as_results(samples))
    told = figures(columns(benchmark), samples)
    assert told
    for name, value in told.items():
        assert value == pytest.approx(wanted[name], abs=1e-9)


def test_what_no_judge_looked_at_has_no_figure() -> None:
    samples = made("chartmimic", seed=1)
    samples.values["gpt"][:] = np.nan
    told = figures(columns("chartmimic"), samples)
    assert told["gpt"] is None
    assert told["overall"] is None
    assert {"gpt", "overall"}.isdisjoint(intervals(columns("chartmimic"), samples))
    assert "text" in intervals(columns("chartmimic"), samples)


def test_interval_of_a_mean_is_scipys() -> None:
    samples = made("websight", seed=2)
    ours = intervals(columns("websight"), samples)["clip"]
    assert like_scipy(ours, (samples.values["clip"],), lambda x: 100 * float(np.mean(x)))


def test_interval_of_overall_is_scipys() -> None:
    """Columns that go together are drawn together."""
    samples = made("chartmimic", seed=3)
    parts = tuple(samples.values[name] for name in ("text", "layout", "type", "color", "gpt"))

    def overall(*drawn: Floats) -> float:
        return 50 * float(np.mean([np.mean(x) for x in drawn[:4]]) + np.mean(drawn[4]))

    assert like_scipy(intervals(columns("chartmimic"), samples)["overall"], parts, overall)


def test_interval_of_a_mean_over_those_that_ran_is_scipys() -> None:
    """The denominator is drawn, too."""
    samples = made("plot2code", seed=4)
    data = (samples.values["text"], samples.passed.astype(np.float64))

    def text_pass(values: Floats, passed: Floats) -> float:
        return 100 * float(np.sum(values * passed) / np.sum(passed))

    assert like_scipy(intervals(columns("plot2code"), samples)["text_pass"], data, text_pass)


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    samples = made("websight", seed=5, n=1000)
    values = 100 * samples.values["clip"]
    half = 1.96 * values.std() / np.sqrt(1000)
    ours = intervals(columns("websight"), samples)["clip"]
    assert ours.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert ours.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_same_seed_draws_the_same() -> None:
    assert (resamples(50) == resamples(50)).all()
    assert not (resamples(50) == resamples(50, seed=1)).all()
    assert (resamples(50).sum(axis=1) == 50).all()


def test_one_sample_has_no_interval() -> None:
    assert intervals(columns("websight"), made("websight", seed=6, n=1)) == {}
    assert intervals(columns("websight"), made("websight", seed=6, n=0)) == {}


# --------------------------------------------------------------------------------- in pairs


def test_paired_difference_is_scipys() -> None:
    first, second = made("websight", seed=8), made("websight", seed=9)
    # Mostly as hard for one as for the other: the interval has to be that of the differences.
    second.values["clip"][:] = np.clip(first.values["clip"] + 0.1 * second.values["clip"], 0, 1)
    [_, clip, _] = paired_differences(columns("websight"), [first, second])[0, 1]
    a, b = first.values["clip"], second.values["clip"]
    assert clip.value == pytest.approx(100 * (b - a).mean())
    assert clip.interval is not None
    assert like_scipy(clip.interval, (a, b), lambda x, y: 100 * float(np.mean(y) - np.mean(x)))
    alone = intervals(columns("websight"), second)["clip"]
    assert clip.interval.high - clip.interval.low < 0.5 * (alone.high - alone.low)


def test_paired_difference_of_those_that_ran_is_scipys() -> None:
    first, second = made("plot2code", seed=10), made("plot2code", seed=11)
    told = {
        entry.metric: entry
        for entry in paired_differences(columns("plot2code"), [first, second])[0, 1]
    }
    entry = told["gpt_pass"]
    data = tuple(x for side in (first, second)
                 for x in (side.values["gpt"], side.passed.astype(np.float64)))  # fmt: skip

    def gained(a: Floats, ran_a: Floats, b: Floats, ran_b: Floats) -> float:
        return 10 * float(np.sum(b * ran_b) / np.sum(ran_b) - np.sum(a * ran_a) / np.sum(ran_a))

    assert entry.value == pytest.approx(gained(*data))
    assert entry.interval is not None
    assert like_scipy(entry.interval, data, gained)


def test_a_sample_that_one_side_could_not_score_is_left_out_of_both() -> None:
    first, second = made("websight", seed=12), made("websight", seed=13)
    second.values["clip"][:60] = np.nan
    [_, clip, gpt] = paired_differences(columns("websight"), [first, second])[0, 1]
    assert clip.first == pytest.approx(100 * first.values["clip"][60:].mean())
    assert gpt.first == pytest.approx(100 * first.values["gpt"].mean())


def test_equal_runs_do_not_differ() -> None:
    samples = made("chartmimic", seed=14)
    [entries] = paired_differences(columns("chartmimic"), [samples, samples]).values()
    assert entries
    for entry in entries:
        assert entry.value == 0
        assert entry.interval == Interval(0.0, 0.0)
        assert entry.p == 1


def test_one_sample_has_no_interval_of_its_difference() -> None:
    first, second = made("websight", seed=15, n=1), made("websight", seed=16, n=1)
    for entry in paired_differences(columns("websight"), [first, second])[0, 1]:
        assert entry.interval is None
        assert entry.p is None


def test_a_run_has_one_figure_whichever_it_is_compared_to() -> None:
    """The third run could not score the first half: these count in no pair."""
    sides = [made("websight", seed) for seed in (17, 18, 19)]
    sides[2].values["clip"][:60] = np.nan
    told = {
        pair: {entry.metric: entry for entry in entries}
        for pair, entries in paired_differences(columns("websight"), sides).items()
    }
    wanted = [100 * side.values["clip"][60:].mean() for side in sides]
    for (i, j), entries in told.items():
        assert entries["clip"].first == pytest.approx(wanted[i])
        assert entries["clip"].second == pytest.approx(wanted[j])
    assert list(told) == [(0, 1), (0, 2), (1, 2)]


def test_a_run_without_a_judge_takes_none_from_the_others() -> None:
    sides = [made("websight", seed) for seed in (20, 21, 22)]
    sides[2].values["gpt"][:] = np.nan
    told = {
        pair: [entry.metric for entry in entries]
        for pair, entries in paired_differences(columns("websight"), sides).items()
    }
    assert told == {
        (0, 1): ["render_rate", "clip", "gpt"],
        (0, 2): ["render_rate", "clip"],
        (1, 2): ["render_rate", "clip"],
    }
