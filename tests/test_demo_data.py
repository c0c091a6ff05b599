"""The bundled charts: well formed, the same on every matplotlib line, and every outcome occurs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs import lines_of, values

PARTS = (
    "Part 1: Importing Libraries",
    "Part 2: Data Preparation",
    "Part 3: Plot Configuration and Rendering",
    "Part 4: Saving Output",
)
STATUSES = {
    "3d_1": "out_of_memory",
    "box_1": "code_error",
    "errorbar_1": "no_code",
    "radar_1": "timeout",
}
# F1 counted by hand from the scripts: the heat map keeps 1 of 45 texts, the line chart 6 of 7; the
# scatter plot's colour map is another one, its line is not; the rest is all or nothing.
SCORES: dict[str, dict[str, float]] = {
    "area_1": {"text": 1, "layout": 1, "type": 1, "color": 1},
    "bar_1": {"text": 1, "layout": 1, "type": 1, "color": 1},
    "heatmap_1": {"text": 2 * 1 / (1 + 45), "layout": 1, "type": 1, "color": 1},
    "line_1": {"text": 6 / 7, "layout": 1, "type": 1},
    "multi_1": {"text": 1, "layout": 0, "type": 1, "color": 1},
    "pie_1": {"text": 1, "layout": 1, "type": 1},
    "scatter_1": {"text": 1, "layout": 1, "type": 1, "color": 0.5},
    "violin_1": {"text": 1, "layout": 1, "type": 0, "color": 0},
}
COLOR_RANGES = {"line_1": (0.9, 0.999), "pie_1": (0.6, 0.95)}

# Draws every reference twice in one process, so that unseeded randomness shows.
DRAW_TWICE = """
import os, runpy, sys, warnings
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
warnings.simplefilter("error")
for turn in ("first", "second"):
    os.makedirs(turn)
    os.chdir(turn)
    for script in sorted(Path(sys.argv[1]).glob("*.py")):
        runpy.run_path(str(script))
        plt.close("all")
    os.chdir("..")
"""


@pytest.fixture(scope="module")
def charts(project: Path) -> Path:
    return project / "rrvf" / "demo_data" / "charts"


@pytest.fixture(scope="module")
def references(charts: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted((charts / "references").glob("*.py"))}


@pytest.fixture(scope="module")
def predictions(charts: Path) -> list[dict[str, Any]]:
    lines = (charts / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def demo(chart_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the output of ``rrvf demo``, drawn by each chart environment."""
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "rrvf", "demo", "--out", str(out)]
    done = subprocess.run(
        [*command, "--chart-python", str(chart_python)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.fixture(scope="module")
def results(demo: tuple[Path, str]) -> dict[str, Any]:
    """The lines of its results."""
    return lines_of(demo[0])


def test_every_reference_has_one_answer(
    references: dict[str, str], predictions: list[dict[str, Any]]
) -> None:
    assert len(references) == 12
    assert [prediction["id"] for prediction in predictions] == list(references)
    assert all(prediction.keys() == {"id", "prediction"} for prediction in predictions)


def test_the_readme_lists_every_chart(charts: Path, references: dict[str, str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (charts / "README.md").read_text(), re.MULTILINE)
    assert rows == list(references)


def test_references_are_laid_out_as_chartmimics(references: dict[str, str]) -> None:
    for name, code in references.items():
        assert tuple(re.findall(r"^# (Part \d: .*)$", code, re.MULTILINE)) == PARTS, name
        assert code.endswith(f'\nplt.savefig("{name}.pdf", bbox_inches="tight")\n'), name


def test_references_draw_the_same_twice_and_warn_of_nothing(
    charts: Path, references: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRAW_TWICE, str(charts / "references")],
        cwd=tmp_path,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        f"{name}.pdf" for name in references
    }
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_every_outcome_of_a_model_occurs(results: dict[str, Any]) -> None:
    assert {name: line["status"] for name, line in results.items()} == {
        **dict.fromkeys(SCORES, "ok"),
        **STATUSES,
    }


@pytest.mark.slow
def test_scores_are_those_counted_by_hand(results: dict[str, Any]) -> None:
    for name, expected in SCORES.items():
        values = {key: score["value"] for key, score in results[name]["scores"].items()}
        assert values["execution"] == 1
        assert {key: values[key] for key in expected} == pytest.approx(expected, abs=1e-9), name
    for name, (low, high) in COLOR_RANGES.items():
        assert low < results[name]["scores"]["color"]["value"] < high, name


@pytest.mark.slow
def test_failures_score_zero(results: dict[str, Any]) -> None:
    for name in STATUSES:
        assert {score["value"] for score in results[name]["scores"].values()} == {0.0}, name
        assert results[name]["error"]


@pytest.mark.slow
def test_colours_stay_within_the_deterministic_ten(results: dict[str, Any]) -> None:
    for name in SCORES:
        details = results[name]["scores"]["color"]
        matched = len(details["pairs"])
        assert 0 < matched + len(details["missing"]) <= 10, name
        assert 0 < matched + len(details["extra"]) <= 10, name


@pytest.mark.slow
def test_the_episode_plays_on_every_matplotlib_line(demo: tuple[Path, str]) -> None:
    out, said = demo
    assert "episode bar_1, policy and teacher recorded: 4 turns, 2 comments, answered" in said
    assert said.count("Exec rate") == 2, "an episode has no table"
    line = lines_of(out / "episode-charts")["bar_1"]
    assert [turn["status"] for turn in line["episode"]["by_turn"]] == [
        "code_error",
        "ok",
        "ok",
        "ok",
    ]
    assert set(values(line).values()) == {1.0}, "on each line likeness as well"
    assert line["pictures"]["reference"] == line["pictures"]["rendering"]
    assert "recorded turns, no model" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_demo_ends_with_what_was_shown_and_what_comes_next(
    demo: tuple[Path, str], tmp_path: Path
) -> None:
    out, said = demo
    shown, following, report = said.splitlines()[-3:]
    counts = "30 answers scored on 4 benchmarks; 2 episodes"
    if not (out / "websight").exists():  # no browser
        counts = "18 answers scored on 2 benchmarks; 1 episode"
    assert shown == f"shown: {counts} of draft, comments and correction, likeness 100.00 at the end"
    told = re.fullmatch(r"next: .* of these: (.+) --out \S+ \(documentation: (.+)\)", following)
    assert told is not None, following
    command = [*shlex.split(told[1]), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Plot2Code · 6 samples (ok 3, code_error 3)" in done.stdout
    assert Path(told[2]).is_file()
    assert report == f"report: {out / 'report.html'}"
