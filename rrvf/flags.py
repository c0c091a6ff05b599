"""Typer's options, made from :mod:`rrvf.options`.

A command takes a whole class of options as one argument; :func:`expand_options` shows Typer a flag
for each field. Commands import the library only when they run, so ``--help`` starts quickly.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from rrvf.options import Flag, find_flags, flag_of


@dataclass(frozen=True)
class Some:
    """Marks a dictionary of options that are to change: the fields that were named, if given."""

    options: type
    names: tuple[str, ...]


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer wants it: every field of its options an argument with a flag."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: group for name, hint in hints.items() if (group := _find_group(hint))}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += groups[name].parameters(name)
        else:
            hint = _with_option(hints[name], name)
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hint))

    @functools.wraps(command)
    def flat(**arguments: Any) -> None:
        for name, group in groups.items():
            values = {field: arguments.pop(f"{name}_{field}") for field in group.flags}
            arguments[name] = group.build(values)
        command(**arguments)

    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(flat)["__signature__"] = inspect.Signature(parameters)
    return flat


@dataclass(frozen=True)
class _Group:
    """The fields of a class of options that a command shows: all, or some without defaults."""

    options: type[Any]
    flags: Mapping[str, Flag]
    some: bool = False

    def parameters(self, name: str) -> Iterator[inspect.Parameter]:
        """A parameter for each field."""
        hints = get_type_hints(self.options, include_extras=True)
        defaults = {field.name: field.default for field in fields(self.options)}
        for field, flag in self.flags.items():
            kind = str | None if flag.parse is not None else hints[field].__origin__
            default = None if self.some else defaults[field]
            yield inspect.Parameter(
                f"{name}_{field}",
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=Annotated[
                    kind | None if self.some else kind, _option(flag, field, kind)
                ],
            )

    def build(self, values: Mapping[str, Any]) -> Any:
        """The options, or those of them that were given."""
        parsed = {name: _parse(self.flags[name], value) for name, value in values.items()}
        if self.some:
            return {name: value for name, value in parsed.items() if value is not None}
        return self.options(**parsed)


def _parse(flag: Flag, value: Any) -> Any:
    return value if flag.parse is None or value is None else flag.parse(value)


def _find_group(hint: Any) -> _Group | None:
    if is_dataclass(hint) and isinstance(hint, type):
        return _Group(hint, find_flags(hint))
    marks = [mark for mark in get_args(hint)[1:] if isinstance(mark, Some)]
    if not marks:
        return None
    flags = find_flags(marks[0].options)
    return _Group(marks[0].options, {name: flags[name] for name in marks[0].names}, some=True)


def _with_option(hint: Any, name: str) -> Any:
    """An argument's type; where it has a flag of ours, with Typer's for it."""
    flags = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Flag)]
    if not flags:
        return hint
    return Annotated[hint.__origin__, _option(flags[0], name, hint.__origin__, panel=False)]


def _option(flag: Flag, field: str, kind: Any, *, panel: bool = True) -> OptionInfo:
    name = flag.name or flag_of(field)
    return typer.Option(
        f"--{name}/--no-{name}" if kind is bool else f"--{name}",
        help=flag.help,
        min=flag.least,
        max=flag.most,
        envvar=flag.variable,
        rich_help_panel=flag.panel if panel else None,
    )
