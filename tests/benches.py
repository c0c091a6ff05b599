"""Benches around a renderer that a test has already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rrvf.bench import Bench, find_bench_scorers
from rrvf.benchmarks.benchmark import Benchmark
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.websight import WebSight
from rrvf.kinds.chart import ChartKind
from rrvf.kinds.figure import FigureKind
from rrvf.kinds.kind import Kind, Reference
from rrvf.kinds.page import PageKind
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.judge import Judge
from rrvf.types import Mode


def bench_of(
    benchmark: Benchmark,
    kind: Kind,
    scorers: Sequence[str] | None = None,
    judge: Judge | None = None,
    data: Mapping[str, Any] | None = None,
) -> Bench:
    names = benchmark.scorers if scorers is None else scorers
    clip = ClipSettings()
    found = find_bench_scorers(kind, names, clip)
    return Bench(benchmark, kind, found, judge, clip, data)


def chart_bench(
    renderer: Any,
    mode: Mode = "official",
    scorers: Sequence[str] | None = None,
    judge: Judge | None = None,
) -> Bench:
    judged = judge is not None and judge.name == "gpt"
    return bench_of(ChartMimic(), ChartKind(renderer, mode, judged), scorers, judge)


def picture_bench(renderer: Any, judge: Judge | None = None) -> Bench:
    judged = judge is not None and judge.name == "gpt"
    return bench_of(ChartPictures(), ChartKind(renderer, judged=judged), judge=judge)


def figure_bench(
    renderer: Any, scorers: Sequence[str] | None = None, judge: Judge | None = None
) -> Bench:
    return bench_of(Plot2Code(), FigureKind(renderer), scorers, judge)


def page_bench(
    renderer: Any,
    scorers: Sequence[str] | None = None,
    judge: Judge | None = None,
    reference: Reference = "html",
) -> Bench:
    return bench_of(WebSight(), PageKind(renderer, reference), scorers, judge, {})
