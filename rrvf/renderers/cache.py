"""Renderings on disk, by content: a reference is drawn once per machine.

Each entry is one JSON file with pictures in base64. It is written to a temporary file and renamed,
so a reader never sees half of it. An unreadable entry counts as absent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rrvf.errors import SetupError
from rrvf.files import write_atomically
from rrvf.types import (
    STATUSES,
    Color,
    Drawing,
    Elements,
    FigureRendering,
    FigureText,
    LayoutCell,
    Rendering,
)

CACHE_VARIABLE = "RRVF_CACHE_DIR"
PICTURES = ("png", "pdf", "judge_png")
Entry = TypeVar("Entry")


def folder() -> Path:
    """``$RRVF_CACHE_DIR``, else ``rrvf`` below the user's cache folder; always absolute.

    Raises:
        SetupError: There is no home to find it in.
    """
    setting = os.environ.get(CACHE_VARIABLE)
    path = (
        Path(setting) if setting else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "rrvf")
    )
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise SetupError(f"no home folder to keep a cache in; set {CACHE_VARIABLE}") from error


def load(key: str) -> Rendering | None:
    """The rendering stored under ``key``, or ``None``."""
    return _load("charts", key, _parse_rendering)


def store(key: str, rendering: Rendering) -> None:
    """Store; a cache that cannot be written is no cache, and no error."""
    _store("charts", key, rendering)


def load_figure(key: str) -> FigureRendering | None:
    """As :func:`load`."""
    return _load("figures", key, _parse_figure)


def store_figure(key: str, rendering: FigureRendering) -> None:
    """As :func:`store`."""
    _store("figures", key, rendering)


def _find_path(kind: str, key: str) -> Path:
    return folder() / kind / key[:2] / f"{key}.json"


def _load(kind: str, key: str, parse: Callable[[dict[str, Any]], Entry]) -> Entry | None:
    try:
        return parse(json.loads(_find_path(kind, key).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _store(kind: str, key: str, rendering: Rendering | FigureRendering) -> None:
    entry: dict[str, Any] = asdict(rendering)
    for name in PICTURES:
        if entry.get(name) is not None:
            entry[name] = base64.b64encode(entry[name]).decode("ascii")
    with contextlib.suppress(OSError):
        write_atomically(_find_path(kind, key), json.dumps(entry).encode("ascii"))


def _decode_picture(data: str | None) -> bytes | None:
    return None if data is None else base64.b64decode(data, validate=True)


def _parse_figure(entry: dict[str, Any]) -> FigureRendering:
    if entry["status"] not in STATUSES:
        raise ValueError("no status")
    return FigureRendering(
        status=entry["status"],
        error=entry["error"],
        seconds=entry["seconds"],
        png=_decode_picture(entry["png"]),
        texts=tuple(_parse_figure_text(**text) for text in entry["texts"]),
        width_inches=entry["width_inches"],
        height_inches=entry["height_inches"],
    )


def _parse_figure_text(text: str, position: list[float] | None) -> FigureText:
    if position is None:
        return FigureText(text, None)
    x, y = position
    return FigureText(text, (x, y))


def _parse_rendering(entry: dict[str, Any]) -> Rendering:
    pictures = {name: _decode_picture(entry[name]) for name in PICTURES}
    return Rendering(
        official=_parse_drawing(entry["official"]),
        fixed=_parse_drawing(entry["fixed"]),
        seconds=entry["seconds"],
        cpu_seconds=entry["cpu_seconds"],
        png=pictures["png"],
        pdf=pictures["pdf"],
        judge_png=pictures["judge_png"],
    )


def _parse_drawing(entry: dict[str, Any]) -> Drawing:
    elements = entry["elements"]
    if entry["status"] not in STATUSES:
        raise ValueError("no status")
    return Drawing(
        status=entry["status"],
        error=entry["error"],
        complete=entry["complete"],
        elements=Elements(
            texts=tuple(elements["texts"]),
            chart_types=dict(elements["chart_types"]),
            colors=tuple(Color(**color) for color in elements["colors"]),
            layout=tuple(LayoutCell(**cell) for cell in elements["layout"]),
            n_axes=elements["n_axes"],
        ),
    )
