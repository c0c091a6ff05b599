"""Answers on disk: an answer that was paid for once is not paid for again.

Each answer is one JSON file, named by the question's fingerprint. It is written to a temporary file
and renamed, so several processes may share the folder. An unreadable entry counts as absent. When
there are too many entries, the oldest are deleted: a training run asks a judge some hundred
thousand questions.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rrvf.chat.question import Answer, ToolCall
from rrvf.files import write_atomically

_T = TypeVar("_T")

MOST_ANSWERS = 500_000
"""Kept in a folder, of about 1 KB each; beyond it the oldest go."""

_PRUNE_TO = 0.9


def load(folder: Path, key: str, since: float = 0.0) -> Answer | None:
    """The answer stored under ``key``, marked as cached, or ``None``.

    Args:
        folder: Where answers are kept.
        key: The question's fingerprint.
        since: Unix time; what was stored before counts as absent.
    """
    path = _path(folder, key)
    try:
        if path.stat().st_mtime < since:
            return None
        return _read_answer(json.loads(path.read_text(encoding="ascii")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def store(folder: Path, key: str, answer: Answer) -> None:
    """Store one answer.

    Raises:
        OSError: It cannot be written.
    """
    entry = asdict(answer)
    del entry["cached"]
    write_atomically(_path(folder, key), json.dumps(entry).encode("ascii"))


def prune(folder: Path, most_answers: int = MOST_ANSWERS) -> int:
    """Remove the oldest answers where there are too many.

    Args:
        folder: Where answers are kept.
        most_answers: More than these are brought down to nine tenths of it.

    Returns:
        How many were removed.
    """
    ages: list[tuple[float, Path]] = []
    for path in folder.glob("??/*.json"):
        with suppress(OSError):  # another process prunes, too
            ages.append((path.stat().st_mtime, path))
    if len(ages) <= most_answers:
        return 0
    ages.sort()
    surplus = ages[: len(ages) - int(_PRUNE_TO * most_answers)]
    for _, path in surplus:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return len(surplus)


def _path(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.json"


def _read_answer(entry: dict[str, Any]) -> Answer:
    return Answer(
        text=_check(entry["text"], str),
        finish_reason=_check_optional(entry["finish_reason"], str),
        input_tokens=_check_optional(entry["input_tokens"], int),
        output_tokens=_check_optional(entry["output_tokens"], int),
        cached=True,
        tool_calls=tuple(
            ToolCall(*(_check(part, str) for part in call)) for call in entry["tool_calls"]
        ),
        thought=_check(entry.get("thought", ""), str),
    )


def _check(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError("not what was stored")
    return value


def _check_optional(value: object, kind: type[_T]) -> _T | None:
    return None if value is None else _check(value, kind)
