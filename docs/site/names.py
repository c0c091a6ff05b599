"""The reference of the Python names, made from the package itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import rrvf
from docs.site.command_line import escape
from rrvf.options import find_flags

_FUNCTION = """
## {name}

```{{eval-rst}}
.. autofunction:: rrvf.{name}
```
"""
_CLASS = """
## {name}

```{{eval-rst}}
.. autoclass:: rrvf.{name}
   :members:
```
"""
_OPTIONS = """
## {name}

```{{eval-rst}}
.. autoclass:: rrvf.{name}(**fields)
   :no-members:
```

| field | default | meaning |
|---|---|---|
"""


def describe_names() -> str:
    """A section for each public name, from its docstring, as Markdown."""
    return "\n".join(_describe(name, getattr(rrvf, name)) for name in rrvf.__all__)


def _describe(name: str, value: Any) -> str:
    if not isinstance(value, type):
        return _FUNCTION.format(name=name)
    if is_dataclass(value) and find_flags(value):
        return _OPTIONS.format(name=name) + "\n".join(_list_fields(value)) + "\n"
    return _CLASS.format(name=name)


def _list_fields(options: Any) -> Iterator[str]:
    """A row for each option, with the help of its flag."""
    flags = find_flags(options)
    for field in fields(options):
        flag = flags.get(field.name)
        default = "required" if field.default is MISSING else f"`{field.default!r}`"
        if flag is not None:
            yield f"| `{field.name}` | {default} | {escape(flag.help)} |"
