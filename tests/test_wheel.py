"""A wheel in a bare environment: no checkout, no cache, nothing but what pip would install.

Packages come from uv's cache, nothing is downloaded. A Python that this machine lacks, or whose
packages the cache lacks, is left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rrvf.reproduce import list_recipes
from rrvf.tables import render_tables
from tests.conftest import PROJECT
from tests.reports import payload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXTRAS = {"3.11": "demo", "3.12": "chart,judge", "3.13": "chart,judge"}
"""Python -> what is installed; without ``web`` the demo leaves pages out, and is quicker."""

OWN_ENTRY = """
from contextlib import closing
from pathlib import Path
from rrvf import RunOptions, open_run, read_summary, score_predictions, write_report

run = RunOptions(data="data/references", predictions=Path("data/predictions.jsonl"))
with (
    open_run("chartmimic", run) as (items, scoring),
    closing(score_predictions(items, scoring, Path("run"))) as results,
):
    print(*(result.status for result in results))
print(read_summary(Path("run"))["metrics"]["text"])
print(write_report([Path("run")], Path("run")))
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel with some extras."""

    folder: Path
    version: str

    def read(self, *words: str, cwd: Path) -> str:
        """What a program of it prints, in a folder and with a home of its own."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "80"}
        command = [self.folder / "bin" / words[0], *words[1:]]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def find_uv() -> Path:
    for path in (shutil.which("uv"), PROJECT / ".tools" / "bin" / "uv"):
        if path is not None and Path(path).exists():
            return Path(path)
    pytest.skip("needs uv: make demo")


def find_interpreter(version: str) -> Path:
    """A Python that really runs; pyenv's name for one may stand for none."""
    own = Path.home() / ".pyenv" / "versions"
    paths = [shutil.which(f"python{version}"), *own.glob(f"{version}.*/bin/python{version}")]
    for path in filter(None, paths):
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return Path(path)
    pytest.skip(f"needs Python {version}")


@pytest.fixture(scope="module", params=EXTRAS)
def installed(
    request: pytest.FixtureRequest, built_wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    uv, python = find_uv(), find_interpreter(request.param)
    folder = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([uv, "venv", "--quiet", "--python", python, folder], check=True)
    done = subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--offline", "--python", folder / "bin" / "python"),
            *("--constraints", PROJECT / "requirements" / "demo.txt"),
            f"rrvf[{EXTRAS[request.param]}] @ {built_wheel.as_uri()}",
        ],
        capture_output=True,
        text=True,
    )
    if "network was disabled" in done.stderr:
        pytest.skip(f"uv's cache lacks packages for Python {request.param}")
    assert done.returncode == 0, done.stderr
    return Installed(folder, request.param)


def test_help_and_version(installed: Installed, tmp_path: Path) -> None:
    assert "Evaluate:" in installed.read("rrvf", "--help", cwd=tmp_path)
    version = installed.read("python", "-m", "rrvf", "--version", cwd=tmp_path)
    assert f"rrvf-{version.strip()}-" in "".join(
        path.name for path in installed.folder.rglob("rrvf-*.dist-info")
    ).replace(".dist-info", "-")


def test_recipes_and_launch_scripts_are_in_it(installed: Installed, tmp_path: Path) -> None:
    lines = installed.read("rrvf", "recipes", cwd=tmp_path).splitlines()
    names = {line.split()[0] for line in lines if line.startswith("  ")}
    assert {*list_recipes(), "grpo_8gpu.sh", "sft_cold_start.yaml"} <= names
    folders = [Path(line) for line in lines if line.startswith("/")]
    assert all(path.is_relative_to(installed.folder) and path.is_dir() for path in folders)


def test_tables_are_those_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    assert installed.read("rrvf", "tables", cwd=tmp_path) == render_tables()


def test_the_leaderboard_has_measured_and_published_rows(
    installed: Installed, tmp_path: Path
) -> None:
    out = installed.read("rrvf", "report", "--leaderboard", cwd=tmp_path)
    assert out == "leaderboard.html\n"
    tables = payload(tmp_path / "leaderboard.html")["tables"]
    kinds = {row["kind"] for table in tables for row in table["rows"]}
    assert {"open", "closed", "measured", "printed"} <= kinds


def test_the_demo_has_what_it_needs(installed: Installed, tmp_path: Path) -> None:
    out = installed.read("rrvf", "demo", cwd=tmp_path)
    assert "Likeness" in out
    assert out.endswith("report: rrvf-demo/report.html\n")
    summary = json.loads((tmp_path / "rrvf-demo" / "summary.json").read_text())
    assert summary["finished"]
    assert set(summary["n_unscored"].values()) == {0}
    assert summary["environment"]["host_python"].startswith(installed.version)


def test_a_program_scores_answers_without_the_command(installed: Installed, tmp_path: Path) -> None:
    data = tmp_path / "data" / "references"
    data.mkdir(parents=True)
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('A')\n"
    (data / "line_1.py").write_text(f"{code}plt.savefig('t.pdf')\n")
    answer = {"id": "line_1", "prediction": f"```python\n{code}```"}
    (tmp_path / "data" / "predictions.jsonl").write_text(json.dumps(answer))
    out = installed.read("python", "-c", OWN_ENTRY, cwd=tmp_path)
    assert out.splitlines() == ["ok", "100.0", "run/report.html"]
