"""Runs that were recorded before the code was laid out anew: they resume, report and tabulate.

A run is refused where something that moves its scores has changed. What may rightly have changed -
the machine and its packages, the sources of the renderers - is set to what a new run writes; every
other setting, and every result, must be what it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.runs import lasting_summary_of, rrvf_here

GOLDEN = Path(__file__).parent / "golden"
DEMO = Path(__file__).parents[1] / "rrvf" / "demo_data"
PASSING = ("told.", "environment.", "protocol.recorder", "protocol.renderer", "protocol.hash")
MACHINE = frozenset({"seconds", "error", "pictures", "completion", "key", "code"})

MOVED = {("score-websight", "pricing"): ("position", "color")}
"""Run and sample -> scores: repeated texts of a page are paired by place now."""


@dataclass(frozen=True)
class Recorded:
    """One run: its command, how many of its lines an unfinished one keeps."""

    command: Sequence[str | Path]
    kept: int
    references: Sequence[Path] = ()
    needs_browser: bool = False


def demo(name: str) -> list[str | Path]:
    return [
        "--data",
        DEMO / name / "references",
        "--predictions",
        DEMO / name / "predictions.jsonl",
    ]


def recording(name: str) -> list[str | Path]:
    """The demo's charts or pages that the recording names lie in ``references`` by then."""
    return ["--data", "references", "--policy", GOLDEN / "inputs" / f"{name}-recording.jsonl"]


DEMO_CHARTS = ["score", "chartmimic", *demo("charts"), "--timeout", "5"]
PAGE_SCORERS = ["--scorers", "execution,block_match,text,position,color"]
RUNS = {
    "score-chartmimic": Recorded(
        [*DEMO_CHARTS, "--judge", "likeness", "--limit", "6"],
        kept=4,
    ),
    "score-fixed": Recorded(
        [*DEMO_CHARTS, "--mode", "fixed", "--scorers", "execution,text"],
        kept=10,
    ),
    "score-plot2code": Recorded(["score", "plot2code", *demo("plots")], kept=3),
    "score-websight": Recorded(
        ["score", "websight", *demo("pages"), *PAGE_SCORERS, "--judge", "likeness"],
        kept=6,
        needs_browser=True,
    ),
    "eval-chartmimic": Recorded(
        ["eval", "chartmimic", *recording("charts")],
        kept=1,
        references=[DEMO / "charts" / "references" / f"{name}.py" for name in ("bar_1", "pie_1")],
    ),
    "eval-websight": Recorded(
        ["eval", "websight", *recording("pages"), "--scorers", "execution,block_match,text"],
        kept=0,
        references=[DEMO / "pages" / "references" / "landing.html"],
        needs_browser=True,
    ),
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Sample -> everything in its line but what depends on the machine."""
    return {
        line["sample_id"]: {name: line[name] for name in line.keys() - MACHINE}
        for line in lines(folder / "results.jsonl")
    }


def settings(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def take_over_moved_scores(old: Path, new: Path) -> None:
    """Scores whose rule was changed on purpose are set to what a new run writes."""
    now = {line["sample_id"]: line["scores"] for line in lines(new / "results.jsonl")}
    changed = lines(old / "results.jsonl")
    for line in changed:
        for name in MOVED.get((old.name, line["sample_id"]), ()):
            assert line["scores"][name] != now[line["sample_id"]][name]
            line["scores"][name] = now[line["sample_id"]][name]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in changed)
    (old / "results.jsonl").write_text(text, encoding="utf-8")


def lasting(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if not name.startswith(PASSING)}


@pytest.fixture(params=RUNS)
def taken_up(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Recorded, Path, Path]:
    """A run, a copy of its golden folder, and the folder of the same run made now."""
    run = RUNS[request.param]
    if run.needs_browser:
        request.getfixturevalue("web_browser")
    old, new = tmp_path / request.param, tmp_path / "new"
    shutil.copytree(GOLDEN / request.param, old)
    (tmp_path / "references").mkdir()
    for file in run.references:
        shutil.copy(file, tmp_path / "references")
    done = rrvf_here(*run.command, "--out", new, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    take_over_moved_scores(old, new)
    before, now = settings(old), settings(new)
    assert lasting(before) == lasting(now)
    passing = {name: value for name, value in now.items() if name.startswith(PASSING)}
    (old / "run.json").write_text(json.dumps({**before, **passing}), encoding="utf-8")
    return run, old, new


def test_a_recorded_run_goes_on(taken_up: tuple[Recorded, Path, Path]) -> None:
    run, old, new = taken_up
    whole = results(old)
    assert whole == results(new)
    kept = (old / "results.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    torn = "".join(kept[: run.kept]) + '{"sample_id": "half a li'
    for path, text in (("results.jsonl", torn), ("summary.json", None)):
        (old / path).unlink()
        if text is not None:
            (old / path).write_text(text, encoding="utf-8")
    resumed = rrvf_here(*run.command, "--out", old, cwd=old.parent)
    assert resumed.returncode == 0, resumed.stderr
    assert results(old) == whole
    assert (old / "results.jsonl").read_text(encoding="utf-8").startswith("".join(kept[: run.kept]))
    summaries = [lasting_summary_of(folder) for folder in (old, new)]
    assert summaries[0] == summaries[1]
    if (old / "trajectories.jsonl").exists():
        assert len(lines(old / "trajectories.jsonl")) == len(whole), "no episode is played again"


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_has_its_report(name: str, tmp_path: Path) -> None:
    old = shutil.copytree(GOLDEN / name, tmp_path / name)
    done = rrvf_here("report", old)
    assert done.returncode == 0, done.stderr
    page = (old / "report.html").read_text(encoding="utf-8")
    assert all(sample in page for sample in results(old))


def test_recorded_runs_stand_in_a_table(tmp_path: Path) -> None:
    folders = [shutil.copytree(GOLDEN / name, tmp_path / name) for name in RUNS]
    for folder in folders:
        done = rrvf_here("tables", "--runs", folder)
        assert done.returncode == 0, done.stderr
        assert "***Measured***" in done.stdout
