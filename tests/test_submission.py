"""A run that is handed in is scored again: what is not what it says is refused by name."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrvf.tables.leaderboard import write_leaderboard
from tests.episodes import answer, call
from tests.reports import payload
from tests.runs import assert_one_line, fenced, lines_of, plot, rrvf_here, summary_of
from tests.test_rescore import run, write_lines

Line = dict[str, Any]

CHANCE = (
    "import matplotlib.pyplot as plt, os\n"
    'plt.plot([1, 2], color="#" + os.urandom(3).hex())\nplt.title("one")'
)
"""Its colour is a new one each time, whatever is seeded."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run of answers and one of episodes."""
    folder = tmp_path_factory.mktemp("submission")
    (folder / "data").mkdir()
    for name in ("a", "b", "c"):
        (folder / "data" / f"{name}.py").write_text(plot(f"one {name}"))
    answers = {
        "a": fenced(plot("one a")),
        "b": fenced("raise ValueError"),
        "c": fenced(plot("two")),
    }
    write_lines(folder / "answers.jsonl", [{"id": n, "prediction": t} for n, t in answers.items()])
    turns = {
        "a": [f"<think>.</think>{call(plot('another'))}", answer(plot("one a"))],
        "b": ["I give up."],
        "c": [answer(plot("two"))],
    }
    write_lines(folder / "turns.jsonl", [{"id": n, "turns": t} for n, t in turns.items()])
    run(folder, "score", "chartmimic", "--data", "data", "--predictions", "answers.jsonl", out="s")
    run(folder, "eval", "chartmimic", "--data", "data", "--policy", "turns.jsonl", out="e")
    return folder


@pytest.fixture
def changed(work: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a run with a sample's line changed."""

    def copy(change: Callable[[Line], object], sample_id: str = "c", source: str = "s") -> Path:
        folder = tmp_path / "handed in"
        shutil.copytree(work / source, folder)
        lines = lines_of(folder)
        change(lines[sample_id])
        text = "".join(json.dumps(line) + "\n" for line in lines.values())
        (folder / "results.jsonl").write_text(text)
        return folder

    return copy


def raise_score(line: Line) -> None:
    line["scores"]["color"]["recall"] = 0.123


def submit(work: Path, folder: Path | str, tmp_path: Path, *words: object) -> Any:
    words = ("--data", "data", *words)
    return rrvf_here("submit", folder, "--out", tmp_path / "again", *words, cwd=work)


RECORD = ("--policy", "me", "--name", "one", "--made", "by hand")


@pytest.mark.parametrize("name", ["s", "e"])
def test_an_honest_run_enters(work: Path, tmp_path: Path, name: str) -> None:
    results = tmp_path / "results"
    done = submit(work, name, tmp_path, "--results", results, *RECORD)
    assert done.returncode == 0, done.stderr
    assert "3 samples scored again: every status and score is equal" in done.stdout
    kept = results / "chartmimic" / "me" / "one"
    config = json.loads((kept / "config.json").read_text())
    assert config["rescored"]["differences"] == []
    assert summary_of(kept) == summary_of(work / name)
    assert {n: line["status"] for n, line in lines_of(kept).items()} == {
        n: line["status"] for n, line in lines_of(work / name).items()
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (raise_score, "c: color, recall is 0.123 there, 1.0 here"),
        (lambda line: line.update(status="timeout"), "c: status is timeout there, ok here"),
        (lambda line: line.update(code="pass"), "c: code is another than in its answer there"),
    ],
)
def test_what_was_changed_is_refused_by_name(
    work: Path, tmp_path: Path, changed: Callable[..., Path], change: Any, told: str
) -> None:
    folder = changed(change)
    statuses = dict(Counter(line["status"] for line in lines_of(folder).values()))
    set_summary(statuses=statuses)(folder)  # the table follows
    done = submit(work, folder, tmp_path, "--results", tmp_path / "results", *RECORD)
    assert done.returncode == 2
    assert f"refused, it is not what its answers score under its own environment: {told}" in (
        done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_another_answer_under_the_old_scores_is_refused(
    work: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    folder = changed(lambda line: line.update(completion=fenced(plot("one c"))))
    done = submit(work, folder, tmp_path)
    assert_one_line(done, "or the answer in the run, differs from the scored one, such as c")


def test_a_better_table_over_the_old_lines_is_refused(work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "handed in"
    shutil.copytree(work / "s", folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["metrics"]["text"] = 99.0
    (folder / "summary.json").write_text(json.dumps(summary))
    done = submit(work, folder, tmp_path)
    # a: 1, b does not run: 0, c: "two" against "one c": 0.
    assert_one_line(done, "summary.json: text is 99.0 there, 33.33", "score the answers anew")


def test_a_turn_of_an_episode_is_compared_too(
    work: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    def change(line: Line) -> None:
        line["episode"]["by_turn"][0]["scores"]["text"] = 0.75

    done = submit(work, changed(change, "a", "e"), tmp_path)
    assert done.returncode == 2
    assert "a: turn 1, text is 0.75 there, 0.0 here" in done.stderr


def test_under_another_environment_the_row_carries_both(
    work: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    def change(line: Line) -> None:
        line["scores"]["text"] = {"value": 0.3, "precision": 0.3, "recall": 0.3, "f1": 0.3}

    folder = changed(change)
    summary = json.loads((folder / "summary.json").read_text())
    versions = summary["environment"]["chart_versions"] | {"matplotlib": "3.5.0"}
    summary["environment"]["chart_versions"] = versions
    change_json(folder / "run.json", lambda e: e.update({"environment.chart_versions": versions}))
    metrics = summary["metrics"]
    text = 100 * (1 + 0 + 0.3) / 3
    metrics["average"] += (text - metrics["text"]) / 4
    metrics["text"] = text
    (folder / "summary.json").write_text(json.dumps(summary))
    results = tmp_path / "results"
    done = submit(work, folder, tmp_path, "--results", results, *RECORD)
    assert done.returncode == 0, done.stderr
    assert "under another environment: 1 differ (c)" in done.stdout
    assert "chart_versions.matplotlib 3.5.0 there, 3.9" in done.stdout
    [row] = [
        row
        for table in payload(write_leaderboard(results))["tables"]
        for row in table["rows"]
        if row["kind"] == "measured"
    ]
    assert row["cells"][1]["text"] == "43.33"
    [again] = row["deltas"]
    assert (again["name"], again["cells"][1]) == ("scored again", "33.33")
    assert "differ (c)" in dict(row["facts"])["scored again"]


def test_what_chance_changes_is_no_reason_to_refuse(work: Path, tmp_path: Path) -> None:
    replies = {"a": fenced(CHANCE), "b": fenced(plot("one b"))}
    rows = [{"id": name, "prediction": text} for name, text in replies.items()]
    write_lines(tmp_path / "p.jsonl", rows)
    run(work, "score", "chartmimic", "--data", "data", "--predictions", tmp_path / "p.jsonl",
        "--limit", 2, out=str(tmp_path / "chance"))  # fmt: skip
    done = submit(work, tmp_path / "chance", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "different from one execution to the next: a" in done.stdout


def test_what_is_missing_is_one_line(work: Path, tmp_path: Path) -> None:
    done = submit(work, "s", tmp_path, "--results", tmp_path / "results")
    assert_one_line(done, "--results needs --policy, --name and --made")
    shutil.copytree(work / "s", tmp_path / "torn")
    text = (tmp_path / "torn" / "results.jsonl").read_text()
    (tmp_path / "torn" / "results.jsonl").write_text(text[: len(text) - 20])
    done = submit(work, tmp_path / "torn", tmp_path)
    assert_one_line(done, "unfinished or damaged; run the same command again")
    assert_one_line(submit(work, "data", tmp_path), "no run of rrvf score or rrvf eval")


def change_json(path: Path, change: Callable[[Line], object]) -> None:
    entry = json.loads(path.read_text())
    change(entry)
    path.write_text(json.dumps(entry))


def set_told(**told: object) -> Callable[[Path], object]:
    """A record that says something else of what the run was told."""
    entries = {f"told.{name}": value for name, value in told.items()}
    return lambda folder: change_json(folder / "run.json", lambda entry: entry.update(entries))


def drop_text(folder: Path) -> None:
    """The scorer that gave nothing is gone, from settings and from lines."""
    lines = lines_of(folder)
    for line in lines.values():
        line["scores"].pop("text")
    (folder / "results.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines.values()))

    def drop(entry: Line) -> None:
        entry["metrics"] |= {"text": None, "average": None}

    change_json(folder / "summary.json", drop)


def set_summary(**parts: object) -> Callable[[Path], object]:
    return lambda folder: change_json(folder / "summary.json", lambda entry: entry.update(parts))


def set_protocol(**parts: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        change_json(folder / "summary.json", lambda entry: entry["protocol"].update(parts))

    return change


def call_it_judged(folder: Path) -> None:
    """A score of which the record says that a judge gave it."""
    lines = lines_of(folder)
    raise_score(lines["c"])
    (folder / "results.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines.values()))
    set_protocol(judge={"name": "color", "judge": "gpt-4o"})(folder)
    judge = {"protocol.judge": {"name": "color", "judge": "gpt-4o"}}
    change_json(folder / "run.json", lambda entry: entry.update(judge))


def double_line(folder: Path) -> None:
    text = (folder / "results.jsonl").read_text()
    (folder / "results.jsonl").write_text(text + text.splitlines(keepends=True)[0])


def invent_tags(folder: Path) -> None:
    lines = lines_of(folder)
    lines["c"]["tags"]["category"] = "easy"
    (folder / "results.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines.values()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (drop_text, "text is missing there"),
        (invent_tags, "tags is"),
        (double_line, "repeated line"),
        (set_summary(statuses={"ok": 300}), "statuses"),
        (set_summary(benchmark="../../out"), "which has no place in the results"),
        (set_summary(benchmark="plot2code"), "benchmark is another in run.json"),
        (set_summary(environment={}), "does not say under which environment"),
        (set_summary(environment={"chart_python": "3.9"}), "environment."),
        (set_protocol(mode="fixed"), "protocol.mode is fixed there, official here"),
        (call_it_judged, "c: color, recall is 0.123 there, 1.0 here"),
        (set_protocol(policy={"policy": "gpt-9"}), "protocol.policy"),
        (set_told(timeout="60"), "run.json: damaged"),
        (set_told(scorers=[["text"]]), "run.json: damaged"),
        (set_told(scorers=["mine:score"]), "names code of its own, mine:score"),
    ],
)
def test_nothing_else_of_a_run_is_believed(
    work: Path, tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    folder = tmp_path / "handed in"
    shutil.copytree(work / "s", folder)
    change(folder)
    done = submit(work, folder, tmp_path, "--results", tmp_path / "results", *RECORD)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_no_program_that_a_run_names_is_started(work: Path, tmp_path: Path) -> None:
    folder, program, mark = tmp_path / "handed in", tmp_path / "python", tmp_path / "was here"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 1\n")
    program.chmod(0o755)
    shutil.copytree(work / "s", folder)
    set_told(chart_python=str(program), browser=str(program), data="/elsewhere")(folder)
    done = submit(work, folder, tmp_path)
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    done = rrvf_here("submit", folder, "--out", tmp_path / "other", cwd=work)
    assert_one_line(done, "name the samples by --data")


def test_no_run_takes_the_place_of_another(work: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert submit(work, "s", tmp_path, "--results", results, *RECORD).returncode == 0
    before = {p: p.read_bytes() for p in results.rglob("*") if p.is_file()}
    done = submit(work, "s", tmp_path, "--results", results, "--policy", "ME!", *RECORD[2:])
    assert_one_line(done, "chartmimic/me/one holds a run already", "--name")
    assert {p: p.read_bytes() for p in results.rglob("*") if p.is_file()} == before
    done = submit(work, "s", tmp_path, "--results", work / "s" / "in", *RECORD)
    assert_one_line(done, "--results", "lies inside", "stays as it is", "name another --results")


def test_chance_excuses_only_what_varies(work: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "p.jsonl", [{"id": "a", "prediction": fenced(CHANCE)}])
    run(work, "score", "chartmimic", "--data", "data", "--predictions", tmp_path / "p.jsonl",
        "--limit", 1, out=str(tmp_path / "chance"))  # fmt: skip
    lines = lines_of(tmp_path / "chance")
    # "one" is not "one a", and no chance makes it so.
    for part in ("value", "precision", "recall", "f1"):
        lines["a"]["scores"]["text"][part] = 1.0
    (tmp_path / "chance" / "results.jsonl").write_text(json.dumps(lines["a"]) + "\n")

    def follow(entry: Line) -> None:
        entry["metrics"]["average"] += (100 - entry["metrics"]["text"]) / 4
        entry["metrics"]["text"] = 100.0

    change_json(tmp_path / "chance" / "summary.json", follow)
    done = submit(work, tmp_path / "chance", tmp_path)
    assert done.returncode == 2
    assert "a: text is 1.0 there, 0.0 here" in done.stderr
