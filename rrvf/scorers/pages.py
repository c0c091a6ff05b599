"""Scorers of web pages, each ``(target, page) -> Score``.

``PAGE_SCORERS`` names those that need nothing but the renderings; the CLIP ones hold a model
(:mod:`rrvf.scorers.clip`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rrvf.scorers import blocks, clip
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.execution import score_execution
from rrvf.scorers.scorer import Scorer, find_scorers

PAGE_SCORERS: Mapping[str, Scorer] = {
    "execution": score_execution,
    "block_match": blocks.score_block_match,
    "text": blocks.score_text,
    "position": blocks.score_position,
    "color": blocks.score_color,
}


def find_page_scorers(names: Sequence[str], settings: ClipSettings) -> dict[str, Scorer]:
    """Scorers by name or dotted path, in the order given.

    Raises:
        UserError: An unknown name; with the nearest known one.
    """
    absent = dict.fromkeys(clip.VIEWS, score_execution)  # so that their names are known
    loaded = clip.clip_scorers([name for name in names if name in clip.VIEWS], settings)
    return find_scorers(names, {**PAGE_SCORERS, **absent, **loaded})
