"""0 is the model's, null is ours, on both sides: broken references, answers without a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks.predictions import load_predictions, lost
from rrvf.by_turn import summarize_episodes
from rrvf.evaluate import score_item
from rrvf.rewards import Rewarder, RewardSettings, as_trajectory
from rrvf.scoring import Item
from rrvf.scoring.charts import ChartScoring
from rrvf.types import EpisodeResult, Sample, SampleResult, Score, TurnScores
from tests.runs import (
    FakeRenderer,
    fenced,
    lines_of,
    plot,
    rrvf,
    sample,
    summary_of,
    values,
    write_data,
)

BROKEN = "import numpy\nnumpy.no_such_function([1])\n"
OPEN = dict.fromkeys(("text", "layout", "type", "color"))


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))


# -------------------------------------------------------------------------- broken references


def test_an_item_with_a_broken_reference_is_in_no_mean_whatever_its_answer(tmp_path: Path) -> None:
    good = plot("Sales") + "\nplt.savefig('o.pdf')"
    data = write_data(
        tmp_path,
        {"fine": good, "good": BROKEN + good, "same": BROKEN + good, "prose": BROKEN + good},
        {"fine": fenced(good), "good": fenced(good), "same": fenced(BROKEN + good), "prose": "no"},
    )
    done = rrvf("score", "chartmimic", *data, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    lines = lines_of(tmp_path / "out")
    assert {name: line["status"] for name, line in lines.items()} == {
        "fine": "ok",
        "good": "ok",
        "same": "code_error",
        "prose": "no_code",
    }
    assert values(lines["good"]) == {"execution": 1.0, **OPEN}
    assert values(lines["same"]) == values(lines["prose"]) == {"execution": 0.0, **OPEN}
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert (metrics["exec_rate"], metrics["average"]) == (50.0, 100.0)
    assert "3 references cannot be drawn" in done.stdout
    assert "no_such_function" in done.stdout


def test_a_broken_reference_of_plot2code_leaves_a_failing_answer_open(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "python_matplotlib" / "test"
    folder.mkdir(parents=True)
    codes = {"good": plot("a"), "broken": BROKEN, "broken_too": BROKEN, "broken_empty": BROKEN}
    rows = [
        {"file_name": f"{name}.png", "code": code, "instruction": ""}
        for name, code in codes.items()
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"good": plot("a"), "broken": plot("a"), "broken_too": "raise ValueError"}
    answers = [{"id": name, "prediction": fenced(code)} for name, code in told.items()]
    answers.append({"id": "broken_empty", "prediction": " "})
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    out = tmp_path / "out"
    done = rrvf(
        *("score", "plot2code", "--data", tmp_path / "data"),
        *("--predictions", tmp_path / "p.jsonl", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    found = {name: values(line) for name, line in lines_of(out).items()}
    assert found == {
        "good": {"execution": 1.0, "text": 1.0},
        "broken": {"execution": 1.0, "text": None},
        "broken_too": {"execution": 0.0, "text": None},
        "broken_empty": {"execution": 0.0, "text": None},
    }
    assert "3 references cannot be drawn" in done.stdout


class Nobody:
    """A judge that may not be asked."""

    name = "gpt"
    concurrency = 1

    def protocol(self) -> dict[str, Any]:
        return {}

    def expected(self, n_pairs: int) -> None: ...

    def spent(self) -> None: ...

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        raise AssertionError("there is nothing to look at")


@pytest.mark.parametrize("answer", [fenced("ok a"), fenced("code_error"), "prose", None])
def test_neither_judge_nor_reward_tells_answers_to_a_broken_reference_apart(
    answer: str | None,
) -> None:
    scoring = ChartScoring(FakeRenderer(), judge=Nobody())
    item: Item = (sample("a", "code_error"), answer)
    scores = score_item(item, scoring, scoring.find_scorers()).result.scores
    assert {name: scores[name].value for name in (*OPEN, "gpt")} == {**OPEN, "gpt": None}
    assert "it was to be code_error" in scores["gpt"].details["reason"]
    rewarder = Rewarder(scoring, "python", RewardSettings(vision={"gpt": 1.0}))
    reward = rewarder(item[0], as_trajectory(item[0], answer or "", "python")).reward
    assert reward.total is None


def test_a_customized_reference_without_data_leaves_every_answer_open() -> None:
    scoring = ChartScoring(FakeRenderer())
    for answer in (fenced("ok a"), "prose", None):
        item: Item = (sample("a", "ok a", task="customized"), answer)
        result = score_item(item, scoring, scoring.find_scorers()).result
        assert {score.value for score in result.scores.values()} == {None}, answer


def test_an_episode_without_code_beside_a_broken_reference_is_in_no_mean_by_turn() -> None:
    def mean(results: Any) -> dict[str, float | None]:
        known = [one.scores["text"].value for one in results]
        known = [value for value in known if value is not None]
        return {"text": sum(known) / len(known) if known else None}

    def played(value: float | None, *turns: TurnScores) -> SampleResult:
        episode = EpisodeResult("no_action", 1, {}, turns)
        return SampleResult("a", "no_code", None, 0.0, {"text": Score(value)}, episode=episode)

    fine = played(0.8, TurnScores(1, None, "ok", {"text": 0.8}))
    unknown, mute = played(None), played(0.0)
    (row,) = summarize_episodes([fine, unknown], mean)["by_turn"]
    assert row["carried"]["text"] == 0.8
    (row,) = summarize_episodes([fine, mute], mean)["by_turn"]
    assert row["carried"]["text"] == 0.4


def test_a_sample_keeps_its_own_picture_for_the_judge(tmp_path: Path) -> None:
    """The judge compares with the data set's picture, which a broken script takes nothing from."""
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.new("RGB", (30, 20), "red").save(picture)
    scoring = ChartScoring(FakeRenderer(), judge=Nobody())
    item: Item = (Sample("a", "code_error", picture), fenced("code_error"))
    result = score_item(item, scoring, scoring.find_scorers()).result
    assert (result.scores["gpt"].value, result.scores["text"].value) == (0.0, None)


# ------------------------------------------------------------- an answer that only seems to be lost

SEEMING = {
    "good": fenced(plot("t")),
    "1": "Failed to obtain answer. I cannot do this one.",
    "2": "Failed to obtain answer",
    "3": "Failed to obtain answer via API.",
    "4": "Failed to obtain answer via API. " + fenced("x"),
}


def test_a_model_that_says_so_has_not_lost_its_answer(tmp_path: Path) -> None:
    data = write_data(tmp_path, {name: plot("t") for name in SEEMING}, SEEMING)
    done = rrvf("score", "chartmimic", *data, "--out", tmp_path / "score")
    turns = [{"id": name, "turns": [text]} for name, text in SEEMING.items()]
    turns[1]["turns"] = ["<think>.</think><answer>Failed to obtain answer via API.</answer>"]
    recorded = tmp_path / "turns.jsonl"
    recorded.write_text("".join(json.dumps(one) + "\n" for one in turns))
    played = rrvf(
        *("eval", "chartmimic", "--data", data[1], "--policy", recorded),
        *("--out", tmp_path / "eval"),
    )
    assert (done.returncode, played.returncode) == (0, 0), done.stderr + played.stderr
    for out in (tmp_path / "score", tmp_path / "eval"):
        assert summary_of(out)["metrics"]["exec_rate"] == pytest.approx(20.0)
        assert not any(summary_of(out)["n_unscored"].values())


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("Failed to obtain answer via API.", True),
        ("Failed to obtain answer via API. ", True),
        ("Failed to obtain answer via API.Connection refused", True),
        ("Failed to obtain answer via bailingMM API.", True),
        ("Failed to obtain answer BlueLM API. ", True),
        ("Failed to obtain answer: <class 'RuntimeError'> CUDA out of memory", True),
        ("Failed to obtain answer. I cannot do this one.", False),
        ("Failed to obtain answer", False),
        ("Failed to obtain answer: sorry.", False),
        ("Failed to obtain answer via API.\n```python\nx\n```", False),
    ],
)
def test_only_the_lines_that_vlmevalkit_writes_are_lost_answers(
    tmp_path: Path, text: str, is_lost: bool
) -> None:
    path = tmp_path / "model_data.json"
    path.write_text(json.dumps([{"index": 1, "prediction": text}]))
    assert (lost(load_predictions(path)["1"]) is not None) == is_lost
    path.write_text(json.dumps([{"id": "1", "prediction": text}]))
    assert lost(load_predictions(path)["1"]) is None, "not a file of VLMEvalKit's"
