"""Scorers of Plot2Code's figures, each (target, rendering) -> Score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rrvf.errors import UserError
from rrvf.scorers import import_scorer, no_such_scorer, no_target
from rrvf.scorers.figure_text import score_figure_text
from rrvf.types import FigureRendering, Score


class FigureScorer(Protocol):
    """Compares a figure with its target; pure."""

    def __call__(self, target: FigureRendering, rendering: FigureRendering) -> Score:
        """Score of ``rendering``; both have status ``ok``."""
        ...


def score_execution(target: FigureRendering, rendering: FigureRendering) -> Score:
    """1 where a picture came out; the target is not looked at."""
    return Score(1.0)


FIGURE_SCORERS: Mapping[str, FigureScorer] = {
    "execution": score_execution,
    "text": score_figure_text,
}
NEEDS_NO_TARGET = frozenset({"execution"})


def find_figure_scorers(names: Sequence[str]) -> dict[str, FigureScorer]:
    """Scorers by name or dotted path, in the order given.

    Raises:
        UserError: An unknown name; with the nearest known one.
    """
    return {name: FIGURE_SCORERS.get(name) or _imported(name) for name in names}


def _imported(name: str) -> FigureScorer:
    if ":" not in name:
        raise UserError(no_such_scorer(name, FIGURE_SCORERS))
    return import_scorer(name)


def score_figure(
    scorers: Mapping[str, FigureScorer], target: FigureRendering | None, figure: FigureRendering
) -> dict[str, Score]:
    """Every requested score of one figure; 0 is the model's failure, ``None`` ours.

    Without a target to compare with, every score but ``execution`` is unscored, whether the figure
    failed or not.
    """
    return {name: _score_one(name, scorer, target, figure) for name, scorer in scorers.items()}


def _score_one(
    name: str, scorer: FigureScorer, target: FigureRendering | None, figure: FigureRendering
) -> Score:
    if name in NEEDS_NO_TARGET:
        return scorer(figure, figure) if figure.status == "ok" else Score.failed()
    if target is None or target.status != "ok":
        return Score.unscored(no_target(target and target.error))
    return scorer(target, figure) if figure.status == "ok" else Score.failed()
