"""Dockerfiles and workflow: nothing is built here, but what they copy and run exists."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.specifiers import SpecifierSet

from rrvf import cli
from tests.conftest import PROJECT

COMMANDS: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
IMAGES = {"Dockerfile": "rrvf-eval", "Dockerfile.training": "rrvf-train"}


def read_lines(name: str) -> list[str]:
    """Comments and instructions, continued lines joined."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    return re.sub(r"\\\n#?\s*", "", text).splitlines()


def read_commands(name: str) -> list[str]:
    """What is run while it is built and in it."""
    lines = [line for line in read_lines(name) if re.match("(RUN|CMD|ENTRYPOINT) ", line)]
    return [part for line in lines for part in re.split(" && |; ", line.partition(" ")[2])]


def is_sent(path: str) -> bool:
    """Whether ``.dockerignore`` lets a file or folder through; the last rule wins."""
    sent = True
    for rule in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = rule.removeprefix("!")
        if rule and not rule.startswith("#"):
            parents = [path, *map(str, Path(path).parents)][:-1]
            if any(fnmatch.fnmatchcase(one, pattern) for one in parents):
                sent = rule.startswith("!")
    return sent


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_is_there_and_sent(name: str) -> None:
    lines = [line.split()[1:-1] for line in read_lines(name) if line.startswith("COPY ")]
    sources = [source for line in lines for source in line]
    assert len(sources) > 5
    for source in sources:
        assert (PROJECT / source).exists(), source
        assert is_sent(source), source
    assert not is_sent(".venv")
    assert not is_sent("tests")


@pytest.mark.parametrize("name", IMAGES)
def test_everything_that_the_wheel_is_made_of_is_copied(name: str) -> None:
    pyproject = (PROJECT / "pyproject.toml").read_text()
    [packages] = re.findall(r"^packages = \[(.*)\]$", pyproject, re.MULTILINE)
    included = re.findall(r'^"(\w+)/\w+" = "rrvf/', pyproject, re.MULTILINE)
    wanted = {*re.findall(r'"(\w+)"', packages), *included, "pyproject.toml", "README.md"}
    copied = " ".join(line for line in read_lines(name) if line.startswith("COPY "))
    assert len(wanted) > 4
    assert wanted <= set(copied.split())


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_run_exists(name: str) -> None:
    commands = read_commands(name)
    for command in commands:
        for file in re.findall(r"-r (\S+)", command):
            assert (PROJECT / file).is_file()
        for module in re.findall(r'-m"?,? "?([\w.]+)', command):
            assert importlib.util.find_spec(module) or module == "pip"
        for word in re.findall(r"^rrvf ([\w-]+)", command):
            assert word in COMMANDS
    assert any("pip install --no-cache-dir --no-deps" in command for command in commands)


@pytest.mark.parametrize("name", IMAGES)
def test_its_head_says_how_to_use_it_and_that_nothing_builds_it(name: str) -> None:
    head = [line for line in read_lines(name) if line.startswith("#")]
    assert any("No test builds this image" in line for line in head)
    build = next(line for line in head if "docker build" in line)
    assert re.search(rf"-t {IMAGES[name]} \.$", build)
    assert ("-f" in build) == (name != "Dockerfile")
    runs = [line.partition(f" {IMAGES[name]} ")[2].split() for line in head if "docker run" in line]
    assert runs
    for words in runs:
        if name == "Dockerfile":
            known = [option for one in COMMANDS[words[0]].params for option in one.opts]
            assert {word for word in words if word.startswith("--")} <= set(known)
        else:
            assert words[0] == "bash"
            assert (PROJECT / words[1]).is_file()


def test_the_workflow_runs_what_ci_runs() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["ci"]["steps"]
    [command] = [step["run"] for step in steps if "run" in step]
    assert os.access(PROJECT / command, os.X_OK)
    [python] = [step["with"]["python-version"] for step in steps if "with" in step]
    [wanted] = re.findall(r'requires-python = "(.*)"', (PROJECT / "pyproject.toml").read_text())
    assert SpecifierSet(wanted).contains(python)
    assert workflow["permissions"] == {"contents": "read"}
