"""``--help`` at 80 columns, by task and with every name whole; completion in a shell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rrvf import cli
from rrvf.reproduce import list_recipes
from tests.runs import RRVF, environment

COMMANDS: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
NAMES = (None, *COMMANDS)


def read_help(name: str | None) -> str:
    words = ["--help"] if name is None else [name, "--help"]
    done = CliRunner().invoke(cli.app, words, env={"COLUMNS": "80"}, prog_name="rrvf")
    assert done.exit_code == 0
    return done.output


def list_parameters(name: str | None) -> list[Any]:
    command = typer.main.get_command(cli.app) if name is None else COMMANDS[name]
    return [one for one in command.params if not getattr(one, "hidden", False)]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\s,\[\]]+", text))


@pytest.mark.parametrize("name", NAMES)
def test_help_cuts_no_name_and_fits(name: str | None) -> None:
    text = read_help(name)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for parameter in list_parameters(name):
        shown = [*parameter.opts, *parameter.secondary_opts]
        if parameter.param_type_name == "argument":
            shown = [parameter.metavar]
        assert set(shown) <= words_of(text), text


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_values_and_variables_whole(name: str | None) -> None:
    text = read_help(name)
    for parameter in list_parameters(name):
        if parameter.type_descriptor.is_choice:
            assert f"<{'|'.join(parameter.type_descriptor.choices)}>" in text
        if parameter.envvar:
            assert parameter.envvar in re.findall(r"\w+", text)


def test_help_lists_commands_by_task() -> None:
    sections = re.split(r"^(\S.*):$", read_help(None), flags=re.MULTILINE)[1:]
    listed = dict(zip(sections[::2], sections[1::2], strict=True))
    assert re.search(r"^  score ", listed["Evaluate"], re.MULTILINE)
    assert re.search(r"^  tables ", listed["Results and tables"], re.MULTILINE)
    assert re.search(r"^  doctor ", listed["This machine"], re.MULTILINE)
    every = re.findall(r"^  ([a-z][\w-]+)  ", "".join(listed.values()), re.MULTILINE)
    assert sorted(every) == sorted(COMMANDS)
    assert "python -m training.grpo" in listed["Options"]


def test_a_switch_shows_its_default_as_on_or_off() -> None:
    text = " ".join(read_help("report").split())
    assert "Draw the pictures that a run left out. [default: on]" in text
    assert "Let pages run their scripts. [default: off]" in " ".join(read_help("eval").split())


def test_several_values_are_still_taken_to_the_next_option(tmp_path: Path) -> None:
    words = ["tables", "--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--by", "kind"]
    done = CliRunner().invoke(cli.app, words)
    assert "no such run folder" in str(done.exception)


# --------------------------------------------------------------------------------- completion


def complete(*words: str, shell: str = "bash") -> list[str]:
    env = environment(
        COMP_WORDS=" ".join(words),
        COMP_CWORD=str(len(words) - 1),
        _RRVF_COMPLETE=f"complete_{shell}",
    )
    done = subprocess.run([RRVF], capture_output=True, text=True, env=env)
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_options_and_values_are_completed() -> None:
    assert complete("rrvf", "sc") == ["score"]
    assert complete("rrvf", "score", "plot") == ["plot2code"]
    assert complete("rrvf", "score", "--judge-ru") == ["--judge-rubric"]
    assert complete("rrvf", "score", "--mode", "off") == ["official"]
    assert complete("rrvf", "reproduce", "rrvf-") == [
        name for name in list_recipes() if name.startswith("rrvf-")
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_shown(shell: str) -> None:
    env = environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = subprocess.run(
        [RRVF, "--show-completion", shell], capture_output=True, text=True, env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"complete_{shell}" in done.stdout


def test_bash_completes_with_the_script_that_is_installed(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    env = environment(HOME=str(tmp_path), PATH=f"{RRVF.parent}:/usr/bin:/bin")
    install = [bash, "-c", "rrvf --install-completion; exit $?"]
    done = subprocess.run(install, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    code = (
        'source "$HOME/.bashrc"; COMP_WORDS=(rrvf sco) COMP_CWORD=1; '
        '_rrvf_completion rrvf; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "-c", code], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("score\n", "")
