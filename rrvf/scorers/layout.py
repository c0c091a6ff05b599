"""Layout: the places of the axes in their grids."""

from __future__ import annotations

from dataclasses import astuple

from rrvf.scorers.matching import PERFECT, both_empty, f1_score, match_multisets
from rrvf.types import Drawing, Elements, LayoutCell, Mode, Score

GRAPH_PREFIX = "graph"


def score_layout(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """F1 over the multisets of grid cells, equal cells only.

    Source: ChartMimic's layout evaluator in VLMEvalKit. A reference whose file name begins with
    ``graph`` is officially read by another rule than the answer to it; :func:`graph_rule` turns a
    target into what that rule sees.
    """
    reference, generated = target.elements.layout, drawing.elements.layout
    matches = match_multisets(reference, generated)[0]
    details = {
        "reference": [list(astuple(cell)) for cell in reference],
        "rendering": [list(astuple(cell)) for cell in generated],
    }
    if both_empty(mode, len(generated), len(reference)):
        return Score(1.0, PERFECT | details)
    return f1_score(len(matches), len(generated), len(reference), details)


def graph_rule(elements: Elements) -> tuple[LayoutCell, ...]:
    """What the official rule for ``graph_*`` files sees: the same odd cell for every axes."""
    return (LayoutCell(1, 1, 0, 1, 0, 1),) * elements.n_axes
