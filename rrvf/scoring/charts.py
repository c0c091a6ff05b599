"""The old place of the scoring of charts, before the bench; removed in the next release."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from rrvf.bench import Bench, find_bench_scorers
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.kinds.chart import ChartKind
from rrvf.renderers.chart import ChartRenderer
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.judge import Judge
from rrvf.types import Mode


def ChartScoring(  # noqa: N802 - the name of the class that it was
    renderer: ChartRenderer,
    mode: Mode = "official",
    scorers: Sequence[str] | None = None,
    judge: Judge | None = None,
) -> Bench:
    """The bench of ChartMimic around a renderer: :func:`rrvf.bench.open_bench` opens both."""
    warnings.warn(
        'ChartScoring(renderer) is now rrvf.bench.open_bench(find_benchmark("chartmimic"))',
        DeprecationWarning,
        stacklevel=2,
    )
    kind = ChartKind(renderer, mode, judge is not None and judge.name == "gpt")
    names = ChartMimic.scorers if scorers is None else scorers
    return Bench(ChartMimic(), kind, find_bench_scorers(kind, names, ClipSettings()), judge)
