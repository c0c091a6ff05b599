"""Scorers of web pages: functions of two renderings, each (target, page) -> Score.

``PAGE_SCORERS`` names those that need nothing but the renderings; the CLIP ones hold a model
(:mod:`rrvf.scorers.clip`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from rrvf.errors import UserError
from rrvf.scorers import blocks, clip, import_scorer, no_such_scorer, no_target
from rrvf.scorers.clip import ClipSettings
from rrvf.types import PageRendering, Score


class PageScorer(Protocol):
    """Compares a page with its target; pure."""

    def __call__(self, target: PageRendering, page: PageRendering) -> Score:
        """Score of ``page``; both have status ``ok``."""
        ...


@runtime_checkable
class ScoresFailures(Protocol):
    """A scorer with a rule of its own for pages that could not be shown."""

    def failed(self, target: PageRendering) -> Score:
        """Score of a failure of the model's."""
        ...


@runtime_checkable
class HasEnvironment(Protocol):
    """A scorer whose values depend on more than the two renderings."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Model, weights, versions."""
        ...


def score_execution(target: PageRendering, page: PageRendering) -> Score:
    """1 where a picture came out; the target is not looked at."""
    return Score(1.0)


PAGE_SCORERS: Mapping[str, PageScorer] = {
    "execution": score_execution,
    "block_match": blocks.score_block_match,
    "text": blocks.score_text,
    "position": blocks.score_position,
    "color": blocks.score_color,
}

NEEDS_NO_TARGET = frozenset({"execution"})


def find_page_scorers(names: Sequence[str], settings: ClipSettings) -> dict[str, PageScorer]:
    """Scorers by name or dotted path, in the order given.

    Raises:
        UserError: An unknown name; with the nearest known one.
    """
    available = (*PAGE_SCORERS, *clip.VIEWS)
    with_model = clip.clip_scorers([name for name in names if name in clip.VIEWS], settings)
    found: dict[str, PageScorer] = {}
    for name in names:
        if name in with_model:
            found[name] = with_model[name]
        elif name in PAGE_SCORERS:
            found[name] = PAGE_SCORERS[name]
        elif ":" in name:
            found[name] = import_scorer(name)
        else:
            raise UserError(no_such_scorer(name, available))
    return found


def score_page(
    scorers: Mapping[str, PageScorer], target: PageRendering | None, page: PageRendering
) -> dict[str, Score]:
    """Every requested score of one page; 0 is the model's failure, ``None`` ours.

    Without a target to compare with, every score but ``execution`` is unscored, whether the page
    failed or not.

    Args:
        scorers: By name, from :func:`find_page_scorers`.
        target: The reference's rendering, ``None`` where there is none to be had.
        page: What the model's HTML shows.
    """
    return {name: _score_one(name, scorer, target, page) for name, scorer in scorers.items()}


def _score_one(
    name: str, scorer: PageScorer, target: PageRendering | None, page: PageRendering
) -> Score:
    if name in NEEDS_NO_TARGET:
        return scorer(page, page) if page.status == "ok" else Score.failed()
    if target is None or target.status != "ok":
        return Score.unscored(no_target(target and target.error))
    if page.status == "ok":
        return scorer(target, page)
    return scorer.failed(target) if isinstance(scorer, ScoresFailures) else Score.failed()
