"""Execution: did the code give a picture?"""

from __future__ import annotations

from rrvf.scorers.scorer import HasStatus
from rrvf.types import Score


def score_execution(target: HasStatus, rendering: HasStatus, *rules: object) -> Score:
    """1 where a picture came out; the target is not looked at."""
    return Score(1.0 if rendering.status == "ok" else 0.0)
