"""Wrappers around drawing functions that record what a script draws.

The rules are those of the official ChartMimic evaluators (VLMEvalKit's port, run with matplotlib
3.9.4): which functions count for the chart type and for the colour, and that calls nested in a
counted call do not count. Each list has its own nesting flag, which an exception leaves set for
good. One execution serves all lists. Names are canonical instead of installation paths; two
functions share a name if their official names are equal.

The colours of an object are read again when the script is done, because scripts recolour what they
have drawn. Only the last object of each (function, first colour) is read again.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .colors import Observations, Observe, reread
from .wire import MAX_COLORS, MAX_NAME

Function = Callable[..., Any]

HEX_COLOR = re.compile("#[0-9A-F]{6}([0-9A-F]{2})?")


@dataclass(eq=False)
class Nesting:
    """Whether a call is the outermost one of its list.

    ``stuck`` is the official flag after an exception: nothing counts any more. The mended mode
    looks at ``depth`` alone.
    """

    depth: int = 0
    stuck: bool = False


@dataclass
class Colors:
    """Objects by (role, first colour), in the order of their first drawing."""

    objects: dict[tuple[str, str], Any] = field(default_factory=dict)
    dead: bool = False


@dataclass
class Recorder:
    """Everything noted during one execution; twice where the two modes can differ."""

    types: Nesting = field(default_factory=Nesting)
    colors: Nesting = field(default_factory=Nesting)
    official_types: dict[str, int] = field(default_factory=dict)
    official_types_dead: bool = False
    fixed_types: dict[str, int] = field(default_factory=dict)
    official_colors: Colors = field(default_factory=Colors)
    fixed_colors: Colors = field(default_factory=Colors)
    texts: list[str] = field(default_factory=list)
    sink: list[str] | None = None
    """Where drawn texts are noted now."""
    draws_texts: bool = True
    """Whether they are drawn as well."""

    # ------------------------------------------------------------------------ noting

    def note_type(self, name: str) -> None:
        """Count one call of a chart type."""
        self.fixed_types[name] = self.fixed_types.get(name, 0) + 1
        if not self.types.stuck:
            self.official_types[name] = self.official_types.get(name, 0) + 1

    def note_colors(self, observe: Callable[[], Observations]) -> None:
        """Note the colours of one call's result."""
        targets = [self.fixed_colors]
        if not self.colors.stuck:
            targets.append(self.official_colors)
        try:
            for role, color, item in observe():
                for target in targets:
                    target.objects[role, color] = item
        except Exception:
            for target in targets:
                target.dead = True

    # ----------------------------------------------------------------------- reading

    def read_official_types(self) -> dict[str, int]:
        """Counts by name; empty where the official run that counts would have ended early."""
        return {} if self.official_types_dead else self.official_types

    def read_colors(self, colors: Colors) -> list[list[str]]:
        """Distinct [role, colour] pairs, every object asked again.

        Empty where the official evaluator would have raised on the way.
        """
        if colors.dead:
            return []
        pairs: dict[tuple[str, str], None] = {}
        try:
            for (role, color), item in colors.objects.items():
                for new_color in reread(role, color, item):
                    pairs[role, new_color] = None
        except Exception:
            return []
        return [[role, color] for role, color in pairs if is_sound(color)][:MAX_COLORS]

    @contextmanager
    def send_texts_to(self, sink: list[str] | None) -> Generator[None]:
        """Note texts elsewhere, or nowhere."""
        before, self.sink = self.sink, sink
        try:
            yield
        finally:
            self.sink = before


# -------------------------------------------------------------------------------- wrapping


def is_sound(color: Any) -> bool:
    """Whether a value can be compared: a script may name a colour map as it likes."""
    if type(color) is not str or len(color) > MAX_NAME:
        return False
    return not color.startswith("#") or HEX_COLOR.fullmatch(color) is not None


def wrap(
    recorder: Recorder,
    function: Function,
    chart_type: Callable[[tuple[Any, ...]], str] | None,
    observe: Observe | None,
) -> Function:
    """A function that does what ``function`` does and is noted in ``recorder``.

    Args:
        recorder: Where to note.
        function: What is called.
        chart_type: Positional arguments -> name to count, ``None`` where calls are not counted.
        observe: (result, args, kwargs) -> colours, ``None`` where colours are not read.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        lists = [recorder.types] if chart_type is not None else []
        lists += [recorder.colors] if observe is not None else []
        outer = [nesting for nesting in lists if nesting.depth == 0]
        if chart_type is not None and recorder.types in outer:  # by identity
            recorder.note_type(chart_type(args))
        for nesting in lists:
            nesting.depth += 1
        try:
            result = function(*args, **kwargs)
            if observe is not None and recorder.colors in outer:
                recorder.note_colors(functools.partial(observe, result, args, kwargs))
        except BaseException:
            for nesting in outer:
                nesting.stuck = True
            raise
        finally:
            for nesting in lists:
                nesting.depth -= 1
        return result

    return wrapper
