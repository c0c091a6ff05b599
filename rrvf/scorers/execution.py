"""Execution: did the code leave a picture?"""

from __future__ import annotations

from rrvf.types import Drawing, Mode, Score


def score_execution(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """1 where a picture came out; the target is not looked at."""
    return Score(1.0 if drawing.status == "ok" else 0.0)
