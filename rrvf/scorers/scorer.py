"""What all scorers have in common: lookup, calls, and isolation from each other's failures.

A scorer is a pure function ``(target, rendering, *rules) -> Score`` of two renderings of one kind:
drawings of charts (whose rule is a mode), figures, or pages. Both have the status ``ok``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast, runtime_checkable

from rrvf.dotted import find_object, suggest
from rrvf.errors import HarnessError, UserError
from rrvf.types import Score, Status

Scorer = Callable[..., Score]

_JUDGES = {"likeness": "--judge likeness", "gpt": "--judge MODEL"}
"""Scores of judges, which users may take for scorers, and the option that gives each."""

NEEDS_NO_TARGET = frozenset({"execution"})
BROKEN = "the reference cannot be drawn"
"""The start of the reason if a score is missing because the reference failed."""


class HasStatus(Protocol):
    """The outcome of drawing some code, of any kind."""

    @property
    def status(self) -> Status:
        """``ok`` where there is something to compare."""
        ...

    @property
    def error(self) -> str | None:
        """What went wrong."""
        ...


@runtime_checkable
class ScoresFailures(Protocol):
    """A scorer with its own rule for answers that could not be rendered."""

    def failed(self, target: Any) -> Score:
        """Score of a failure of the model's."""
        ...


@runtime_checkable
class ComparesPictures(Protocol):
    """A scorer that can declare that it compares only the two pictures, for every kind.

    It is then called with two :class:`rrvf.types.PageRendering`.
    """

    @property
    def compares_pictures(self) -> bool:
        """Whether it compares only pictures."""
        ...


@runtime_checkable
class HasEnvironment(Protocol):
    """A scorer whose values depend on more than the two renderings."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Model, weights, versions."""
        ...


# -------------------------------------------------------------------------------- finding one


def find_scorers(names: Sequence[str], known_scorers: Mapping[str, Scorer]) -> dict[str, Scorer]:
    """Scorers by name or dotted path, in the order given.

    Args:
        names: The requested scorers.
        known_scorers: The benchmark's scorers; any other name is ``my.module:object``.

    Raises:
        UserError: A name is unknown; the message names the nearest known one.
    """
    return {
        name: known_scorers[name] if name in known_scorers else _find_elsewhere(name, known_scorers)
        for name in names
    }


def _find_elsewhere(name: str, known_names: Iterable[str]) -> Scorer:
    if ":" not in name:
        names = list(known_names)
        if name in _JUDGES:
            raise UserError(f"{name!r} is a judge's score; name the judge: {_JUDGES[name]}")
        raise UserError(
            f"unknown scorer {name!r}.{suggest(name, names)} "
            f"Available: {', '.join(names)}, or my.module:object"
        )
    return find_object(name, "scorer")


# ------------------------------------------------------------------------------------ scoring


def score_each(
    scorers: Mapping[str, Scorer], target: HasStatus | None, rendering: HasStatus, *rules: Any
) -> dict[str, Score]:
    """Every requested score of one rendering.

    0 is the model's failure, ``None`` is ours. A score that needs a missing target is unscored,
    whether the rendering failed or not. Otherwise a failed rendering scores 0, and a rendering that
    failed through our fault is unscored. If one scorer fails, only its own score is unscored.

    Args:
        scorers: By name, from :func:`find_scorers`.
        target: The reference's rendering; ``None`` or incomplete where it cannot be used.
        rendering: The rendering of the model's code.
        rules: Further arguments of these scorers.
    """
    return {
        name: _score_with(name, scorer, target, rendering, rules)
        for name, scorer in scorers.items()
    }


def _score_with(
    name: str,
    scorer: Scorer,
    target: HasStatus | None,
    rendering: HasStatus,
    rules: tuple[Any, ...],
) -> Score:
    if rendering.status == "harness_error":
        return Score.unscored(rendering.error or "the renderer failed")
    if name in NEEDS_NO_TARGET:
        target = rendering
    elif target is None or not is_usable(target):
        return Score.unscored(no_target(None if target is None else target.error))
    if rendering.status == "ok":
        return call_scorer(name, lambda: scorer(target, rendering, *rules))
    if isinstance(scorer, ScoresFailures):
        return call_scorer(name, lambda: scorer.failed(target))
    return Score.failed()


def call_scorer(name: str, call: Callable[[], Score]) -> Score:
    """Call a scorer; if it raises or returns no valid score, the result is unscored.

    Args:
        name: Of the scorer, for the reason.
        call: Asks it.

    Raises:
        UserError: It cannot work on this machine: no item could be scored.
    """
    try:
        score = call()
        _require_score(score)
    except UserError:
        raise
    except HarnessError as error:
        return Score.unscored(str(error))
    except Exception as error:  # whatever a stranger's scorer raises
        place = _locate(error.__traceback__)
        return Score.unscored(f"{name} failed: {type(error).__name__}: {error} ({place})")
    return score


def _require_score(score: object) -> None:
    """Refuse what is no score, and details that no file of results can hold.

    Raises:
        TypeError, ValueError: It is none; says why.
    """
    if not isinstance(score, Score):
        raise TypeError(f"must return rrvf.types.Score, not {type(score).__name__}")
    value = cast("object", score.value)
    if value is not None and not (isinstance(value, float | int) and math.isfinite(value)):
        raise ValueError(f"the value of a score is a finite number or None, not {value!r}")
    if value is not None and not -1e-9 <= value <= 1 + 1e-9:
        raise ValueError(f"the value of a score lies in 0 to 1, not at {value!r}")
    json.dumps(dict(score.details), allow_nan=False)


def _locate(traceback: TracebackType | None) -> str:
    """File and line where an exception was raised."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "nowhere"
    return f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"


def no_target(error: str | None = None) -> str:
    """Why there is nothing to compare with.

    Args:
        error: What is wrong with the reference, where it is known.
    """
    return f"{BROKEN}: {error}" if error else BROKEN


def is_usable(target: HasStatus) -> bool:
    """Whether a reference ran to its end."""
    return target.status == "ok" and getattr(target, "complete", True)
