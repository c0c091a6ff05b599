"""The reference of the command line, made from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rrvf.cli import app


def find_commands(app: typer.Typer = app) -> dict[str, Any]:
    """Name -> command, in the order of ``rrvf --help``."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    context = typer.Context(group, info_name="rrvf")
    names = group.list_commands(context)
    commands: dict[str, Any] = {name: group.get_command(context, name) for name in names}
    return {name: command for name, command in commands.items() if not command.hidden}


def describe_commands(app: typer.Typer = app) -> str:
    """Every command with its arguments and options, as Markdown."""
    commands = find_commands(app).items()
    return "\n".join(line for name, command in commands for line in _describe(name, command))


def _describe(name: str, command: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=f"rrvf {name}")
    usage = " ".join(("rrvf", name, *command.collect_usage_pieces(context)))
    yield from ("", f"## rrvf {name}", "", "```text", usage, "```", "", escape(command.help or ""))
    for title, parameters in _group_parameters(command).items():
        yield from ("", f"**{title}**", "")
        for parameter in parameters:
            term, text = parameter.get_help_record(context)
            yield from (f"`{term}`", f": {escape(text)}", "")


def _group_parameters(command: Any) -> dict[str, list[Any]]:
    """Heading -> parameters, in the order in which ``--help`` lists them."""
    groups: dict[str, list[Any]] = {}
    for parameter in command.params:
        if not parameter.hidden:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            groups.setdefault(parameter.rich_help_panel or kind, []).append(parameter)
    return groups


def escape(text: str) -> str:
    """The text of a command's help, with no sign that Markdown would read as its own."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return re.sub(r"([\\`*_\[\]<>{}$|#])", r"\\\1", "\n\n".join(paragraphs))
