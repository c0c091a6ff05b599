"""A finished run scored again: what is not changed stays equal, and no model is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.episodes import answer, call
from tests.runs import assert_one_line, fenced, lines_of, plot, rrvf_here, summary_of, values

REFERENCES = {name: plot(f"title {name}") + '\nplt.savefig("a.pdf")' for name in ("a", "b", "c")}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a run of answers and a run of recorded episodes."""
    folder = tmp_path_factory.mktemp("rescore")
    (folder / "data").mkdir()
    for name, code in REFERENCES.items():
        (folder / "data" / f"{name}.py").write_text(code)
    replies = {"a": fenced(plot("title a")), "b": fenced("raise ValueError"), "c": "nothing"}
    write_lines(folder / "answers.jsonl", [{"id": n, "prediction": t} for n, t in replies.items()])
    turns = {
        "a": [f"<think>.</think>{call(plot('another'))}", answer(plot("title a"))],
        "b": [answer(plot("title b"))],
        "c": ["I give up."],
    }
    write_lines(folder / "turns.jsonl", [{"id": n, "turns": t} for n, t in turns.items()])
    run(folder, "score", "chartmimic", "--data", "data", "--predictions", "answers.jsonl", out="s")
    run(folder, "eval", "chartmimic", "--data", "data", "--policy", "turns.jsonl", out="e")
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(folder: Path, *words: object, out: str) -> str:
    done = rrvf_here(*words, "--out", out, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stderr


def measured(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Every line but for the time it took."""
    return {
        name: {key: value for key, value in line.items() if key not in ("seconds", "key")}
        for name, line in lines_of(folder).items()
    }


@pytest.mark.parametrize("name", ["s", "e"])
def test_what_is_not_changed_stays_equal(work: Path, name: str) -> None:
    run(work, "rescore", name, out=f"{name}_again")
    assert measured(work / f"{name}_again") == measured(work / name)
    before, now = (summary_of(work / folder) for folder in (name, f"{name}_again"))
    assert {**now, "environment": {}} == {**before, "environment": {}}


def test_another_judge_and_other_scorers_score_turns_too(work: Path) -> None:
    run(work, "rescore", "e", "--judge", "likeness", "--scorers", "execution,color", out="judged")
    line = lines_of(work / "judged")["a"]
    assert values(line) == {"execution": 1.0, "color": 1.0, "likeness": 1.0}
    first, last = line["episode"]["by_turn"]
    assert first["scores"]["likeness"] < 1.0 == last["scores"]["likeness"]
    assert summary_of(work / "judged")["protocol"]["policy"]["policy"] == "turns.jsonl"


def test_an_unfinished_run_says_so_and_a_lost_line_is_scored_from_its_episode(work: Path) -> None:
    shutil.copytree(work / "e", work / "torn", dirs_exist_ok=True)
    text = (work / "torn" / "results.jsonl").read_text()
    (work / "torn" / "results.jsonl").write_text(text[: len(text) - 20])
    told = run(work, "rescore", "torn", out="torn_again")
    assert "torn is unfinished: only the 3 samples in it are scored again" in told
    assert measured(work / "torn_again") == measured(work / "e")


def test_samples_that_are_others_or_gone_are_one_line(work: Path) -> None:
    shutil.copytree(work / "data", work / "other", dirs_exist_ok=True)
    (work / "other" / "a.py").write_text(plot("changed"))
    done = rrvf_here("rescore", "s", "--out", "x", "--data", "other", cwd=work)
    assert_one_line(done, "for 1 samples the reference in this data", "such as a")
    shutil.copytree(work / "s", work / "moved", dirs_exist_ok=True)
    settings = json.loads((work / "moved" / "run.json").read_text())
    settings["told.data"] = "/gone/away"
    (work / "moved" / "run.json").write_text(json.dumps(settings))
    done = rrvf_here("rescore", "moved", "--out", "x", cwd=work)
    assert_one_line(done, "its samples were at /gone/away, and are not", "--data")
    run(work, "rescore", "moved", "--data", "data", out="found")
    assert measured(work / "found") == measured(work / "s")


@pytest.mark.parametrize("out", ["s", "s/inside", "."])
def test_the_run_itself_stays_as_it_is(work: Path, out: str) -> None:
    before = (work / "s" / "results.jsonl").read_bytes()
    assert_one_line(rrvf_here("rescore", "s", "--out", out, cwd=work), "name another --out")
    assert (work / "s" / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, "no run of rrvf score or rrvf eval"),
        ("{", "no run of rrvf score or rrvf eval"),
        ('{"protocol.benchmark": "chartmimic", "told.data": 3}', "damaged"),
        ('{"protocol.benchmark": "chartmimic", "protocol.policy": "abc"}', "damaged"),
    ],
)
def test_what_is_no_run_is_one_line(
    work: Path, tmp_path: Path, settings: str | None, told: str
) -> None:
    (tmp_path / "r").mkdir()
    shutil.copy(work / "s" / "results.jsonl", tmp_path / "r")
    if settings is not None:
        (tmp_path / "r" / "run.json").write_text(settings)
    assert_one_line(rrvf_here("rescore", tmp_path / "r", "--out", tmp_path / "x"), told)
