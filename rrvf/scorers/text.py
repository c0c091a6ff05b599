"""Text: which strings were drawn."""

from __future__ import annotations

from rrvf.scorers.matching import PERFECT, both_empty, f1_score, match_multisets
from rrvf.types import Drawing, Mode, Score


def score_text(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """F1 over the multisets of drawn strings, equal strings only.

    Source: ChartMimic's text evaluator as VLMEvalKit calls it (no positions).
    """
    reference, generated = target.elements.texts, drawing.elements.texts
    matched_texts, missing_texts, extra_texts = match_multisets(reference, generated)
    details = {"matched": matched_texts, "missing": missing_texts, "extra": extra_texts}
    if both_empty(mode, len(generated), len(reference)):
        return Score(1.0, PERFECT | details)
    return f1_score(len(matched_texts), len(generated), len(reference), details)
