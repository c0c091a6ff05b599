"""The benchmarks by name, and how one of a user's own is found."""

from __future__ import annotations

from collections.abc import Mapping

from rrvf.benchmarks.benchmark import Benchmark
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.pictures import PICTURES
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.websight import WebSight
from rrvf.dotted import find_object, suggest
from rrvf.errors import UserError
from rrvf.kinds import KINDS

BENCHMARKS: Mapping[str, type[Benchmark]] = {
    each.name: each for each in (ChartMimic, Plot2Code, WebSight, *PICTURES.values())
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
    own = find_object(name, "benchmark")
    if not isinstance(own, type) or not issubclass(own, Benchmark):
        raise UserError(f"benchmark {name!r} is no subclass of rrvf.benchmarks.Benchmark")
    missing = [part for part in ("kind", "columns", "scorers") if not hasattr(own, part)]
    if missing:
        raise UserError(f"benchmark {name!r} does not say its {', '.join(missing)}")
    if own.kind not in KINDS:
        raise UserError(
            f"benchmark {name!r} has the kind {own.kind!r}; give one of {', '.join(KINDS)}"
        )
    # Runs remember it by the name that finds it again.
    return type(own.__name__, (own,), {"name": name, "__doc__": own.__doc__})()
