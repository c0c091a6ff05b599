"""The benchmarks by name, and the lookup of a user's own benchmark."""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.benchmarks.benchmark import Benchmark
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.design2code import Design2Code, Design2CodeHard
from rrvf.benchmarks.own import open_own_benchmark
from rrvf.benchmarks.pictures import PICTURES
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.websight import WebSight
from rrvf.dotted import suggest
from rrvf.errors import UserError

BENCHMARKS: Mapping[str, type[Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        *(ChartMimic, Plot2Code, WebSight, Design2Code, Design2CodeHard),
        *PICTURES.values(),
    )
}


def find_benchmark(name: str) -> Benchmark:
    """A benchmark by name or dotted path.

    Args:
        name: A key of :data:`BENCHMARKS`, or ``my.module:MyBenchmark``.

    Raises:
        UserError: There is none, or it is not whole; with the nearest known one.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]()
    if ":" not in name:
        hint = suggest(name, BENCHMARKS)
        raise UserError(
            f"unknown benchmark {name!r}.{hint} Available: {', '.join(BENCHMARKS)}, "
            "or my.module:MyBenchmark"
        )
    return open_own_benchmark(name)
