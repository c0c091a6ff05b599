"""What the learning benchmark concludes from answers: its measures, its pairs, its controls."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import learn_charts
from benchmarks.learn_charts import compare, same_paint, summarize
from benchmarks.learning import lift, shuffled

RED, GREEN, WHITE = (255, 0, 0), (0, 128, 0), (255, 255, 255)


def picture(*columns: tuple[int, int, int], height: int = 2) -> bytes:
    """A picture of columns one pixel wide, from its left."""
    shown = Image.new("RGB", (len(columns), height))
    shown.putdata([color for _ in range(height) for color in columns])
    out = io.BytesIO()
    shown.save(out, format="png")
    return out.getvalue()


def answers(values: dict[str, float | None]) -> list[dict[str, Any]]:
    """Held-out answers; ``None`` does not run."""
    return [
        {"id": name, "runnable": value is not None, "paint": value, "likeness": value}
        for name, value in values.items()
    ]


def runs(start: float, grpo: float, lr0: float, shuffled_end: float) -> dict[Any, Any]:
    """Three arms with these mean paints on 40 charts, noise alike in all."""
    noise = [random.Random(n).uniform(-0.05, 0.05) for n in range(40)]

    def at(mean: float) -> list[dict[str, Any]]:
        return answers({f"c{n}": mean + shift for n, shift in enumerate(noise)})

    ends = {"grpo": grpo, "lr0": lr0, "shuffled": shuffled_end}
    return {arm: {"answers": {"0": at(start), "10": at(end)}} for arm, end in ends.items()}


def test_paint_is_the_share_of_painted_pixels_with_the_same_paint() -> None:
    target = picture(RED, GREEN, WHITE, WHITE)
    assert same_paint(target, target) == 1.0
    # Of the three columns painted in either, one agrees.
    assert same_paint(target, picture(RED, RED, GREEN, WHITE)) == pytest.approx(1 / 3)
    assert same_paint(target, picture(WHITE, WHITE, WHITE, WHITE)) == 0.0
    # White that agrees with white counts for nothing.
    wide = [WHITE] * 50
    assert same_paint(picture(RED, *wide), picture(GREEN, *wide)) == 0.0


def test_paint_of_another_size_compares_at_the_targets() -> None:
    target = picture(RED, RED, GREEN, GREEN)
    assert same_paint(target, picture(RED, RED, GREEN, GREEN, height=1)) == 1.0
    assert same_paint(target, picture(RED, GREEN)) == 1.0


def test_shades_at_an_edge_count_as_the_nearest_paint() -> None:
    assert same_paint(picture((250, 20, 20), WHITE), picture(RED, (240, 240, 250))) == 1.0


def test_a_lift_counts_only_charts_that_run_in_both() -> None:
    before = {"a": 0.2, "b": 0.4, "only before": 0.0}
    after = {"a": 0.3, "b": 0.7, "only after": 1.0}
    found = lift(after, before)
    assert found is not None
    assert found.n == 2
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.3))
    assert lift({"a": 1.0}, {"a": 0.0}) is None
    assert lift(after, {}) is None


def test_the_interval_is_that_of_the_mean_of_pairs() -> None:
    rng = np.random.default_rng(7)
    base, gain = rng.normal(0.5, 0.3, 400), rng.normal(0.05, 0.1, 400)
    before = {str(n): value for n, value in enumerate(base)}
    after = {str(n): value for n, value in enumerate(base + gain)}
    found = lift(after, before)
    assert found is not None
    # By the central limit theorem; unpaired, the interval would be four times as wide.
    half = 1.96 * gain.std() / 20
    assert found.low == pytest.approx(gain.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(gain.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize(
    ("start", "grpo", "lr0", "shuffled_end", "shown"),
    [
        (0.5, 0.7, 0.5, 0.55, True),
        (0.5, 0.5, 0.5, 0.4, False),  # no better than the start
        (0.5, 0.7, 0.7, 0.5, False),  # no better than at learning rate 0
        (0.5, 0.7, 0.5, 0.7, False),  # no better than with rewards of others
        (0.5, 0.4, 0.5, 0.5, False),
    ],
)
def test_shown_needs_the_start_and_both_controls(
    start: float, grpo: float, lr0: float, shuffled_end: float, shown: bool
) -> None:
    found = compare(runs(start, grpo, lr0, shuffled_end), 10)
    assert found["shown"] is shown
    assert set(found["lifts"]) == {"start", "lr0", "shuffled"}


def test_a_lift_that_noise_explains_is_not_shown() -> None:
    noise = random.Random(3)
    before = answers({f"c{n}": noise.random() for n in range(40)})
    after = answers({f"c{n}": noise.random() for n in range(40)})
    arms: Any = {arm: {"answers": {"0": before, "10": before}} for arm in learn_charts.ARMS}
    arms["grpo"] = {"answers": {"0": before, "10": after}}
    assert compare(arms, 10)["shown"] is False


def test_runnable_rate_and_measures_are_told_apart() -> None:
    told = summarize(answers({"a": 0.5, "b": None, "c": 1.0, "d": None}))
    assert told == {"runnable": 0.5, "paint": 0.75, "likeness": 0.75}
    assert summarize(answers({"a": None}))["paint"] is None


def test_shuffled_rewards_are_the_same_rewards_by_seed() -> None:
    rewards = [*map(float, range(62)), None, None]
    mixed = shuffled(rewards, "1:0")
    assert mixed != rewards
    assert sorted(mixed, key=str) == sorted(rewards, key=str)
    assert mixed == shuffled(rewards, "1:0")
    assert mixed != shuffled(rewards, "1:1")


def test_no_script_stands_in_both_halves() -> None:
    split = learn_charts.charts(learn_charts.Plan(n_train=300, n_held_out=256))
    train = {sample.reference_code for sample in split.train}
    held_out = {sample.reference_code for sample in split.held_out}
    assert (len(train), len(held_out)) == (300, 256)
    assert not train & held_out
    assert not {one.id for one in split.train} & {one.id for one in split.held_out}
