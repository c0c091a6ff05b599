"""Scorers: pure functions of two drawings, each (target, drawing, mode) -> Score.

``SCORERS`` names the built-in ones; anything outside this package is named ``my.module:object``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from rrvf.errors import UserError
from rrvf.scorers.chart_type import score_chart_type
from rrvf.scorers.color import score_color
from rrvf.scorers.execution import score_execution
from rrvf.scorers.layout import score_layout
from rrvf.scorers.text import score_text
from rrvf.types import Drawing, Mode, Score


class Scorer(Protocol):
    """Compares a drawing with its target; pure."""

    def __call__(self, target: Drawing, drawing: Drawing, mode: Mode) -> Score:
        """Score of ``drawing``; both have status ``ok``."""
        ...


SCORERS: Mapping[str, Scorer] = {
    "execution": score_execution,
    "text": score_text,
    "layout": score_layout,
    "type": score_chart_type,
    "color": score_color,
}

NEEDS_NO_TARGET = frozenset({"execution"})
BROKEN = "the reference cannot be drawn"
"""How the reason of every score begins that a reference's failure leaves open."""


def find_scorers(names: Sequence[str]) -> dict[str, Scorer]:
    """Scorers by name or dotted path, in the order given.

    Raises:
        UserError: An unknown name; with the nearest known one.
    """
    return {name: SCORERS[name] if name in SCORERS else _imported(name) for name in names}


def _imported(name: str) -> Scorer:
    if ":" not in name:
        raise UserError(no_such_scorer(name, SCORERS))
    return import_scorer(name)


def no_such_scorer(name: str, available: Iterable[str]) -> str:
    """What to say of a name that is none, with the nearest that is one."""
    names = list(available)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"unknown scorer {name!r}.{hint} Available: {', '.join(names)}, or my.module:object"


def import_scorer(name: str) -> Any:
    """A scorer from elsewhere, by its dotted path.

    Raises:
        UserError: It cannot be imported; with the reason.
    """
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a stranger's module raises when it is imported
        raise UserError(f"scorer {name!r} cannot be imported: {error}") from error
    finally:
        sys.path.remove("")


def score_all(
    scorers: Mapping[str, Scorer], target: Drawing | None, drawing: Drawing, mode: Mode
) -> dict[str, Score]:
    """Every requested score of one drawing.

    0 is the model's failure, ``None`` ours. Whatever needs a target that does not exist is
    unscored, whether the drawing failed or not; otherwise a drawing that failed scores 0, and one
    that failed through our fault is unscored.

    Args:
        scorers: By name, from :func:`find_scorers`.
        target: The reference's drawing; ``None`` or incomplete where it cannot be used.
        drawing: What the model's code drew.
        mode: Whose rules hold.
    """
    return {
        name: _score_one(name, scorer, target, drawing, mode) for name, scorer in scorers.items()
    }


def _score_one(
    name: str, scorer: Scorer, target: Drawing | None, drawing: Drawing, mode: Mode
) -> Score:
    if drawing.status == "harness_error":
        return Score.unscored(drawing.error or "the renderer failed")
    if name in NEEDS_NO_TARGET:
        return scorer(drawing, drawing, mode) if drawing.status == "ok" else Score.failed()
    if target is None or not usable(target):
        return Score.unscored(no_target(target and target.error))
    return scorer(target, drawing, mode) if drawing.status == "ok" else Score.failed()


def no_target(error: str | None = None) -> str:
    """Why there is nothing to compare with.

    Args:
        error: What is wrong with the reference, where it is known.
    """
    return f"{BROKEN}: {error}" if error else BROKEN


def usable(target: Drawing) -> bool:
    """Whether a reference ran to its end."""
    return target.status == "ok" and target.complete
