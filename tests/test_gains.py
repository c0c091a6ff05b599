"""Rewards for what turns gained: empty plots earn nothing, progress is a difference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rrvf.agent import AgentSettings, run_episode
from rrvf.bench import Bench
from rrvf.gains import EMPTY_CODE, count_gaining_calls, measure_progress
from rrvf.renderers.chart import Limits
from rrvf.rewards import Rewarded, Rewarder, RewardSettings
from rrvf.scorers.likeness import LikenessJudge
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Trajectory
from rrvf.types import Sample
from tests.benches import picture_bench
from tests.episodes import ScriptedPolicy, answer, call
from tests.runs import kept_renderer

CHART = "import matplotlib.pyplot as plt\nplt.bar([1, 2, 3], {values}, color='{color}')\n"
TARGET = CHART.format(values=[3, 5, 2], color="red")
FAR = CHART.format(values=[5, 1, 4], color="blue")
EMPTY = "import matplotlib.pyplot as plt\nplt.plot([])\n"
"""What a policy draws that only wants to have called."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with kept_renderer(workers=1, limits=Limits()) as renderer:
        yield picture_bench(renderer, LikenessJudge())


@pytest.fixture(scope="module")
def sample(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    path = tmp_path_factory.mktemp("target") / "target.png"
    path.write_bytes(bench.draw(Sample("s"), TARGET).png or b"")
    return Sample("s", image=path)


def play(bench: Bench, sample: Sample, drafts: list[str], last: str = TARGET) -> Trajectory:
    """An episode that draws these, and answers."""
    script = ["<think>a</think>" + call(draft) for draft in drafts]
    policy = ScriptedPolicy([*script, answer(last)])
    rules = AgentSettings.of("python", max_turns=9)
    return run_episode(policy, sample, bench, PictureOnly(), rules)


@pytest.mark.parametrize(
    ("drafts", "n_gaining"),
    [
        ([TARGET], 1),
        ([FAR], 1),
        ([FAR, TARGET], 2),
        ([FAR, FAR], 1),  # the second draws what was there
        ([TARGET, FAR], 1),  # the second is worse
        ([EMPTY], 0),
        ([EMPTY, EMPTY_CODE["python"]], 0),
        (["import matplotlib.pyplot as plt\nplt.figure()\n"], 0),  # white paper
        (["broken("], 0),
        ([], 0),
    ],
)
def test_calls_that_gain(bench: Bench, sample: Sample, drafts: list[str], n_gaining: int) -> None:
    trajectory = play(bench, sample, drafts)
    empty = bench.draw(sample, EMPTY_CODE["python"]).png
    assert count_gaining_calls(trajectory, bench.target(sample), empty) == n_gaining


def test_a_batch_of_empty_plots_earns_by_the_paper_s_rule_alone(
    bench: Bench, sample: Sample
) -> None:
    def reward(*, tool_must_gain: bool) -> list[Rewarded]:
        settings = RewardSettings(vision={"likeness": 1.0}, tool_must_gain=tool_must_gain)
        rewarder = Rewarder(bench, settings)
        return [rewarder(sample, play(bench, sample, drafts)) for drafts in ([EMPTY], [FAR])]

    by_paper, by_gain = reward(tool_must_gain=False), reward(tool_must_gain=True)
    assert [one.reward.tool for one in by_paper] == [1.0, 1.0]
    assert [one.reward.tool for one in by_gain] == [0.0, 1.0]
    # 0.8 vision + 0.2 format + 1.2 tool, by hand.
    assert [one.reward.total for one in by_paper] == [pytest.approx(2.0)] * 2
    assert [one.reward.total for one in by_gain] == [pytest.approx(0.8), pytest.approx(2.0)]


def test_progress_is_rewarded_where_it_has_a_weight(bench: Bench, sample: Sample) -> None:
    settings = RewardSettings(vision={"likeness": 1.0}, progress_weight=0.5)
    rewarder = Rewarder(bench, settings)
    far = LikenessJudge()(bench.target(sample), bench.draw(sample, FAR).png or b"").value
    assert far is not None
    better = rewarder(sample, play(bench, sample, [FAR])).reward
    assert better.terms == {"progress": pytest.approx(1 - far)}
    assert better.total == pytest.approx(2.0 + 0.5 * (1 - far))
    same = rewarder(sample, play(bench, sample, [TARGET])).reward
    assert same.terms == {"progress": 0.0}
    worse = rewarder(sample, play(bench, sample, [TARGET], last=FAR)).reward
    assert worse.terms == {"progress": pytest.approx(far - 1)}


@pytest.mark.parametrize("drafts", [[], ["broken("], ["broken(", "broken("]])
def test_a_broken_draft_is_no_way_to_progress(
    bench: Bench, sample: Sample, drafts: list[str]
) -> None:
    target = bench.target(sample)
    assert measure_progress(play(bench, sample, drafts), target, target) == 0.0


def test_an_answer_that_draws_nothing_is_a_step_back(bench: Bench, sample: Sample) -> None:
    trajectory = play(bench, sample, ["broken(", TARGET])
    assert measure_progress(trajectory, bench.target(sample), None) == -1.0
