"""What was just drawn is not drawn again: for an episode, its scores, or rollouts side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import AgentSettings
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.errors import HarnessError
from rrvf.evaluate import score_predictions
from rrvf.policies import RecordedPolicy
from rrvf.renderers.chart import ChartRenderer
from rrvf.renderers.memo import MOST_BYTES, OVERHEAD, Memo
from rrvf.rewards import Rewarder, RewardSettings
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Trajectory
from rrvf.types import FigureRendering, Sample, Score, Status
from tests.benches import chart_bench
from tests.episodes import answer, call
from tests.runs import fenced, kept_servers, plot

REFERENCE = plot("target") + "\nplt.savefig('a.pdf')"
FIRST, SECOND = plot("first"), plot("second")


class CountedRenderer(ChartRenderer):
    """Counts executions."""

    executed: list[str]

    def _ask(self, request: dict[str, Any], *how: Any) -> Any:
        self.executed.append(request["code"])
        return super()._ask(request, *how)


@pytest.fixture
def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountedRenderer]:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))
    with kept_servers():
        counted = CountedRenderer(memo_bytes=MOST_BYTES)
    with counted as running:
        running.executed = []
        yield running


class PaidJudge:
    """Says 0.5 of everything, after the pictures through the PDF."""

    name = "gpt"
    concurrency = 1

    def protocol(self) -> dict[str, Any]:
        return {}

    def expected(self, n_pairs: int) -> str | None:
        return None

    def spent(self) -> str | None:
        return None

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        return Score(0.5)


@pytest.mark.parametrize("judge", [None, PaidJudge()], ids=["no judge", "judge"])
@pytest.mark.parametrize("mode", ["official", "fixed"])
def test_an_episode_costs_its_drafts_and_one_reference(
    renderer: CountedRenderer, mode: Any, judge: Any, tmp_path: Path
) -> None:
    turns = [call(FIRST), call(SECOND), answer(SECOND)]
    scoring = chart_bench(renderer, mode, judge=judge)
    loop = LoopScoring(
        *(scoring, RecordedPolicy({"a": turns}), PictureOnly()),
        *(AgentSettings.of("python"), Trajectories(tmp_path / "out")),
    )
    items = [(Sample("a", REFERENCE), None)]
    with closing(score_predictions(items, loop, tmp_path / "out")) as results:
        (result,) = results
    assert result.status == "ok"
    assert result.episode is not None
    assert len(result.episode.by_turn or ()) == 3
    assert len(renderer.executed) == 3
    assert sum("target" in code for code in renderer.executed) == 1


def test_a_reward_draws_nothing_that_the_episode_has_drawn(renderer: CountedRenderer) -> None:
    scoring = chart_bench(renderer)
    canvas, sample = scoring, Sample("a", REFERENCE)
    canvas.target(sample)
    assert canvas.draw(sample, FIRST).status == "ok"
    rewarder = Rewarder(scoring, RewardSettings(vision={"text": 1.0}))
    rewarded = rewarder(sample, Trajectory("a", (), "answered", fenced(FIRST)))
    assert rewarded.outcome.result.status == "ok"
    assert len(renderer.executed) == 2


def test_rollouts_that_begin_together_draw_their_reference_once(renderer: CountedRenderer) -> None:
    canvas = chart_bench(renderer)
    with ThreadPoolExecutor(8) as pool:
        targets = set(pool.map(canvas.target, [Sample("a", REFERENCE)] * 8))
    assert len(targets) == 1
    assert len(renderer.executed) == 1


# ---------------------------------------------------------------------------------- the memo


def figure(status: Status = "ok", png: bytes | None = b"x") -> FigureRendering:
    return FigureRendering(status, None, 0.0, png)


def memo(most: int = MOST_BYTES) -> Memo[FigureRendering]:
    return Memo(lambda entry: entry.status, most)


@pytest.mark.parametrize("status", ["timeout", "out_of_memory", "harness_error"])
def test_what_may_pass_is_not_kept(status: Status) -> None:
    kept = memo()
    assert kept.get("a", lambda: figure(status)).status == status
    assert kept.get("a", figure).status == "ok"
    assert kept.get("a", lambda: figure("code_error")).status == "ok"


def test_a_failure_is_its_callers_own() -> None:
    kept = memo()

    def fails() -> FigureRendering:
        raise HarnessError("gone")

    with pytest.raises(HarnessError):
        kept.get("a", fails)
    assert kept.get("a", figure).status == "ok"


def test_who_waits_for_what_fails_draws_for_himself() -> None:
    kept, begun, go_on = memo(), threading.Event(), threading.Event()

    def slow() -> FigureRendering:
        begun.set()
        go_on.wait()
        return figure("timeout")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", slow)
        begun.wait()
        second = pool.submit(kept.get, "a", figure)
        go_on.set()
        assert (first.result().status, second.result().status) == ("timeout", "ok")


def test_it_is_bounded_in_bytes() -> None:
    kept = memo(3 * OVERHEAD)
    for number in range(5):
        kept.get(number, lambda: figure(png=b"x" * (OVERHEAD // 2)))
    assert [number for number in range(5) if kept.find(number) is not None] == [3, 4]


def test_without_room_nothing_is_shared() -> None:
    kept, one = memo(0), figure()
    assert kept.get("a", lambda: one) is one
    assert kept.find("a") is None
    assert kept.get("a", lambda: replace(one)) is not one
