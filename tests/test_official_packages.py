"""What ChartMimic's environment has and a chart interpreter lacks is named, counted and told."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from rrvf.renderers.official_packages import DISTRIBUTIONS
from tests.runs import fenced, lines_of, plot, rrvf_here, write_data

NOTE = " (the official environment has it; pip install 'rrvf[chart-full]')"
HINT = "which the official environment has: pip install 'rrvf[chart-full]'"


def imports(*names: str) -> str:
    return fenced(plot("A", "\n".join(f"import {name}" for name in names)))


REFERENCES = {f"line_{number}": plot(f"Title {number}") for number in range(6)}
REFERENCES["needs_1"] = plot("B", "from tqdm.auto import tqdm")
ANSWERS = {
    "line_0": imports("plotly.express"),
    "line_1": imports("os", "plotly"),
    "line_2": imports("skimage.io"),
    "line_3": imports("plotly_of_the_future"),
    "line_4": fenced(
        plot("Title 4", "import contextlib\nwith contextlib.suppress(ImportError):\n import sympy")
    ),
    "line_5": fenced("raise ValueError(\"No module named 'plotly'\")"),
    "needs_1": fenced(plot("B")),
}


@pytest.fixture(scope="module")
def run(published_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run under an interpreter without these packages: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("imports")
    data = write_data(folder, REFERENCES, ANSWERS)
    options = ("--out", folder / "out", "--chart-python", published_python)
    done = rrvf_here("score", "chartmimic", *data, *options)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout + done.stderr


def test_an_import_that_the_official_environment_has_is_named(run: tuple[Path, str]) -> None:
    results = lines_of(run[0])
    for name, module in (("line_0", "plotly"), ("line_1", "plotly"), ("line_2", "skimage")):
        assert results[name]["status"] == "code_error"
        named = f"ModuleNotFoundError: No module named '{module}'{NOTE}"
        assert results[name]["error"].startswith(named)
    assert f"No module named 'tqdm'{NOTE}" in results["needs_1"]["error"]
    assert results["line_4"]["status"] == "ok"
    for name in ("line_3", "line_5"):
        assert results[name]["status"] == "code_error"
        assert "official" not in results[name]["error"]


def test_the_console_counts_them(run: tuple[Path, str]) -> None:
    told = run[1].splitlines()
    assert f"2 answers import plotly, {HINT}" in told
    assert f"1 answer imports skimage, {HINT}" in told
    assert f"1 reference imports tqdm, {HINT}" in told
    assert sum("official environment has:" in line for line in told) == 3


def test_a_resumed_run_counts_them_as_well(run: tuple[Path, str], published_python: Path) -> None:
    folder = run[0]
    data = write_data(folder.parent, REFERENCES, ANSWERS)
    done = rrvf_here(
        "score", "chartmimic", *data, "--out", folder, "--chart-python", published_python
    )
    assert f"2 answers import plotly, {HINT}" in done.stdout.splitlines()


def test_episodes_count_them_as_well(published_python: Path, tmp_path: Path) -> None:
    """And the policy is told what it was told before: hints for users are not for models."""
    write_data(tmp_path, {"line_0": plot("A")}, {})
    call = json.dumps(
        {
            "name": "python_render_and_compare_tool",
            "arguments": {"python_code": "import sympy"},
        }
    )
    turns = [
        f"<think>a</think><tool_call>{call}</tool_call>",
        f"<think>a</think><answer>{imports('sympy')}</answer>",
    ]
    (tmp_path / "turns.jsonl").write_text(json.dumps({"id": "line_0", "turns": turns}) + "\n")
    told = ("--data", tmp_path / "references", "--policy", tmp_path / "turns.jsonl")
    options = ("--out", tmp_path / "out", "--chart-python", published_python)
    done = rrvf_here("eval", "chartmimic", *told, *options)
    assert f"1 answer imports sympy, {HINT}" in done.stdout.splitlines()
    played = (tmp_path / "out" / "trajectories.jsonl").read_text()
    assert "No module named 'sympy'" in played
    assert "official environment" not in played


def test_where_nothing_is_missing_nothing_is_said(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"line_0": plot("A")}, {"line_0": fenced(plot("A"))})
    done = rrvf_here("score", "chartmimic", *data, "--out", tmp_path / "out")
    assert "official environment" not in done.stdout + done.stderr


def test_doctor_lists_what_is_missing(published_python: Path) -> None:
    """The published environment has none of the extra, this one all of it."""
    published = rrvf_here("doctor", "--chart-python", published_python).stdout
    (line,) = (line for line in published.splitlines() if "official packages" in line)
    for distribution in set(DISTRIBUTIONS.values()):
        assert distribution in line
    assert "pip install 'rrvf[chart-full]'" in line
    (line,) = (
        line for line in rrvf_here("doctor").stdout.splitlines() if "official packages" in line
    )
    assert line.endswith("all there")


def test_the_extra_brings_what_is_named(project: Path) -> None:
    extras = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    brought = {name.partition(">=")[0] for name in extras["optional-dependencies"]["chart-full"]}
    assert brought == set(DISTRIBUTIONS.values())
