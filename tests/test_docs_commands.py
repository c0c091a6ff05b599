"""Commands that the pages show: the first page's are run, all others parsed by the real options."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chat_server import ChatServer, Request, answer
from tests.runs import environment, fenced, lines_of, plot, summary_of
from tests.shown_commands import (
    KNOWN_OPTIONS,
    PROJECT,
    Command,
    find_fault,
    find_shown_commands,
    read_commands,
    split_commands,
)

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "rrvf/*.md", "rrvf/trainers/*.md", "training/*.md")
    for path in PROJECT.glob(pattern)
    if path.name != "CHANGELOG.md"  # it tells of commands that were
) + [PROJECT / folder / "README.md" for folder in ("vlmeval_plugin", "requirements", "results")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_that_is_shown_is_one(page: Path) -> None:
    faults = [f"{command}: {find_fault(command)}" for command in find_shown_commands(page)]
    assert not [fault for fault in faults if not fault.endswith(": None")]


def test_the_pages_show_commands() -> None:
    shown = [command.words[0] for page in PAGES for command in find_shown_commands(page)]
    assert shown.count("rrvf") > 50
    assert {"make", "pip", "python", "vllm", "curl"} <= set(shown)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rrvf scor chartmimic", "no command 'scor'"),
        ("rrvf tables --sort", "NoSuchOption"),
        ("rrvf tables --format pdf", "BadParameter"),
        ("rrvf score chartmimic --data D --out O", "MissingParameter"),
        ("rrvf score chartmimic --data D --predictions P --out O --workers 0", "BadParameter"),
        ("python -m rrvf tables --sort", "NoSuchOption"),
        ("A=1 make demos", "no target demos"),
        ("pip install 'rrvf[charts]'", "no extra charts"),
        ("pip install '.[chart, cli]'", "no extra cli"),
        ("python -m rrvf.download D", "no module"),
        ("python -m rrvf.benchmarks.chartmimic_download D --versions v1", "no --versions"),
        ("python -m vlmeval_plugin --datas X", "no --datas"),
        ("python -m training.grpo --cofig F", "no --cofig"),
        ("accelerate launch -m training.grpo --config training/configs/no.yaml", "no training/"),
        ("zsh x", "how it is checked"),
        ("make demo && make no", "no target no"),
    ],
)
def test_a_command_that_is_none_is_noticed(line: str, told: str) -> None:
    faults = [find_fault(Command("page", tuple(words))) for words in split_commands(line)]
    assert told in (faults[-1] or "")


def test_what_is_left_out_may_be_missing() -> None:
    assert find_fault(Command("page", ("rrvf", "score", "chartmimic", "..."))) is None


# ------------------------------------------------------------------------------ options in prose

OTHERS = frozenset(
    (
        *("--shm-size", "--security-opt"),  # of Docker
        *("--head", "--address"),  # of Ray
        *("--font-render-hinting", "--help", "--version"),
        "--install-completion",  # of the rrvf command itself, as the two before
    )
)


def list_known_options() -> frozenset[str]:
    own = {
        name
        for command in read_commands().values()
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    return frozenset(own) | OTHERS | KNOWN_OPTIONS["vlmeval_plugin"] | KNOWN_OPTIONS["training"]


def find_unknown_options(text: str) -> set[str]:
    known = list_known_options()
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {
        flag
        for span in spans
        for flag in re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]*)(?![\w-]*\.)", span)
        if flag not in known
    }


@pytest.mark.parametrize("page", sorted(PROJECT.glob("docs/*.md")), ids=lambda page: page.name)
def test_options_in_the_text_are_there(page: Path) -> None:
    assert not find_unknown_options(page.read_text(encoding="utf-8"))


def test_an_option_in_the_text_that_is_none_is_noticed() -> None:
    assert find_unknown_options("say `--judg MODEL` or `rrvf tables --form csv`") == {
        "--judg",
        "--form",
    }


def test_commands_in_the_text_are_there() -> None:
    commands = read_commands()
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`rrvf ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    }
    assert "score" in named
    assert named <= commands.keys()


# --------------------------------------------------------------------------- getting started runs


@pytest.fixture
def first_page() -> str:
    """The commands of the first page, without those that install."""
    text = (PROJECT / "docs" / "start.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert "make demo" in blocks[0]
    return "\n".join(blocks[1:])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone after ``make demo``."""
    (tmp_path / "rrvf").symlink_to(PROJECT / "rrvf")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in (("rrvf", "-m rrvf"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    text = (PROJECT / "docs" / "start.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?\n)```\n\nThen", text, re.DOTALL)
    (tmp_path / "ask.py").write_text(program)
    return tmp_path


def reply(_: Request) -> object:
    return answer(f"<answer>{fenced(plot('mine'))}</answer>")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_getting_started_runs_from_its_first_command_to_its_last(
    first_page: str, clone: Path
) -> None:
    with ChatServer(reply) as server:
        script = first_page.replace("http://localhost:8000/v1", server.url)
        script = script.replace("rrvf doctor", "rrvf doctor || true")  # it judges the machine
        done = subprocess.run(
            ["bash", "-euxc", script],
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=840,
            env=environment(PYTHONPATH=str(PROJECT), PATH=os.environ["PATH"]),
        )
        assert done.returncode == 0, done.stderr
        assert len(server.requests) >= 3
    assert summary_of(clone / "first-run")["n_samples"] == 5
    assert set(lines_of(clone / "my-model")) == set(lines_of(clone / "my-answers"))
    assert {line["status"] for line in lines_of(clone / "my-answers").values()} == {"ok"}
    for name in ("results.jsonl", "summary.json", "report.html", "renderings"):
        assert f"`{name}" in (PROJECT / "docs" / "start.md").read_text()
        assert (clone / "first-run" / name).exists()
