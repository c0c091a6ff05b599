"""Plot2Code's text score: which visible texts are at the same places.

Source: ``eval/text_match_score.py`` of github.com/TencentARC/Plot2Code. There, each text of the
reference looks among the nearby texts of the other figure for the first one with the least edit
distance, and accepts it only if that distance is 0. So it accepts the first nearby text that is
equal, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from rrvf.types import FigureRendering, FigureText, Score

NEAR = 0.8
SCALE = 100.0
SHOWN = 200
SHOWN_CHARACTERS = 200

Ratio = tuple[float, float]
"""Width and height of the reference's figure over those of the other one."""


def score_figure_text(target: FigureRendering, rendering: FigureRendering) -> Score:
    """Matched texts over all texts, a matched pair counting once; 1 where there are none at all.

    Args:
        target: The reference, with status ``ok``.
        rendering: What the model's code drew, with status ``ok``.

    Returns:
        The score; its details hold the numbers of texts ``n_matched``, ``n_missing`` (only in the
        reference) and ``n_extra`` (only in the answer), and the first texts of each kind.
    """
    ratio = (
        target.width_inches / rendering.width_inches,
        target.height_inches / rendering.height_inches,
    )
    matched_texts, missing_texts, extra_texts = match(target.texts, rendering.texts, ratio)
    total = len(matched_texts) + len(missing_texts) + len(extra_texts)
    details = {
        "n_matched": len(matched_texts),
        "n_missing": len(missing_texts),
        "n_extra": len(extra_texts),
        "matched": _list_texts(matched_texts),
        "missing": _list_texts(missing_texts),
        "extra": _list_texts(extra_texts),
    }
    return Score(len(matched_texts) / total if total else 1.0, details)


def match(
    reference: Iterable[FigureText], generated: Iterable[FigureText], ratio: Ratio
) -> tuple[list[FigureText], list[FigureText], list[FigureText]]:
    """Texts on both sides, only in the reference, and only generated.

    Greedy in the order of the reference. No assignment is sought: a text that two others could
    take goes to the first of them.
    """
    groups = _group_by_text(generated, ratio)
    matched_texts: list[FigureText] = []
    missing_texts: list[FigureText] = []
    for text in reference:
        group = groups.get(text.text)
        is_taken = group is not None and group.take(text)
        (matched_texts if is_taken else missing_texts).append(text)
    return (
        matched_texts,
        missing_texts,
        [text for group in groups.values() for text in group.list_free()],
    )


class _EqualTexts:
    """Equal texts of one figure; where each stands, and whether it is still to be had.

    ``points`` are moved as if the figure had the size of the reference's, be they coordinates of
    the figure, of an axes or of the data.
    """

    def __init__(self, texts: list[FigureText], ratio: Ratio) -> None:
        self._texts = texts
        places = [(math.nan, math.nan) if t.position is None else t.position for t in texts]
        with np.errstate(over="ignore"):
            self._points = np.array(places) * ratio
        self._free = np.ones(len(texts), dtype=bool)

    def take(self, text: FigureText) -> bool:
        """Take away the first that stands closer than about 22 units, if there is one."""
        if text.position is None:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            across, down = (np.array(text.position) - self._points).T
            near = np.exp(-np.hypot(across, down) / SCALE) > NEAR
        near &= self._free
        if not near.any():
            return False
        self._free[near.argmax()] = False
        return True

    def list_free(self) -> list[FigureText]:
        """Those that nobody took."""
        return [text for text, free in zip(self._texts, self._free, strict=True) if free]


def _group_by_text(texts: Iterable[FigureText], ratio: Ratio) -> dict[str, _EqualTexts]:
    groups: dict[str, list[FigureText]] = {}
    for text in texts:
        groups.setdefault(text.text, []).append(text)
    return {name: _EqualTexts(group, ratio) for name, group in groups.items()}


def _list_texts(texts: list[FigureText]) -> list[str]:
    return [text.text[:SHOWN_CHARACTERS] for text in texts[:SHOWN]]
