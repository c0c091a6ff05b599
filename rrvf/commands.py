"""What Typer's commands lack: help in groups with every name whole, and options of several values.

Typer's own help is a box of narrow columns, which cuts long names at 80 columns. Here a name is
never cut: where it is too long for its column, its description begins on the next line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command whose help shows the options under their headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading."""
        _write_parameters(self, ctx, formatter)


class SeveralValues(Command):
    """A command some of whose options take all the words up to the next option."""

    flags = frozenset({"--runs", "--compare"})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--runs A B`` means ``--runs A --runs B``."""
        words: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            values = list(takewhile(lambda value: not value.startswith("-"), rest))
            if word in self.flags and values:
                words += [part for value in values for part in (word, value)]
                del rest[: len(values)]
            else:
                words.append(word)
        return super().parse_args(ctx, words)


class Group(TyperGroup):
    """Commands whose list is grouped by task."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the tasks with their commands, then the options of all commands."""
        commands: list[Any] = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        rows = [(one.rich_help_panel, (one.name, _summarize(one.help or ""))) for one in commands]
        _write_sections(formatter, rows)
        _write_parameters(self, ctx, formatter)


def _summarize(text: str) -> str:
    """The first paragraph of a description."""
    return " ".join(text.partition("\n\n")[0].split())


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    parameters: Sequence[Any] = command.get_params(ctx)
    rows = [(_find_heading(one), _describe(one, ctx)) for one in parameters]
    _write_sections(formatter, [(heading, row) for heading, row in rows if row is not None])


def _describe(parameter: Any, ctx: Any) -> tuple[str, str] | None:
    """A parameter's names and help; the default of a switch is on or off, not a name again."""
    record = parameter.get_help_record(ctx)
    if record is None or not parameter.secondary_opts:
        return record
    names, text = record
    for name, word in ((parameter.opts[0], "on"), (parameter.secondary_opts[0], "off")):
        text = text.replace(f"default: {name.lstrip('-')}]", f"default: {word}]")
    return names, text


def _find_heading(parameter: Any) -> str:
    default = "Arguments" if parameter.param_type_name == "argument" else "Options"
    heading = getattr(parameter, "rich_help_panel", None)
    return heading if isinstance(heading, str) else default


def _write_sections(formatter: Any, rows: Iterable[tuple[str, tuple[str, str]]]) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for heading, row in rows:
        sections.setdefault(heading, []).append(row)
    for heading, section in sections.items():
        with formatter.section(heading):
            formatter.write_dl(section)
