"""The commands that Markdown pages show, and what is wrong with one: nothing is executed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from docs.site.command_line import find_commands

PROJECT = Path(__file__).resolve().parent.parent
SHELLS = ("", "sh", "bash", "console")
ELSEWHERE = frozenset(
    (
        *("accelerate", "apt-get", "bash", "cd", "curl", "docker", "export", "git", "head", "hf"),
        *("pip", "my-env/bin/pip", ".venv-vllm/bin/python", "sbatch", "tensorboard", "uv"),
        *("vf-eval", "vf-replay", "vllm"),
    )
)
"""Programs of others: what they are told is not looked at, but for files and extras of ours."""

_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_]\w*=.*")


@dataclass(frozen=True)
class Command:
    """A command as a page shows it.

    Attributes:
        page: Where, from the root of the project.
        words: The program and what it is told, without variables before it.
    """

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def find_shown_commands(page: Path) -> Iterator[Command]:
    """Every command in the blocks of a page that are for a shell."""
    name = str(page.relative_to(PROJECT))
    for _, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in SHELLS:
            for words in split_commands(text):
                yield Command(name, tuple(words))


def split_commands(text: str) -> Iterator[list[str]]:
    """The words of each command; lines are joined at a backslash, and divided at ``&&``."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set("&|;"):
                yield from _without_variables(words)
                words = []
            else:
                words.append(word)
        yield from _without_variables(words)


def _without_variables(words: list[str]) -> Iterator[list[str]]:
    while words and _VARIABLE.fullmatch(words[0]):
        words = words[1:]
    if words:
        yield words


# ----------------------------------------------------------------------- what is wrong with one


@cache
def read_commands() -> Mapping[str, Any]:
    """The commands of rrvf; making them takes a while."""
    return find_commands()


def find_fault(command: Command) -> str | None:
    """What is wrong with a command; ``None`` where nothing is."""
    program, *arguments = command.words
    fault = _find_missing_file(arguments) or _find_unknown_extra(arguments)
    if fault is not None:
        return fault
    if program in ELSEWHERE:
        return None
    check = PROGRAMS.get(program)
    return (
        f"{program}: say in tests/shown_commands.py how it is checked"
        if check is None
        else (check(arguments))
    )


def _find_missing_file(arguments: Sequence[str]) -> str | None:
    """A file of the project that is not there."""
    folders = ("training/", "rrvf/demo_data/", "results/", "requirements/", "docs/")
    for word in arguments:
        if word.startswith(folders) and not (PROJECT / word).exists():
            return f"no {word} in the project"
    return None


def _find_unknown_extra(arguments: Sequence[str]) -> str | None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    known = project["optional-dependencies"].keys()
    for word in arguments:
        for names in re.findall(r"(?:rrvf|\.|\.whl)\[([a-z, -]+)\]", word):
            unknown = {name.strip() for name in names.split(",")} - known
            if unknown:
                return f"no extra {', '.join(sorted(unknown))}"
    return None


def _check_rrvf(arguments: Sequence[str]) -> str | None:
    """Parse by the real command; an ellipsis stands for whatever is left out."""
    commands = read_commands()
    if arguments in (["--help"], ["--version"]):
        return None
    name = arguments[0] if arguments else ""
    if name not in commands:
        return f"no command {name!r}"
    words = [word.removesuffix("...") for word in arguments[1:] if word != "..."]
    return _parse(commands[name], name, words, "..." in arguments)


def _parse(command: TyperCommand, name: str, words: list[str], partial: bool) -> str | None:
    try:
        command.make_context(name, words)
    except Exception as error:  # the exceptions of the parser have no public home
        is_missing = type(error).__name__ == "MissingParameter"
        return None if partial and is_missing else f"{type(error).__name__}: {error}"
    return None


def _check_make(arguments: Sequence[str]) -> str | None:
    text = (PROJECT / "Makefile").read_text()
    for word in arguments:
        if "=" not in word and not re.search(rf"^{re.escape(word)}:", text, re.MULTILINE):
            return f"no target {word}"
    return None


def _check_python(arguments: Sequence[str]) -> str | None:
    if arguments[:1] != ["-m"]:
        script = arguments[0] if arguments else ""
        is_ours = script.startswith(("benchmarks/", "docs/", "tests/"))
        return None if not is_ours or (PROJECT / script).exists() else f"no {script}"
    _, module, *rest = arguments
    if module == "rrvf":
        return _check_rrvf(rest)
    if module.split(".")[0] not in ("rrvf", "training", "vlmeval_plugin", "docs"):
        return None
    if importlib.util.find_spec(module) is None:
        return f"no module {module}"
    return _find_unknown_option(module, rest)


def _find_unknown_option(module: str, words: Sequence[str]) -> str | None:
    """An option that stands nowhere in the module, as it stands in the modules with options."""
    known = KNOWN_OPTIONS.get(module.split(".")[0], frozenset()) | _read_options(module)
    for word in words:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag not in known:
            return f"{module} has no {flag}"
    return None


def _read_options(module: str) -> frozenset[str]:
    """The options of a module's own parser, as its source names them."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return frozenset(re.findall(r'"(--[a-z-]+)"', Path(spec.origin).read_text(encoding="utf-8")))


def _list_plugin_options() -> frozenset[str]:
    """Ours, and those of VLMEvalKit's run.py that the pages use."""
    text = (PROJECT / "vlmeval_plugin" / "settings.py").read_text(encoding="utf-8")
    ours = re.findall(r'^    "([a-z0-9-]+)":', text, re.MULTILINE)
    host = "data model config work-dir mode reuse base-url judge judge-base-url max-tokens limit"
    return frozenset(f"--{name}" for name in (*ours, *host.split(), "override", "fresh"))


def _list_training_options() -> frozenset[str]:
    text = (PROJECT / "training" / "settings.py").read_text(encoding="utf-8")
    fields = re.findall(r"^    (\w+): ", text, re.MULTILINE)
    return frozenset(f"--{name}" for name in (*fields, "config", "model", "output_dir"))


KNOWN_OPTIONS: Mapping[str, frozenset[str]] = {
    "vlmeval_plugin": _list_plugin_options(),
    "training": _list_training_options(),
}
PROGRAMS: Mapping[str, Callable[[Any], str | None]] = {
    "rrvf": _check_rrvf,
    ".venv/bin/rrvf": _check_rrvf,
    "make": _check_make,
    "python": _check_python,
    "python3": _check_python,
}
