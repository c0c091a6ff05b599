"""JSON values on their way into the page: of the right kind, finite, bounded.

Run folders hold what a stranger's model wrote: a script can draw a million texts. The files keep
them all, the page says that it shortened them.
"""

from __future__ import annotations

from typing import Any, cast

MAX_TEXT = 500
MAX_ERROR = 4_000
MAX_CODE = 60_000
MAX_ENTRIES = 400
MAX_DEPTH = 8
MAX_NUMBER = 1e300

Json = dict[str, Any]


def clip(value: Any, *, text: int = MAX_TEXT, depth: int = 0) -> Any:
    """Bound a JSON value, and turn what JavaScript's JSON lacks (NaN, infinity) into null."""
    if isinstance(value, str):
        return value if len(value) <= text else value[:text] + "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return number(value)
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        entries = list(cast("Json", value).items())[:MAX_ENTRIES]
        return {k[:MAX_TEXT]: clip(v, text=text, depth=depth + 1) for k, v in entries}
    if isinstance(value, list):
        head = cast("list[Any]", value)[:MAX_ENTRIES]
        return [clip(entry, text=text, depth=depth + 1) for entry in head]
    return str(value)[:text]


def number(value: Any) -> float | int | None:
    """The value, if JavaScript can calculate with it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < MAX_NUMBER else None  # false for NaN, too


def mapping(value: Any) -> Json:
    """The value, if it is an object; else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def count_of(number: Any, noun: str) -> str:
    """As in "1 item", "2 items"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
