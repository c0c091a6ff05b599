"""The reference of training's keys and of the plugin's options, made from their own help."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import fields

from docs.site.command_line import escape
from training.settings import (
    DataArguments,
    GrpoArguments,
    RewardArguments,
    RunArguments,
    WorldArguments,
)
from vlmeval_plugin import settings as plugin

_GROUPS = {
    "Data": DataArguments,
    "Renderers, teacher, judge and rules": WorldArguments,
    "Rewards": RewardArguments,
    "The run": RunArguments,
    "GRPO": GrpoArguments,
}


def describe_keys() -> str:
    """A table of the keys of each group, as Markdown."""
    return "\n".join(line for title in _GROUPS for line in _list_keys(title))


def _list_keys(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| key | default | meaning |", "|---|---|---|")
    group = _GROUPS[title]
    own = [field for field in fields(group) if field.name in group.__annotations__]
    for field in own:
        yield f"| `{field.name}` | `{field.default!r}` | {escape(field.metadata['help'])} |"


def describe_plugin() -> str:
    """What the plugin's ``--help`` says of our options."""
    out = io.StringIO()
    with redirect_stdout(out):
        plugin.parse(["--help"])
    return f"\n## Options\n\n```text\n{out.getvalue().rstrip()}\n```\n"
