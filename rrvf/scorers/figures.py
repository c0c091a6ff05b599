"""Scorers of Plot2Code's figures, each ``(target, figure) -> Score``."""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.scorers.execution import score_execution
from rrvf.scorers.figure_text import score_figure_text
from rrvf.scorers.scorer import Scorer

FIGURE_SCORERS: Mapping[str, Scorer] = {"execution": score_execution, "text": score_figure_text}
