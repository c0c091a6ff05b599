"""Scorers: pure functions of two renderings, see :mod:`rrvf.scorers.scorer`.

``SCORERS`` are those of charts, each ``(target, drawing, mode) -> Score``.
"""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.scorers.chart_type import score_chart_type
from rrvf.scorers.color import score_color
from rrvf.scorers.execution import score_execution
from rrvf.scorers.layout import score_layout
from rrvf.scorers.scorer import Scorer
from rrvf.scorers.text import score_text

SCORERS: Mapping[str, Scorer] = {
    "execution": score_execution,
    "text": score_text,
    "layout": score_layout,
    "type": score_chart_type,
    "color": score_color,
}
