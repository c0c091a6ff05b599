"""The reward is the metric: the parts of an episode's reward are the scores evaluation gave it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import AgentSettings
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.design2code import Design2Code
from rrvf.demo import PAGE_SCORERS, demo_designs, demo_items, demo_pages
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.errors import HarnessError, UserError
from rrvf.evaluate import score_predictions
from rrvf.kinds.chart import ChartKind
from rrvf.policies import RecordedPolicy
from rrvf.renderers.chart import Limits
from rrvf.renderers.page import PageRenderer
from rrvf.replies import extract_code
from rrvf.rewards import (
    Reward,
    Rewarder,
    RewardSettings,
    TrlReward,
    as_trajectory,
    is_well_formed,
    read_mix,
    reward_of,
    verl_reward,
)
from rrvf.scorers.execution import score_execution
from rrvf.scorers.judge import Judge
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scorers.text import score_text
from rrvf.scoring import Item, Outcome
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Completion, Observation, Trajectory, Turn
from rrvf.types import PageRendering, Sample, SampleResult, Score
from tests.benches import chart_bench, page_bench, picture_bench
from tests.episodes import answer, call
from tests.runs import FakeRenderer, fenced, kept_renderer

LIMITS = Limits(cpu_seconds=5, wall_seconds=60)
MIX = {"text": 1.0, "layout": 0.5, "type": 1.0, "color": 2.0}


def episode_of(*texts: str, seen: str = "ok", stop: str = "answered", **more: Any) -> Trajectory:
    """Turns that call, then one that answers; every call is answered alike."""
    turns = []
    for text in texts[:-1]:
        shown = Observation(seen, "", "code")  # type: ignore[arg-type]
        turns.append(Turn(Completion(text), "call", "thought", observations=(shown,)))
    turns.append(Turn(Completion(texts[-1]), "answer", "thought", "```python\ncode\n```"))
    return Trajectory("s", tuple(turns), stop, **more)  # type: ignore[arg-type]


def result_of(status: str = "ok", **values: float | None) -> SampleResult:
    scores = {
        name: Score(value, {} if value is not None else {"reason": "the judge is down"})
        for name, value in values.items()
    }
    return SampleResult("s", status, None, 0.0, scores)  # type: ignore[arg-type]


CALLS = "<think>a</think>" + call("code")
GOOD = episode_of(CALLS, answer("code"))


# ----------------------------------------------------------------------- the metric, bit for bit


def played(scoring: Any, items: list[Item], out: Path) -> LoopScoring:
    """What ``rrvf eval`` does with recorded answers, drafts first; returns how it was done."""
    turns = {
        sample.id: (f"<think>A draft.</think>{call(extract_code(text, 'python') or 'x')}", text)
        for sample, text in items
        if text is not None
    }
    settings = AgentSettings.of(scoring.language)
    loop = LoopScoring(scoring, RecordedPolicy(turns), PictureOnly(), settings, Trajectories(out))
    asked = [(sample, None) for sample, _ in items]
    with closing(score_predictions(asked, loop, out)) as results:
        assert len(list(results)) == len(items)
    return loop


def stored(out: Path) -> dict[str, dict[str, Any]]:
    lines = (out / "results.jsonl").read_text().splitlines()
    return {entry["sample_id"]: entry["scores"] for entry in map(json.loads, lines)}


def test_the_parts_of_a_chart_s_reward_are_its_scores_bit_for_bit(tmp_path: Path) -> None:
    items = demo_items()
    with kept_renderer(workers=2, limits=LIMITS) as renderer:
        loop = played(chart_bench(renderer, judge=LikenessJudge()), items, tmp_path)
    written, kept = stored(tmp_path), Trajectories(tmp_path)
    n_compared = 0
    with kept_renderer(workers=2, limits=LIMITS) as renderer:
        rewarder = Rewarder(
            chart_bench(renderer, judge=LikenessJudge()), RewardSettings(vision=MIX)
        )
        for sample, _ in items:
            trajectory = kept.find(sample.id, loop.key(sample))
            if trajectory is None:
                continue
            found = rewarder(sample, trajectory)
            for name, score in found.outcome.result.scores.items():
                assert score.value == written[sample.id][name]["value"], (sample.id, name)
                n_compared += 1
            if found.reward.vision is not None:
                weighted = sum(
                    weight * written[sample.id][name]["value"] for name, weight in MIX.items()
                )
                assert found.reward.vision == weighted / sum(MIX.values())
            alone = reward_of(
                trajectory, found.outcome.result, RewardSettings(vision={"likeness": 1}), "python"
            )
            if written[sample.id]["likeness"]["value"] is not None:
                assert alone.vision == written[sample.id]["likeness"]["value"]
    assert n_compared >= 6 * 10


def test_the_parts_of_a_page_s_reward_are_its_scores_bit_for_bit(tmp_path: Path) -> None:
    items = demo_pages()[:3]
    with PageRenderer(workers=2) as renderer:
        scoring = page_bench(renderer, PAGE_SCORERS, judge=LikenessJudge())
        with closing(score_predictions(items, scoring, tmp_path)) as results:
            evaluated = {result.sample_id: result for result in results}
        rewarder = Rewarder(scoring, RewardSettings(vision={"block_match": 1.0}))
        for sample, text in items:
            found = rewarder(sample, as_trajectory(sample, text or "", "html"))
            assert found.reward.vision == evaluated[sample.id].scores["block_match"].value


def test_design2code_s_scores_are_rewards() -> None:
    items = [item for item in demo_designs() if item[0].id.startswith("shop")]
    mix = {"block_match": 0.5, "text": 0.2, "position": 0.2, "color": 0.1}
    with open_bench(Design2Code(), scorers=tuple(mix)) as bench:
        rewarder = Rewarder(bench, RewardSettings(vision=mix))
        found = {
            sample.id: rewarder(sample, as_trajectory(sample, text or "", "html"))
            for sample, text in items
        }
    for one in found.values():
        scores = one.outcome.result.scores
        total = sum(weight * (scores[name].value or 0.0) for name, weight in mix.items())
        assert one.reward.vision == pytest.approx(total)
    careful, hasty = found["shop-careful"].reward, found["shop-hasty"].reward
    assert (careful.vision or 0.0) > (hasty.vision or 0.0) > 0.0


# ------------------------------------------------------------------------------------ the sum


def test_the_defaults_are_those_of_deepeyes() -> None:
    """0.8 x likeness + 0.2 x format + 1.2 x tool, the last only above 0.5."""
    settings = RewardSettings()
    good = reward_of(GOOD, result_of(gpt=0.75), settings, "python")
    assert good == Reward(pytest.approx(0.8 * 0.75 + 0.0 + 1.2), 0.75, 0.0, 1.0)
    unlike = reward_of(GOOD, result_of(gpt=0.5), settings, "python")
    assert unlike == Reward(pytest.approx(0.4), 0.5, 0.0, 0.0)
    broken = reward_of(GOOD, result_of("code_error", gpt=0.0), settings, "python")
    assert broken == Reward(pytest.approx(-0.2), 0.0, -1.0, 0.0)


def test_weights_penalties_and_caps_are_settings() -> None:
    settings = RewardSettings(
        vision={"text": 1, "color": 3},
        vision_weight=1.0,
        format_weight=0.5,
        tool_weight=2.0,
        structure_penalty=0.25,
        running_penalty=0.5,
        tool_gate=None,
        tool_cap=4,
    )
    unstructured = episode_of(CALLS, "```python\ncode\n```")
    found = reward_of(unstructured, result_of(text=0.4, color=0.8), settings, "python")
    assert found.vision == pytest.approx((0.4 + 3 * 0.8) / 4)
    assert (found.format, found.tool) == (-0.25, 0.25)
    assert found.total == pytest.approx(0.7 - 0.125 + 0.5)
    lost = reward_of(
        episode_of(CALLS, "words", stop="no_action"),
        result_of("no_code", text=0.0, color=0.0),
        settings,
        "python",
    )
    assert lost.format == -0.75


@pytest.mark.parametrize(
    ("trajectory", "result", "reason"),
    [
        (GOOD, result_of(gpt=None), "gpt: the judge is down"),
        (GOOD, result_of("harness_error", gpt=None), "harness_error"),
        (GOOD, result_of(text=1.0), "gpt: it was not asked for"),
        (
            episode_of(CALLS, stop="policy_error", error="the server is gone"),
            result_of(gpt=1.0),
            "the server is gone",
        ),
    ],
    ids=["judge", "renderer", "not asked", "policy"],
)
def test_a_fault_of_ours_is_no_reward_and_no_zero(
    trajectory: Trajectory, result: SampleResult, reason: str
) -> None:
    found = reward_of(trajectory, result, RewardSettings(), "python")
    assert found == Reward(None, reason=reason)


def test_a_score_beside_the_reward_may_be_missing() -> None:
    found = reward_of(GOOD, result_of(gpt=0.5, likeness=None), RewardSettings(), "python")
    assert found.total is not None


@pytest.mark.parametrize(
    "last",
    [
        "<think>a</think><answer>no code</answer>",
        "<answer>```python\nx\n```</answer>",
        "<think>a</think>```python\nx\n```",
        "<think>a</think>words<answer>```python\nx\n```</answer>",
        f"<think>a</think>{call('x')}<answer>```python\nx\n```</answer>",
        "<think>a</think><answer>```html\nx\n```</answer>",
    ],
    ids=["no block", "no thought", "no tags", "text outside", "a call too", "other language"],
)
def test_what_is_not_the_protocol(last: str) -> None:
    thought = None if "<think>" not in last else "a"
    turns = (*GOOD.turns[:-1], Turn(Completion(last), "answer", thought, "x"))
    assert is_well_formed(GOOD, "python")
    assert not is_well_formed(replace(GOOD, turns=turns), "python")


def test_calls_that_were_not_understood_break_the_structure_and_earn_nothing() -> None:
    trajectory = episode_of(CALLS, answer("code"), seen="no_code")
    assert not is_well_formed(trajectory, "python")
    found = reward_of(trajectory, result_of(gpt=0.9), RewardSettings(), "python")
    assert (found.format, found.tool) == (-1.0, 0.0)
    failed = episode_of(CALLS, answer("code"), seen="code_error")
    # It was understood; that its code failed is no structure.
    assert is_well_formed(failed, "python")
    assert reward_of(failed, result_of(gpt=0.9), RewardSettings(), "python").tool == 0.0


# -------------------------------------------------------------------------------- the settings


def test_a_mix_is_read_from_one_line() -> None:
    assert read_mix("gpt") == {"gpt": 1.0}
    assert read_mix("text=1, layout=0.5") == {"text": 1.0, "layout": 0.5}
    with pytest.raises(UserError, match="text=high"):
        read_mix("text=high")
    for nothing in ({}, {"text": 0.0}, {"text": 1.0, "color": -1.0}):
        with pytest.raises(UserError, match="weights above 0"):
            RewardSettings(vision=nothing)
    with pytest.raises(UserError, match="at least 1"):
        RewardSettings(tool_cap=0)


class Scores(Bench):
    """A bench that always answers the same."""

    def __init__(self, result: SampleResult | Exception, judge: Judge | None = None) -> None:
        scorers = {"execution": score_execution, "text": score_text}
        kind: Any = ChartKind
        super().__init__(ChartMimic(), kind, scorers, judge)
        object.__setattr__(self, "result", result)

    def score(self, item: Item) -> Outcome:
        result: Any = vars(self)["result"]
        if isinstance(result, Exception):
            raise result
        return Outcome(result, {"reference": b"target", "rendering": b"drawn"})


def test_a_score_that_is_not_measured_is_refused_before_training() -> None:
    with pytest.raises(UserError, match="no judge is named"):
        Rewarder(Scores(result_of()))
    pixel = Scores(result_of(), LikenessJudge())
    with pytest.raises(UserError, match="names gpt; measured are: execution, text, likeness"):
        Rewarder(pixel)
    with pytest.raises(UserError, match="names clip; measured are: execution, text"):
        Rewarder(Scores(result_of()), RewardSettings(vision={"clip": 1}))


@pytest.mark.parametrize("fault", [HarnessError("down"), UserError("no server"), OSError("disk")])
def test_a_fault_while_scoring_is_told_and_not_raised(fault: Exception) -> None:
    rewarder = Rewarder(Scores(fault), RewardSettings(vision={"text": 1}))
    found = rewarder(Sample("s"), GOOD)
    assert found.reward.total is None
    assert found.outcome.result.status == "harness_error"
    assert str(fault) in (found.reward.reason or "")


class Half:
    """A scorer of one's own that looks at the pictures alone."""

    compares_pictures = True

    def __init__(self) -> None:
        self.shown: list[tuple[bytes | None, bytes | None]] = []

    def __call__(self, target: PageRendering, page: PageRendering) -> Score:
        self.shown.append((target.png, page.png))
        return Score(0.5)


def test_scorers_of_pictures_join_the_mix() -> None:
    half = Half()
    bench = chart_bench(FakeRenderer(), scorers=("text",))
    bench = replace(bench, scorers={**bench.scorers, "half": half})
    rewarder = Rewarder(bench, RewardSettings(vision={"text": 1, "half": 1}))
    sample, same = Sample("a", "ok a"), as_trajectory(Sample("a"), fenced("ok a"), "python")
    assert rewarder(sample, same).reward.vision == 0.75
    [(target, drawn)] = half.shown
    assert target is not None
    assert drawn is not None


# ------------------------------------------------------------------- pictures, other frameworks


def test_a_picture_without_code_is_enough(tmp_path: Path) -> None:
    """The paper's setting: the target is a picture; answers are drawn and compared with it."""
    code = "import matplotlib.pyplot as plt\nplt.bar([1, 2], [3, 4], color='red')\n"
    with kept_renderer(workers=1, limits=LIMITS) as renderer:
        canvas = chart_bench(renderer)
        target = tmp_path / "target.png"
        target.write_bytes(canvas.draw(Sample("s"), code).png or b"")
        sample = Sample("s", image=target)
        rewarder = Rewarder(
            picture_bench(renderer, LikenessJudge()), RewardSettings(vision={"likeness": 1})
        )
        same = rewarder(sample, as_trajectory(sample, f"```python\n{code}```", "python"))
        other = rewarder(
            sample, as_trajectory(sample, f"```python\n{code.replace('3, 4', '1, 9')}```", "python")
        )
        none = rewarder(sample, as_trajectory(sample, "I cannot.", "python"))
        lost = rewarder(Sample("s", image=tmp_path / "gone.png"), GOOD)
    assert same.reward.vision == 1.0
    assert other.reward.vision is not None
    assert 0 < other.reward.vision < 1
    assert (none.outcome.result.status, none.reward.vision) == ("no_code", 0.0)
    assert lost.reward.total is None


def test_trl_and_verl_get_the_same_rewards() -> None:
    rewarder = Rewarder(Scores(result_of(text=0.5)), RewardSettings(vision={"text": 1}))
    text = answer("x")
    expected = rewarder(Sample("s", "y"), as_trajectory(Sample("s"), text, "python")).reward.total
    conversation = [{"role": "assistant", "content": text}]
    trl = TrlReward(rewarder)
    assert trl.__name__ == "rrvf"
    found = trl(["p", "p"], [text, conversation], reference_code=["y", "y"], sample_id=["a", "b"])
    assert found == [expected, expected]
    with pytest.raises(UserError, match="reference_code"):
        trl(["p"], [text])
    score = verl_reward(rewarder)("charts", text, "y")
    assert score["score"] == expected
    assert score["unscored"] == 0.0
    lost = Rewarder(Scores(HarnessError("down")), RewardSettings(vision={"text": 1}))
    assert TrlReward(lost)(["p"], [text], reference_code=["y"]) == [None]
    assert verl_reward(lost)("charts", text, "y")["unscored"] == 1.0


def test_pages_are_read_as_html() -> None:
    page = as_trajectory(Sample("s"), "<think>a</think><answer><p>Hi</p></answer>", "html")
    assert page.completion == "<p>Hi</p>"


def test_the_way_of_before_works_for_a_release_and_warns() -> None:
    from rrvf.scoring.charts import ChartScoring

    settings = RewardSettings(vision={"text": 1})
    with pytest.warns(DeprecationWarning, match="open_bench"):
        bench = ChartScoring(FakeRenderer())
    old: Any = Rewarder
    with pytest.warns(DeprecationWarning, match=r"Rewarder\(bench, settings\)"):
        rewarder = old(bench, "python", settings)
    assert rewarder.settings == settings
    sample = Sample("a", "ok a")
    said = as_trajectory(sample, fenced("ok a"), "python")
    assert rewarder(sample, said).reward == Rewarder(bench, settings)(sample, said).reward


@pytest.mark.parametrize(
    "options",
    [
        {"vision": {"text": float("nan"), "layout": 1.0}},
        {"vision": {"text": float("inf")}},
        {"vision_weight": float("nan")},
        {"terms": {"a:b": float("inf")}},
        {"structure_penalty": float("-inf")},
        {"tool_gate": float("nan")},
    ],
)
def test_weights_are_finite(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="is not a finite number"):
        RewardSettings(**options)
