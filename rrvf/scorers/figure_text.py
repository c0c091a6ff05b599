"""Plot2Code's text score: which visible texts stand in the same places.

Source: ``eval/text_match_score.py`` of github.com/TencentARC/Plot2Code. There, each text of the
reference looks among the other figure's texts that are near it for the first with the least edit
distance, and takes it only where that distance is 0: so it takes the first that is near and equal,
and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

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
    matched, missing, extra = match(target.texts, rendering.texts, ratio)
    total = len(matched) + len(missing) + len(extra)
    details = {
        "n_matched": len(matched),
        "n_missing": len(missing),
        "n_extra": len(extra),
        "matched": _shown(matched),
        "missing": _shown(missing),
        "extra": _shown(extra),
    }
    return Score(len(matched) / total if total else 1.0, details)


def match(
    reference: Iterable[FigureText], generated: Iterable[FigureText], ratio: Ratio
) -> tuple[list[FigureText], list[FigureText], list[FigureText]]:
    """Texts on both sides, only in the reference, and only generated.

    Greedy in the order of the reference. No assignment is sought: a text that two others could
    take goes to the first of them.
    """
    left: dict[str, list[FigureText]] = {}
    for text in generated:
        left.setdefault(text.text, []).append(text)
    matched: list[FigureText] = []
    missing: list[FigureText] = []
    for text in reference:
        same = left.get(text.text, [])
        place = next((i for i, other in enumerate(same) if near(text, other, ratio)), None)
        if place is None:
            missing.append(text)
        else:
            same.pop(place)
            matched.append(text)
    return matched, missing, [text for same in left.values() for text in same]


def near(text: FigureText, other: FigureText, ratio: Ratio) -> bool:
    """Whether two texts stand closer than about 22 units of whatever coordinates they use.

    ``other`` is moved as if its figure had the size of the reference's, be its coordinates those
    of the figure, of an axes or of the data.
    """
    if text.position is None or other.position is None:
        return False
    across = text.position[0] - other.position[0] * ratio[0]
    down = text.position[1] - other.position[1] * ratio[1]
    return math.exp(-math.hypot(across, down) / SCALE) > NEAR


def _shown(texts: list[FigureText]) -> list[str]:
    return [text.text[:SHOWN_CHARACTERS] for text in texts[:SHOWN]]
