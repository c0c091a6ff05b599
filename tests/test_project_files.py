"""Recipes, configurations and launch scripts are listed, found and copied."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rrvf.errors import UserError
from rrvf.project_files import copy_shelves, list_shelves, summarize
from rrvf.reproduce import list_recipes
from tests.reports import payload
from tests.runs import assert_one_line, rrvf_here


def test_every_recipe_configuration_and_script_is_listed(project: Path) -> None:
    lines = rrvf_here("recipes").stdout.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    files = [path.name for path in (project / "training").glob("configs/*.yaml")]
    files += [path.name for path in (project / "training" / "launch").iterdir()]
    assert sorted(names) == sorted([*list_recipes(), *files])
    folders = [Path(line) for line in lines if line.startswith("/")]
    assert folders == [
        project / x for x in ("results/recipes", "training/configs", "training/launch")
    ]


def test_every_file_says_in_a_line_what_it_is() -> None:
    for shelf in list_shelves():
        texts = [summarize(path) for path in shelf.files.values()]
        assert all(10 < len(text) < 150 and "\n" not in text for text in texts), texts
        assert len(set(texts)) == len(texts)


def test_the_sentence_is_that_of_the_head(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text(
        "#!/bin/sh\n#SBATCH -N 4\n#\n# Serves 2.5 models\n# here. More.\n"
    )
    assert summarize(tmp_path / "a.sh") == "Serves 2.5 models here."


def test_a_copy_is_a_place_to_train_from(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    done = rrvf_here("recipes", "--copy-to", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    for shelf in list_shelves():
        for path in shelf.files.values():
            copy = out / shelf.folder.parent.name / shelf.folder.name / path.name
            assert copy.read_bytes() == path.read_bytes()
    engines = [
        yaml.safe_load(path.read_text()).get("deepspeed")
        for path in (out / "training" / "configs").glob("*.yaml")
    ]
    assert any(engines)
    assert all((out / engine).is_file() for engine in engines if engine)


def test_a_copy_does_not_hide_the_package(tmp_path: Path, project: Path) -> None:
    out = copy_shelves(tmp_path / "mine")
    env = {**os.environ, "PYTHONPATH": f"{out}:{project}"}
    command = [sys.executable, "-c", "import training.settings as it; print(it.__file__)"]
    done = subprocess.run(command, cwd=out, env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == project / "training" / "settings.py"


def test_a_folder_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    assert_one_line(rrvf_here("recipes", "--copy-to", tmp_path), str(tmp_path), "name a new folder")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError):
        copy_shelves(tmp_path)


def test_a_leaderboard_of_the_projects_own_results(tmp_path: Path) -> None:
    done = rrvf_here("report", "--leaderboard", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaderboard.html\n", "")
    rows = payload(tmp_path / "leaderboard.html")["tables"][0]["rows"]
    assert {"open", "closed", "measured"} <= {row["kind"] for row in rows}


def test_a_report_of_nothing_is_one_line() -> None:
    assert_one_line(rrvf_here("report"), "no run is named", "--leaderboard")
