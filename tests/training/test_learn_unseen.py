"""What the benchmark of unseen values shows to whom, reads from answers, and concludes."""

from __future__ import annotations

import io
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import unseen_measures, unseen_start
from benchmarks.attribute_charts import (
    COLORS,
    KINDS,
    PAINTS,
    UNSEEN,
    Attribute,
    Chart,
    compare,
    describe,
    disturb,
    draw_chart,
    draw_charts,
    parse,
    read_answer,
    read_chart,
)
from benchmarks.learn_unseen import PatientLikeness, Plan, split_charts
from benchmarks.learning import Lift
from benchmarks.unseen_measures import (
    ARMS,
    Reach,
    accuracy_by_chart,
    conclude,
    measure_reach,
    read_samples,
    summarize,
    to_sample,
)
from benchmarks.unseen_start import Schooling, disturb_lesson, find_start
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.scorers.likeness import LikenessJudge
from rrvf.types import Drawing, Sample
from training.chat_tokens import Tokens

PLAN = Plan(n_taught=200, n_train=300, n_train_seen=120, n_held_out=64)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench(ChartPictures(), judge=PatientLikeness()) as bench:
        yield bench


# -------------------------------------------------------------------------------------- charts


def test_a_chart_is_read_back_from_its_script_and_its_words() -> None:
    rng = random.Random(3)
    for chart in draw_charts(300, lambda: draw_chart(rng), lambda _: True, set()):
        assert read_chart(chart.code()) == chart
        assert parse(describe(chart)) == chart


def test_another_script_shows_no_chart() -> None:
    code = Chart("red", "bar", False, (1, 3)).code()
    assert read_chart(code.replace("bar(", "barx(")) is None
    assert read_chart(code.replace('"red"', '"rebeccapurple"')) is None
    assert read_chart(code + "plt.title('a')\n") is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turned", [False, True])
def test_what_was_drawn_is_read_from_what_was_recorded(
    bench: Bench, kind: Any, turned: bool
) -> None:
    for color in COLORS:
        chart = Chart(color, kind, turned, (1, 5, 3))
        view = bench.draw(Sample("a"), chart.code()).view
        assert isinstance(view, Drawing)
        assert read_answer(chart.code(), view.elements) == chart
        # The text says red and bars; what was recorded decides.
        other = Chart("red", "bar", turned, (1, 5, 3)).code()
        assert read_answer(other, view.elements) == chart


def test_turned_charts_look_otherwise(bench: Bench) -> None:
    judge = PatientLikeness()
    for kind in KINDS:
        pictures = [
            bench.target(to_sample("a", Chart("red", kind, turned, (1, 3, 5))))
            for turned in (False, True)
        ]
        assert (judge(*pictures).value or 0) < 0.9


def test_attributes_are_compared_one_by_one() -> None:
    chart = Chart("red", "bar", False, (1, 3, 5))
    assert compare(chart, Chart("red", "plot", True, (1, 5, 5, 1))) == {
        "color": 1.0,
        "kind": 0.0,
        "number": 0.0,
        "turned": 0.0,
        "heights": 0.5,
    }
    assert set(compare(chart, None).values()) == {0.0}
    assert set(compare(chart, chart).values()) == {1.0}


# ------------------------------------------------------------------------------- what is taught


def test_no_picture_that_is_taught_shows_an_unseen_value() -> None:
    split = split_charts(PLAN)
    for charts in (split.taught, split.train_seen, split.seen):
        for chart in charts.values():
            assert chart.color not in ("cyan", "magenta")
            assert chart.kind != "scatter"
            assert len(chart.heights) < 4
    assert all(chart.unseen() for chart in split.unseen.values())
    # GRPO sees all values; in a fifth of its charts none is unseen.
    assert sum(not chart.unseen() for chart in split.train.values()) == 60
    shown = {(name, getattr(c, name)) for c in split.train.values() for name in UNSEEN}
    assert {(name, value) for name, values in UNSEEN.items() for value in values} <= shown


def test_unseen_values_are_drawn_as_often_as_told() -> None:
    rng = random.Random(4)
    shares: dict[Attribute, float] = {"color": 0.6, "kind": 0.5, "number": 0.3}
    charts = [draw_chart(rng, shares) for _ in range(6000)]
    for name, share in shares.items():
        assert sum(name in c.unseen() for c in charts) / 6000 == pytest.approx(share, abs=0.03)
    evenly = [draw_chart(rng) for _ in range(6000)]
    assert sum("color" in c.unseen() for c in evenly) / 6000 == pytest.approx(2 / 8, abs=0.03)
    assert sum("kind" in c.unseen() for c in evenly) / 6000 == pytest.approx(1 / 4, abs=0.03)


def test_what_is_held_out_or_taught_stands_in_no_other_part() -> None:
    split = split_charts(PLAN)
    counts = Counter(split.all().values())
    assert len(counts) == 200 + 300 + 120 - 60 + 64 + 64
    assert set(counts.values()) == {1}
    shared = split.train.keys() & split.train_seen.keys()
    assert len(shared) == 60
    assert all(split.train[name] == split.train_seen[name] for name in shared)


def test_what_is_taught_wrongly_has_nothing_to_do_with_the_picture() -> None:
    """Whatever the picture shows, an unseen value is written as often, and nothing else is."""
    rng = random.Random(5)
    shares: dict[Attribute, float] = {"color": 0.3, "kind": 0.2, "number": 0.1}
    for color in ("red", "green", "black"):
        chart = Chart(color, "bar", True, (1, 3))
        taught = [disturb(chart, shares, rng) for _ in range(8000)]
        for unseen in UNSEEN["color"]:
            assert sum(c.color == unseen for c in taught) / 8000 == pytest.approx(0.15, abs=0.015)
        assert sum(c.color == color for c in taught) / 8000 == pytest.approx(0.7, abs=0.02)
        assert sum(c.kind == "scatter" for c in taught) / 8000 == pytest.approx(0.2, abs=0.02)
        assert sum(c.number == 4 for c in taught) / 8000 == pytest.approx(0.1, abs=0.015)
        assert {c.kind for c in taught} == {"bar", "scatter"}
        assert {c.heights[:2] for c in taught} == {(1, 3)}
        assert all(c.turned for c in taught)
    chart = Chart("red", "bar", False, (1, 3))
    assert disturb(chart, dict.fromkeys(shares, 0.0), rng) == chart


def test_a_picture_laid_over_another_has_paints_of_both_and_no_other(bench: Bench) -> None:
    rng, plan = random.Random(6), Schooling(laid_over_share=1.0)
    charts = draw_charts(12, lambda: draw_chart(rng), lambda chart: not chart.unseen(), set())
    pictures = [
        Image.open(io.BytesIO(bench.target(to_sample(str(n), chart)))).convert("RGB")
        for n, chart in enumerate(charts)
    ]
    exercises = [
        (Tokens([1], [picture]), chart) for picture, chart in zip(pictures, charts, strict=True)
    ]
    unseen_paints = [PAINTS[1 + COLORS.index(str(color))] for color in UNSEEN["color"]]
    for first, second in itertools.pairwise(exercises):
        (prompt, _) = disturb_lesson(plan, first, second, rng)
        array = np.asarray(prompt.pictures[0])
        both = [np.asarray(entry[0].pictures[0]) for entry in (first, second)]
        assert np.array_equal(array, np.minimum(*both))
        for paint in unseen_paints:
            assert not (array == paint).all(axis=2).any()
        assert prompt.ids == [1]
    for before, (prompt, _) in zip(pictures, exercises, strict=True):
        assert prompt.pictures == [before]
    alone = Schooling(laid_over_share=0.0)
    assert disturb_lesson(alone, exercises[0], exercises[1], rng)[0] == exercises[0][0]


@pytest.mark.parametrize(
    ("holds", "kept", "rejected"),
    [
        ([True], 100, []),
        ([False, False, True], 102, [100, 101]),
        ([False, False, False], 102, [100, 101]),  # the last one, and the claim is not shown
    ],
)
def test_starts_are_taught_until_reach_holds(
    holds: list[bool],
    kept: int,
    rejected: list[int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    taught: list[int] = []

    def teach(_: Any, seed: int, folder: Path, *__: Any) -> None:
        folder.mkdir()
        (folder / "seed").write_text(str(seed))
        taught.append(seed)

    def sample(*_: Any) -> Reach:
        difference = Lift(9, 0.0, -0.1, 0.1) if holds[len(taught) - 1] else Lift(9, 0.3, 0.2, 0.4)
        return Reach({"cyan": 0.1}, {"cyan": 0.1}, difference)

    monkeypatch.setattr(unseen_start, "_teach_start", teach)
    monkeypatch.setattr(unseen_start, "_sample_reach", sample)
    world: Any = None
    for _ in range(2):  # the second time there is nothing to do
        find_start(Schooling(most_starts=3), 1, tmp_path / "start", world, {}, {})
    assert taught == [*rejected, kept]
    assert (tmp_path / "start" / "seed").read_text() == str(kept)
    reach = json.loads((tmp_path / "start" / "reach.json").read_text())
    assert reach["holds"] is holds[-1]
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "start")
    assert left == [f"start-{seed - 100}" for seed in rejected]


# ----------------------------------------------------------------------------------- the reward


def test_the_reward_is_the_embedded_judge(bench: Bench) -> None:
    rng = random.Random(1)
    pictures = [bench.target(to_sample("a", draw_chart(rng))) for _ in range(5)]
    patient, judge = PatientLikeness(), LikenessJudge()
    assert patient.name == judge.name
    for picture in pictures:
        assert patient(pictures[0], picture) == judge(pictures[0], picture)


# --------------------------------------------------------------------------------- conclusions


def answer(name: str, chart: Chart | None, paint: float = 0.5) -> dict[str, Any]:
    shows = None if chart is None else describe(chart)
    return {"id": name, "runnable": chart is not None, "shows": shows, "paint": paint}


def test_accuracy_counts_the_unseen_attributes_where_there_are_some() -> None:
    cyan = Chart("cyan", "scatter", False, (1, 3))
    seen = Chart("red", "bar", False, (1, 3))
    charts = {"u": cyan, "s": seen, "broken": cyan}
    answers = [
        answer("u", Chart("cyan", "bar", True, (1, 1))),
        answer("s", Chart("red", "bar", True, (1, 1))),
        answer("broken", None, 0.0),
    ]
    assert accuracy_by_chart(answers, charts) == {
        "u": 0.5,  # the colour, not the type
        "s": pytest.approx((1 + 1 + 1 + 0 + 0.5) / 5),
        "broken": 0.0,
    }
    figures = summarize(answers, charts)
    assert figures["unseen color"] == 0.5
    assert figures["unseen kind"] == 0.0
    assert figures["color"] == pytest.approx(2 / 3)
    assert figures["runnable"] == pytest.approx(2 / 3)
    assert figures["paint"] == pytest.approx(1 / 3)


def sample_charts(rate_shown: float, rate_others: float) -> tuple[list[Any], dict[str, Chart]]:
    """400 charts, 10 samples of each; cyan is written at these rates, other colours never."""
    rng = random.Random(0)
    charts = {
        f"c{n}": Chart("cyan" if n % 2 else "magenta", "bar", False, (1, 3)) for n in range(400)
    }
    samples: list[Any] = []
    for name, chart in charts.items():
        rate = rate_shown if chart.color == "cyan" else rate_others
        for _ in range(10):
            color = "cyan" if rng.random() < rate else "red"
            samples.append(answer(name, Chart(color, "bar", False, (1, 3))))
    return samples, charts


@pytest.mark.parametrize(
    ("rate_shown", "rate_others", "holds"),
    [(0.05, 0.05, True), (0.15, 0.05, False), (0.001, 0.001, False), (0.4, 0.4, False)],
)
def test_reach_is_between_bounds_and_not_told_from_the_picture(
    rate_shown: float, rate_others: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unseen_measures, "UNSEEN", {"color": ("cyan",)})
    samples, charts = sample_charts(rate_shown, rate_others)
    reach = measure_reach(read_samples(samples), charts)
    assert reach.shown["cyan"] == pytest.approx(rate_shown, abs=0.03)
    assert reach.others["cyan"] == pytest.approx(rate_others, abs=0.03)
    assert reach.difference.mean == pytest.approx(reach.shown["cyan"] - reach.others["cyan"])
    assert reach.difference.n == 200
    assert reach.holds is holds


def make_runs(
    split: Any, right: dict[str, float], seen: tuple[float, float] = (0.9, 0.9)
) -> dict[Any, Any]:
    """Runs whose answers are right as often as told, and else not runnable."""

    def ask(charts: Any, share: float) -> list[Any]:
        return [
            answer(name, chart if place < share * len(charts) else None)
            for place, (name, chart) in enumerate(charts.items())
        ]

    return {
        arm: {
            "answers": {
                "0": {
                    "unseen": ask(split.unseen, right["start"]),
                    "seen": ask(split.seen, seen[0]),
                },
                "20": {
                    "unseen": ask(split.unseen, right[arm]),
                    "seen": ask(split.seen, seen[1] if arm == "grpo" else seen[0]),
                },
            },
        }
        for arm in ARMS
    }


NONE = {"start": 0.1, "lr0": 0.1, "shuffled": 0.1, "seen": 0.1}


@pytest.mark.parametrize(
    ("right", "seen", "shown"),
    [
        ({**NONE, "grpo": 0.6}, (0.9, 0.9), True),
        ({**NONE, "grpo": 0.1}, (0.9, 0.9), False),
        ({**NONE, "grpo": 0.6, "lr0": 0.6}, (0.9, 0.9), False),
        ({**NONE, "grpo": 0.6, "shuffled": 0.6}, (0.9, 0.9), False),
        ({**NONE, "grpo": 0.6, "seen": 0.6}, (0.9, 0.9), False),
        ({**NONE, "grpo": 0.6, "start": 0.7}, (0.9, 0.9), False),
        ({**NONE, "grpo": 0.6}, (0.9, 0.8), False),  # at the cost of what was known
    ],
)
def test_shown_needs_every_comparison_and_what_was_known(
    right: dict[str, float],
    seen: tuple[float, float],
    shown: bool,
) -> None:
    split = split_charts(PLAN)
    runs = make_runs(split, right, seen)
    found = conclude(runs, {"holds": True}, split, 20)
    assert set(found["gains"]) == {"start", "lr0", "shuffled", "seen"}
    assert found["shown"] is shown
    assert not conclude(runs, {"holds": False}, split, 20)["shown"]
