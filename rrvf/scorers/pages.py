"""Scorers of web pages, each ``(target, page) -> Score``.

``PAGE_SCORERS`` are those that need only the renderings; the CLIP scorers also hold a model
(:mod:`rrvf.scorers.clip`).
"""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.scorers import blocks
from rrvf.scorers.execution import score_execution
from rrvf.scorers.scorer import Scorer

PAGE_SCORERS: Mapping[str, Scorer] = {
    "execution": score_execution,
    "block_match": blocks.score_block_match,
    "text": blocks.score_text,
    "position": blocks.score_position,
    "color": blocks.score_color,
}
