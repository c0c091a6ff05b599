"""Text: which strings were drawn."""

from __future__ import annotations

from rrvf.scorers.matching import PERFECT, both_empty, f1_score, multiset_match
from rrvf.types import Drawing, Mode, Score


def score_text(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """F1 over the multisets of drawn strings, equal strings only.

    Source: ChartMimic's text evaluator as VLMEvalKit calls it (no positions).
    """
    reference, generated = target.elements.texts, drawing.elements.texts
    matched, missing, extra = multiset_match(reference, generated)
    details = {"matched": matched, "missing": missing, "extra": extra}
    if both_empty(mode, len(generated), len(reference)):
        return Score(1.0, PERFECT | details)
    return f1_score(len(matched), len(generated), len(reference), details)
