"""The kinds of drawings, one file each: charts, figures, pages."""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.kinds.chart import ChartKind
from rrvf.kinds.figure import FigureKind
from rrvf.kinds.kind import Kind
from rrvf.kinds.page import PageKind

KINDS: Mapping[str, type[Kind]] = {"chart": ChartKind, "figure": FigureKind, "page": PageKind}
"""Name, as a benchmark gives it -> kind."""
