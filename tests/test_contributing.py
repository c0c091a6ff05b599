"""What CONTRIBUTING.md works through, works: its parts are run as their users run them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from rrvf.types import Drawing, Elements
from tests.episodes import answer, call
from tests.runs import fenced, lines_of, plot, rrvf, summary_of, values

SCRIPTS = {name: plot(f"title {name}") + '\nplt.savefig("a.pdf")' for name in ("a", "b")}
NAMES = ("my_scorers", "my_benchmark", "my_judge", "my_terms")


@pytest.fixture(scope="module")
def parts(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that CONTRIBUTING writes down, and some samples."""
    folder = tmp_path_factory.mktemp("parts")
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == len(NAMES)
    for name, code in zip(NAMES, blocks, strict=True):
        assert f"`{name}.py`" in text
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "sketches").mkdir()
    for name, code in SCRIPTS.items():
        (folder / "sketches" / f"{name}.py").write_text(code, encoding="utf-8")
    replies = {"a": fenced(plot("title a")), "b": fenced("raise ValueError")}
    rows = [{"id": name, "prediction": reply} for name, reply in replies.items()]
    write_lines(folder / "answers.jsonl", rows)
    turns = {
        "a": [f"<think>.</think>{call(plot('another'))}", answer(plot("title a"))],
        "b": [answer(plot("title b"))],
    }
    write_lines(folder / "turns.jsonl", [{"id": n, "turns": t} for n, t in turns.items()])
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(parts: Path, *words: Any) -> str:
    done = rrvf(*words, cwd=parts)
    assert done.returncode == 0, done.stderr
    return done.stdout


SCORERS = ("--scorers", "execution,text,my_scorers:score_axes,my_scorers:score_bytes")
JUDGE = ("--judge", "my_judge:SizeJudge")


@pytest.fixture(scope="module")
def scored(parts: Path) -> Path:
    """A run of the benchmark, with a scorer and a judge of one's own."""
    told = run(
        parts,
        *("score", "my_benchmark:Sketches", "--data", "sketches"),
        *("--predictions", "answers.jsonl", "--out", "scored", *SCORERS, *JUDGE),
    )
    assert "Sketches · 2 samples (ok 1, code_error 1)" in told
    return parts / "scored"


def test_the_benchmark_is_short(parts: Path) -> None:
    assert len((parts / "my_benchmark.py").read_text("utf-8").splitlines()) <= 60


def test_a_benchmark_of_ones_own_is_scored(scored: Path) -> None:
    own = {"my_scorers:score_axes": 1.0, "my_scorers:score_bytes": 1.0, "size": 1.0}
    assert values(lines_of(scored)["a"]) == {"execution": 1.0, "text": 1.0, **own}
    assert set(values(lines_of(scored)["b"]).values()) == {0.0}
    metrics = summary_of(scored)["metrics"]
    half = dict.fromkeys(("exec_rate", "text", "both", "size"), 50.0)
    assert {name: metrics[name] for name in half} == half
    assert metrics["text_pass"] == 100.0
    assert (scored / "report.html").read_text("utf-8").count("Sketches") > 0


def test_it_stands_in_tables(parts: Path, scored: Path) -> None:
    told = run(parts, "tables", "my_benchmark:Sketches", "--runs", "scored")
    assert "#### Results on Sketches" in told
    [row] = [line for line in told.splitlines() if line.startswith("| scored")]
    assert [cell.split()[0] for cell in row.split("|")[2:6]] == [
        "50.00",
        "50.00",
        "100.00",
        "50.00",
    ]
    shutil.copytree(scored, parts / "again", dirs_exist_ok=True)
    assert "4 samples" not in run(parts, "tables", "--compare", "scored", "again")


def test_it_is_played_and_scored_again(parts: Path) -> None:
    played = ("eval", "my_benchmark:Sketches", "--data", "sketches", "--policy", "turns.jsonl")
    run(parts, *played, "--out", "played")
    first = lines_of(parts / "played")
    assert [turn["scores"]["text"] for turn in first["a"]["episode"]["by_turn"]] == [0.0, 1.0]
    run(parts, "rescore", "played", "--out", "other", *SCORERS, *JUDGE)
    again = lines_of(parts / "other")
    assert values(again["a"])["size"] == 1.0
    turns = [line["a"]["episode"]["by_turn"] for line in (first, again)]
    assert [[turn["scores"]["text"] for turn in each] for each in turns] == [[0.0, 1.0]] * 2
    assert [turn["scores"]["my_scorers:score_bytes"] for turn in turns[1]] == [0.0, 1.0]


def test_what_a_benchmark_lacks_is_one_line(parts: Path) -> None:
    (parts / "poor.py").write_text(
        "from rrvf.benchmarks.benchmark import Benchmark\n"
        "class Bare(Benchmark):\n    pass\n"
        "class Odd(Benchmark):\n    kind, columns, scorers = 'film', (), ()\n"
        "def function():\n    pass\n"
    )
    options = ("--data", "sketches", "--predictions", "answers.jsonl", "--out", "no")
    for name, told in {
        "poor:Bare": "does not say its kind, columns, scorers",
        "poor:Odd": "has the kind 'film'; give one of chart, figure, page",
        "poor:function": "is no subclass",
        "poor:Gone": "cannot be imported",
        "sketch": "unknown benchmark 'sketch'",
    }.items():
        done = rrvf("score", name, *options, cwd=parts)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert told in line


def test_the_scorer_that_is_worked_through(parts: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile((parts / "my_scorers.py").read_text("utf-8"), "my_scorers.py", "exec"), names)
    one, two = (Drawing("ok", elements=Elements(n_axes=number)) for number in (1, 2))
    assert names["score_axes"](one, one, "official").value == 1.0
    assert names["score_axes"](one, two, "official").value == 0.0


def test_links_between_the_pages_lead_somewhere(project: Path) -> None:
    pages = [
        *project.glob("*.md"),
        *(project / folder / "README.md" for folder in ("rrvf", "training", "vlmeval_plugin")),
        project / "results" / "README.md",
        project / "benchmarks" / "README.md",
    ]
    dead = [
        f"{page.relative_to(project)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert not dead
