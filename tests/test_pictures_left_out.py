"""A run that keeps no pictures scores the same; its report draws what was left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rrvf.kinds.chart import ChartKind
from rrvf.renderers.chart import ChartScript, PictureOptions
from rrvf.types import Sample
from tests.episodes import answer, call
from tests.runs import fenced, kept_renderer, lines_of, plot, rrvf_here

REFERENCES = {name: plot(f"title {name}") + '\nplt.savefig("a.pdf")' for name in ("a", "b", "c")}
ANSWERS = {"a": fenced(plot("another")), "b": fenced("raise ValueError"), "c": "nothing"}
UNKEPT = {"seconds", "pictures"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, answers to it, and a run for each choice of pictures."""
    folder = tmp_path_factory.mktemp("left_out")
    (folder / "data").mkdir()
    for name, code in REFERENCES.items():
        (folder / "data" / f"{name}.py").write_text(code)
    rows = [{"id": name, "prediction": text} for name, text in ANSWERS.items()]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for kept in ("none", "failed", "all"):
        score(folder, kept)
    return folder


def score(folder: Path, kept: str, *more: str, out: str | None = None) -> Path:
    words = ("chartmimic", "--data", "data", "--predictions", "answers.jsonl", *more)
    done = rrvf_here("score", *words, "--pictures", kept, "--out", out or kept, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / (out or kept)


def pictures_of(run: Path) -> dict[str, set[str]]:
    return {name: set(line["pictures"]) for name, line in lines_of(run).items()}


def measured(run: Path) -> dict[str, Any]:
    return {
        name: {key: value for key, value in line.items() if key not in UNKEPT}
        for name, line in lines_of(run).items()
    }


def test_scores_are_the_same_whatever_is_kept(work: Path) -> None:
    assert measured(work / "none") == measured(work / "failed") == measured(work / "all")
    assert pictures_of(work / "all") == {
        "a": {"reference", "rendering"},
        "b": {"reference"},
        "c": {"reference"},
    }
    assert pictures_of(work / "failed") == {"a": set(), "b": {"reference"}, "c": {"reference"}}
    assert pictures_of(work / "none") == {"a": set(), "b": set(), "c": set()}
    assert not (work / "none" / "renderings").exists()


@pytest.mark.parametrize("kept", ["none", "failed"])
def test_the_report_draws_what_was_left_out(work: Path, kept: str) -> None:
    run = work / f"{kept}_drawn"
    shutil.copytree(work / kept, run)
    done = rrvf_here("report", run, cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(run).keys() == REFERENCES.keys()
    for name, line in lines_of(work / "all").items():
        assert lines_of(run)[name]["pictures"] == line["pictures"], "the same pictures, by content"
    assert measured(run) == measured(work / "all")
    names = {name for line in lines_of(run).values() for name in line["pictures"].values()}
    assert {path.name for path in (run / "renderings").iterdir()} == names
    page = (run / "report.html").read_text()
    assert all(name in page for name in names)
    # The run still goes on, and nothing is done twice.
    before = (run / "results.jsonl").read_bytes()
    score(work, kept, out=run.name)
    assert rrvf_here("report", run, cwd=work).returncode == 0
    assert (run / "results.jsonl").read_bytes() == before


def test_a_report_without_drawing_leaves_the_run_alone(work: Path) -> None:
    before = (work / "none" / "results.jsonl").read_bytes()
    done = rrvf_here("report", work / "none", "--no-draw", "--out", work / "page", cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert (work / "none" / "results.jsonl").read_bytes() == before
    assert "data:image/png" not in (work / "page" / "report.html").read_text()


def test_a_report_is_written_where_nothing_can_be_drawn(work: Path) -> None:
    run = work / "moved"
    shutil.copytree(work / "none", run)
    settings = json.loads((run / "run.json").read_text()) | {"told.data": "/gone/away"}
    (run / "run.json").write_text(json.dumps(settings))
    done = rrvf_here("report", run, cwd=work)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "its samples were at /gone/away" in done.stderr
    assert (run / "report.html").is_file()


def test_samples_that_are_others_now_are_not_drawn(work: Path) -> None:
    run = work / "changed"
    shutil.copytree(work / "none", run)
    shutil.copytree(work / "data", work / "changed_data")
    (work / "changed_data" / "a.py").write_text(REFERENCES["b"])
    settings = json.loads((run / "run.json").read_text())
    settings["told.data"] = str(work / "changed_data")
    (run / "run.json").write_text(json.dumps(settings))
    done = rrvf_here("report", run, cwd=work)
    assert done.returncode == 0
    assert "for 1 samples the reference in this data" in done.stderr
    assert pictures_of(run) == {"a": set(), "b": set(), "c": set()}
    assert (run / "report.html").is_file()


def test_who_looks_at_pictures_has_them_drawn(work: Path) -> None:
    judge = ("--judge", "likeness", "--scorers", "execution")
    runs = [score(work, kept, *judge, out=f"judged_{kept}") for kept in ("none", "all")]
    assert measured(runs[0]) == measured(runs[1])
    assert 0 < lines_of(runs[0])["a"]["scores"]["likeness"]["value"] < 1
    assert pictures_of(runs[0])["a"] == set()


def test_an_episode_keeps_what_its_policy_saw(work: Path) -> None:
    turns = [f"<think>.</think>{call(plot('draft'))}", answer(plot("draft"))]
    (work / "turns.jsonl").write_text(json.dumps({"id": "a", "turns": turns}) + "\n")
    words = ("--data", "data", "--limit", "1", "--policy", "turns.jsonl", "--pictures", "none")
    done = rrvf_here("eval", "chartmimic", *words, "--out", "played", cwd=work)
    assert done.returncode == 0, done.stderr
    episode = json.loads((work / "played" / "trajectories.jsonl").read_text())
    seen = episode["turns"][0]["observations"][0]["picture"]
    assert (work / "played" / "renderings" / seen).is_file()
    assert rrvf_here("report", work / "played", cwd=work).returncode == 0
    assert lines_of(work / "played")["a"]["pictures"]["rendering"] == seen


def test_a_preview_is_not_drawn_until_it_is_wanted() -> None:
    # Renderings are kept from test to test: nobody else may have drawn this one.
    sample = Sample("a", f"{plot('wanted by this test alone')}\nplt.savefig('a.pdf')")
    with kept_renderer(workers=1, memo_bytes=1 << 20) as renderer:
        kind = ChartKind(renderer)
        assert kind.draw(ChartScript(plot("x")), "none").png is None
        assert kind.draw(ChartScript(plot("x")), "failed").png is None
        assert kind.draw(ChartScript(plot("x"))).png is not None
        assert kind.draw(ChartScript(plot("y"))).png is not None
        assert kind.draw(ChartScript(plot("y")), "none").png is not None, "what is there comes"
        saved = ChartScript(f"{plot('x')}\nplt.savefig('b.pdf')\nraise ValueError")
        failed, everything = kind.draw(saved, "failed"), kind.draw(saved)
        assert failed.status == everything.status == "code_error"
        assert failed.png == everything.png is not None
        assert kind.draw_target(sample, "none").png is None
        assert kind.draw_target(sample).png is not None


def test_what_would_do_as_well_comes_after_what_is_wanted() -> None:
    assert list(PictureOptions(judge=False, pdf=True, pictures="none").list_alternatives()) == [
        PictureOptions(judge=False, pdf=True, pictures="none"),
        PictureOptions(judge=False, pdf=True, pictures="all"),
        PictureOptions(judge=True, pdf=True, pictures="none"),
        PictureOptions(judge=True, pdf=True, pictures="all"),
    ]
