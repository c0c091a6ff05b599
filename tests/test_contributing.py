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
from tests.runs import assert_one_line, fenced, lines_of, plot, rrvf_here, summary_of, values

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
    done = rrvf_here(*words, cwd=parts)
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
    table = (scored / "report.html").read_text("utf-8")
    assert "Both" in table
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


POOR = """
from pathlib import Path
from my_benchmark import Sketches
from rrvf.benchmarks.benchmark import Benchmark
from rrvf.types import Column, Sample

class Bare(Benchmark):
    pass
class Odd(Benchmark):
    kind, columns, scorers = "film", (), ("execution",)
class Word(Sketches):
    scorers = "execution"
class Empty(Sketches):
    scorers = ()
class Rubric(Sketches):
    rubric = "zork"
class Texts(Sketches):
    columns = ("text",)
class Twice(Sketches):
    columns = (Column("a", "A", "execution"), Column("a", "B", "text"))
class Later(Sketches):
    columns = (Column("a", "A", mean_of=("b",)), Column("b", "B", "text"))
class Over(Sketches):
    columns = (Column("a", "A", "text", over="rann"),)
class Typo(Sketches):
    columns = (Column("a", "A", "layoutt"),)
class Argument(Sketches):
    def __init__(self, needed):
        pass
class Raises(Sketches):
    def load(self, data, options):
        raise ValueError("no such column")
class Nothing(Sketches):
    def load(self, data, options):
        return []
class Strings(Sketches):
    def load(self, data, options):
        return ["a"]
class Same(Sketches):
    def load(self, data, options):
        return [Sample("a", "x = 1"), Sample("a", "x = 2")]
class Paths(Sketches):
    def describe_data(self, data):
        return {"data": Path(data)}
class Generated(Sketches):
    def load(self, data, options):
        yield from super().load(data, options)
def function():
    pass

from my_judge import SizeJudge
class NoName:
    pass
class Text(SizeJudge):
    name = "text"
class Gpt(SizeJudge):
    name = "gpt"
class Broken(SizeJudge):
    def __call__(self, reference, rendering):
        raise RuntimeError("no")
"""
LACKS = {
    "Bare": "does not say its kind, columns, scorers",
    "Odd": "has the kind 'film'; give one of chart, figure, page",
    "Word": "needs scorers",
    "Empty": "needs scorers",
    "Rubric": "has the rubric 'zork'; give one of",
    "Texts": "needs columns",
    "Twice": "has two columns 'a'",
    "Later": "as a mean of 'b', no column before it",
    "Over": "over 'rann'; give all or ran",
    "Typo": "of 'layoutt', which is no scorer",
    "Argument": "cannot be made: TypeError",
    "Raises": "cannot load sketches: ValueError: no such column",
    "Nothing": "no samples in it",
    "Strings": "must load rrvf.types.Sample, not str",
    "Same": "more than one sample named 'a'",
    "Paths": "describe_data: TypeError",
    "function": "is not a subclass",
    "Gone": "cannot be imported",
}
OPTIONS = ("--data", "sketches", "--predictions", "answers.jsonl", "--out")


@pytest.mark.parametrize("name", LACKS)
def test_what_a_benchmark_lacks_is_one_line(parts: Path, name: str) -> None:
    (parts / "poor.py").write_text(POOR)
    done = rrvf_here("score", f"poor:{name}", *OPTIONS, "no", cwd=parts)
    assert_one_line(done, LACKS[name])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NoName", "lacks name, concurrency"),
        ("Text", "the judge's score has the name of a scorer, 'text'; rename the judge"),
        ("Gpt", "names its score 'gpt', which is another's"),
    ],
)
def test_what_a_judge_lacks_is_one_line(parts: Path, name: str, told: str) -> None:
    (parts / "poor.py").write_text(POOR)
    words = ("score", "my_benchmark:Sketches", *OPTIONS, "no", "--judge", f"poor:{name}")
    assert_one_line(rrvf_here(*words, cwd=parts), told)


def test_samples_may_be_made_one_by_one_and_a_judge_may_fail(parts: Path) -> None:
    (parts / "poor.py").write_text(POOR)
    run(parts, "score", "poor:Generated", *OPTIONS, "made", "--judge", "poor:Broken")
    line = lines_of(parts / "made")["a"]
    assert values(line) == {"execution": 1.0, "text": 1.0, "size": None}
    assert "size failed: RuntimeError: no (poor.py:" in line["scores"]["size"]["reason"]


def test_scorers_that_need_code_are_refused_where_only_pictures_are_known(parts: Path) -> None:
    (parts / "pictures").mkdir(exist_ok=True)
    script = parts / "sketches" / "a.py"
    for name in ("a.png", "b.png"):
        run(parts, "render", "chart", script, "--out", parts / "pictures" / name)
    rows = [{"id": f"{name}.png", "prediction": fenced(plot("title a"))} for name in "ab"]
    write_lines(parts / "of_pictures.jsonl", rows)
    words = ("--data", "pictures", "--predictions", "of_pictures.jsonl", "--scorers")
    for scorer in ("text", "my_scorers:score_axes"):
        done = rrvf_here(
            "score", "pictures", *words, f"execution,{scorer}", "--out", "no", cwd=parts
        )
        assert_one_line(done, f"{scorer} compares with the reference's code")
    run(parts, "score", "pictures", *words, "execution,my_scorers:score_bytes", "--out", "pics")
    assert summary_of(parts / "pics")["metrics"]["exec_rate"] == 100.0


def test_the_scorer_that_is_worked_through(parts: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile((parts / "my_scorers.py").read_text("utf-8"), "my_scorers.py", "exec"), names)
    one, two = (Drawing("ok", elements=Elements(n_axes=number)) for number in (1, 2))
    assert names["score_axes"](one, one, "official").value == 1.0
    assert names["score_axes"](one, two, "official").value == 0.0


def test_links_between_the_pages_lead_somewhere(project: Path) -> None:
    pages = [
        *project.glob("*.md"),
        *(
            project / folder / "README.md"
            for folder in ("rrvf", "rrvf/trainers", "training", "vlmeval_plugin")
        ),
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
