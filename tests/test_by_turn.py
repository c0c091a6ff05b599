"""Scores by turn: what a turn's code is worth, what is drawn for it, the means over episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import AgentSettings
from rrvf.bench import Bench
from rrvf.by_turn import summarize_episodes
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.errors import HarnessError
from rrvf.evaluate import score_item, score_predictions
from rrvf.kinds.kind import Drawn
from rrvf.run_folder import RunFolder, from_json, to_json
from rrvf.types import EpisodeResult, Sample, SampleResult, Score, TurnScores
from tests.benches import chart_bench
from tests.episodes import FakeCanvas, ScriptedPolicy, ScriptedTeacher, answer, call
from tests.runs import FakeRenderer, sample, summary_of

REFERENCE = "ok  red"
"""Told from an answer by its blanks; drawn once on a machine, whoever asks first."""


@dataclass
class FakeJudge:
    """Says 0.25 of everything, and counts."""

    name: str
    concurrency: int = 1
    asked: list[bytes] = field(default_factory=list)

    def protocol(self) -> Mapping[str, Any]:
        return {"judge": self.name}

    def expected(self, n_pairs: int) -> str | None:
        return None

    def spent(self) -> str | None:
        return None

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        self.asked.append(rendering)
        return Score(0.25)


class DrawsApart(Bench):
    """What a policy is shown is drawn by a fake that counts for itself."""

    def target(self, sample: Sample) -> bytes:
        return FakeCanvas().target(sample)

    def draw(self, sample: Sample, code: str) -> Drawn:
        return FakeCanvas().draw(sample, code)


def loop(
    tmp_path: Path,
    script: Sequence[str | Exception],
    judge: FakeJudge | None = None,
    **changes: Any,
) -> tuple[LoopScoring, FakeRenderer]:
    """A loop whose answers are scored by a renderer that counts; its own canvas draws apart."""
    renderer = FakeRenderer()
    bench = chart_bench(renderer, judge=judge)
    scoring = LoopScoring(
        DrawsApart(bench.benchmark, bench.kind, bench.scorers, judge),
        ScriptedPolicy(script),
        ScriptedTeacher(),
        AgentSettings.of("python"),
        Trajectories(tmp_path),
    )
    return replace(scoring, **changes), renderer


def played(scoring: LoopScoring) -> tuple[SampleResult, EpisodeResult]:
    """One episode; its target's only text is ``red``."""
    result = score_item((sample("a", REFERENCE), None), scoring).result
    assert result.episode is not None
    return result, result.episode


def answers(renderer: FakeRenderer) -> list[str]:
    return sorted(code for code in renderer.drawn if code != REFERENCE)


def column(episode: EpisodeResult, name: str) -> list[tuple[int, int | None, float | None]]:
    assert episode.by_turn is not None
    return [(entry.turn, entry.call, entry.scores[name]) for entry in episode.by_turn]


def test_every_code_of_an_episode_is_scored(tmp_path: Path) -> None:
    script = [
        call("ok blue"),
        "<tool_call>{broken</tool_call>",
        call("code_error") + call("ok red more"),
        answer("ok red"),
    ]
    scoring, renderer = loop(tmp_path, script)
    result, episode = played(scoring)
    # F1 of one text of two matched: precision 1/2, recall 1.
    assert column(episode, "text") == [
        (1, 1, 0.0),
        (3, 1, 0.0),
        (3, 2, pytest.approx(2 / 3)),
        (4, None, 1.0),
    ]
    assert [entry.status for entry in episode.by_turn or ()] == ["ok", "code_error", "ok", "ok"]
    assert (episode.stop_reason, episode.n_turns) == ("answered", 4)
    assert episode.teacher == {"asked": 2, "not_asked": 2}
    assert result.scores["text"].value == 1.0
    assert answers(renderer) == ["code_error", "ok blue", "ok red", "ok red more"]


def test_code_that_comes_again_is_drawn_once(tmp_path: Path) -> None:
    script = [call("ok red"), call("ok blue"), call("ok red\n"), answer("ok red")]
    scoring, renderer = loop(tmp_path, script)
    _, episode = played(scoring)
    assert [value for *_, value in column(episode, "text")] == [1.0, 0.0, 1.0, 1.0]
    assert answers(renderer) == ["ok blue", "ok red"]


def test_an_answer_with_words_around_its_code_is_not_taken_for_another(tmp_path: Path) -> None:
    said = "<answer>As before.\n```python\nok red\n```</answer>"
    scoring, _ = loop(tmp_path, [call("ok red more"), said])
    _, episode = played(scoring)
    assert [value for *_, value in column(episode, "text")] == [pytest.approx(2 / 3), 1.0]


def test_a_turn_that_we_cannot_score_is_no_number_and_spoils_nothing(tmp_path: Path) -> None:
    # The canvas takes the word for an error of the code, the renderer for one of its own.
    scoring, _ = loop(tmp_path, [call("ok blue"), call("harness_error"), answer("ok red")])
    result, episode = played(scoring)
    assert [value for *_, value in column(episode, "text")] == [0.0, None, 1.0]
    assert (result.status, result.scores["text"].value) == ("ok", 1.0)


@pytest.mark.parametrize(("name", "expected"), [("gpt", [None, None]), ("likeness", [0.25, 0.25])])
def test_only_an_embedded_judge_sees_the_turns(
    tmp_path: Path, name: str, expected: list[float | None]
) -> None:
    judge = FakeJudge(name)
    scoring, _ = loop(tmp_path, [call("ok blue"), answer("ok red")], judge)
    result, episode = played(scoring)
    assert name in result.scores
    assert episode.by_turn is not None
    assert [entry.scores.get(name) for entry in episode.by_turn] == expected
    assert all(("gpt" in entry.scores) is False for entry in episode.by_turn)
    assert len(judge.asked) == (2 if name == "likeness" else 0), (
        "there is no picture at 350 dpi here"
    )


def test_it_can_be_left_out(tmp_path: Path) -> None:
    script = [call("ok blue"), answer("ok red")]
    scoring, renderer = loop(tmp_path, script, score_turns=False)
    _, episode = played(scoring)
    assert episode.by_turn is None
    assert answers(renderer) == ["ok red"]
    kept = replace(scoring, score_turns=True)
    assert scoring.protocol()["hash"] != kept.protocol()["hash"]


def test_an_episode_that_failed_by_our_fault_is_told_and_unscored(tmp_path: Path) -> None:
    scoring, _ = loop(tmp_path, [call("ok blue"), HarnessError("the server is gone")])
    result, episode = played(scoring)
    assert (result.status, result.error) == ("harness_error", "the server is gone")
    assert {score.value for score in result.scores.values()} == {None}
    assert (episode.stop_reason, episode.by_turn) == ("policy_error", None)


# ------------------------------------------------------------------------------------- on disk

TURNS = (
    TurnScores(1, 1, "ok", {"text": 0.5}),
    TurnScores(2, None, "ok", {"text": 1.0}),
)
RESULT = SampleResult(
    "a", "ok", None, 0.5, {"text": Score(1.0)},
    episode=EpisodeResult("answered", 2, {"asked": 1}, TURNS),
)  # fmt: skip


@pytest.mark.parametrize("turns", [TURNS, (), None])
def test_a_line_keeps_the_turns(turns: tuple[TurnScores, ...] | None) -> None:
    result = replace(RESULT, episode=EpisodeResult("answered", 2, {"asked": 1}, turns))
    assert from_json(json.loads(json.dumps(to_json(result)))) == result
    assert "episode" not in to_json(replace(RESULT, episode=None))


def test_a_turn_without_a_value_is_tried_again(tmp_path: Path) -> None:
    missing = replace(TURNS[0], scores={"text": None})
    spoilt = replace(RESULT, sample_id="b", episode=EpisodeResult("answered", 2, {}, (missing,)))
    keys = {"a": "1", "b": "2"}
    with RunFolder(tmp_path, {}, keys) as folder:
        folder.append(RESULT)
        folder.append(spoilt)
    with RunFolder(tmp_path, {}, keys) as folder:
        assert folder.results == {"a": RESULT}


def test_a_finished_run_tells_its_turns_and_goes_on_with_the_same(tmp_path: Path) -> None:
    script = [call("ok blue"), answer("ok red")]
    for policy in (script, []):  # the second time nobody is asked
        scoring, _ = loop(tmp_path, policy)
        with closing(
            score_predictions([(sample("a", REFERENCE), None)], scoring, tmp_path)
        ) as results:
            assert [result.status for result in results] == ["ok"]
        told = summary_of(tmp_path)["episodes"]
        assert (told["n"], told["turns"], told["stop_reasons"]) == (1, {"2": 1}, {"answered": 1})
        assert told["teacher"] == {"asked": 1}
        assert [row["carried"]["text"] for row in told["by_turn"]] == [0.0, 100.0]
        assert "gpt" not in told["by_turn"][0]["carried"]


# ------------------------------------------------------------------------------------ the means


def result(*values: tuple[int, float | None], reason: str = "answered") -> SampleResult:
    """An episode by (turn, value of its code)."""
    turns = tuple(TurnScores(turn, 1, "ok", {"text": value}) for turn, value in values)
    last = values[-1][0] if values else 1
    told = EpisodeResult(reason, last, {"asked": len(values)}, turns)
    return SampleResult("a", "ok", None, 0.0, {"text": Score(1.0)}, episode=told)


def metrics(results: Sequence[SampleResult]) -> dict[str, float | None]:
    values = [one.scores["text"].value for one in results if "text" in one.scores]
    known = [value for value in values if value is not None]
    return {"text": 100 * sum(known) / len(known) if known else None, "gpt": None}


def rows(*results: SampleResult) -> list[dict[str, Any]]:
    return summarize_episodes(results, metrics)["by_turn"]


def test_the_mean_of_a_turn_is_over_those_that_have_it_and_the_carried_one_over_all() -> None:
    told = rows(
        result((1, 0.2), (2, 0.6), (3, 1.0)),
        result((1, 0.5)),
        result((2, 0.4)),
        result(reason="no_action"),
    )
    assert [(row["turn"], row["n"], row["n_carried"]) for row in told] == [
        (1, 2, 4), (2, 2, 4), (3, 1, 4),
    ]  # fmt: skip
    own = [(0.2 + 0.5) / 2, (0.6 + 0.4) / 2, 1.0]
    carried = [(0.2 + 0.5) / 4, (0.6 + 0.5 + 0.4) / 4, (1.0 + 0.5 + 0.4) / 4]
    assert [row["metrics"] for row in told] == [{"text": pytest.approx(100 * v)} for v in own]
    assert [row["carried"] for row in told] == [{"text": pytest.approx(100 * v)} for v in carried]


def test_the_last_code_of_a_turn_counts() -> None:
    assert [row["metrics"]["text"] for row in rows(result((1, 0.9), (1, 0.3)))] == [
        pytest.approx(30)
    ]


def test_our_failures_are_no_zeros_in_the_means() -> None:
    unknown = result((1, None), (2, 0.0))
    fine = result((1, 0.4), (2, 0.8))
    lost = result((1, 0.6), (2, None))
    told = rows(unknown, fine, lost)
    assert [row["carried"]["text"] for row in told] == [
        pytest.approx(100 * (0.4 + 0.6) / 2),
        pytest.approx(100 * (0.8 + 0.6) / 2),
    ]
    assert told[1]["metrics"]["text"] == pytest.approx(100 * (0.0 + 0.8) / 2)


def test_only_scored_episodes_count_and_without_a_loop_there_is_nothing() -> None:
    failed = replace(RESULT, episode=EpisodeResult("policy_error", 1))
    told = summarize_episodes([failed, result((1, 0.5))], metrics)
    assert told["stop_reasons"] == {"policy_error": 1, "answered": 1}
    assert (told["n"], told["by_turn"][0]["n_carried"]) == (2, 1)
    assert told["by_turn"][0]["carried"]["text"] == pytest.approx(50)
    assert summarize_episodes([replace(RESULT, episode=None)], metrics) == {}
    assert summarize_episodes([failed], metrics)["by_turn"] == []
