"""Type: which drawing functions were called, and how often."""

from __future__ import annotations

from rrvf.scorers.matching import PERFECT, both_empty, f1_score
from rrvf.types import Drawing, Mode, Score


def score_chart_type(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """F1 over the numbers of calls by function.

    Source: ChartMimic's chart type evaluator in VLMEvalKit.
    """
    reference, generated = target.elements.chart_types, drawing.elements.chart_types
    n_matched = sum(min(n, reference.get(name, 0)) for name, n in generated.items())
    n_generated, n_reference = sum(generated.values()), sum(reference.values())
    details = {"reference": dict(reference), "rendering": dict(generated)}
    if both_empty(mode, n_generated, n_reference):
        return Score(1.0, PERFECT | details)
    return f1_score(n_matched, n_generated, n_reference, details)
