"""A user's own benchmarks: their class and samples are checked before anything is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.dotted import find_object
from rrvf.errors import DataError, RrvfError, UserError
from rrvf.kinds import KINDS
from rrvf.scorers.clip import VIEWS
from rrvf.scorers.rubrics import RUBRICS
from rrvf.types import Column, Sample

JUDGES = ("gpt", "likeness")
"""Scores that a judge may give."""


def open_own_benchmark(name: str) -> Benchmark:
    """The benchmark that ``my.module:MyBenchmark`` names.

    Raises:
        UserError: There is none, or what it says cannot be; one line.
    """
    own_class = find_object(name, "benchmark")
    if not isinstance(own_class, type) or not issubclass(own_class, Benchmark):
        raise UserError(
            f"benchmark {name!r} is not a subclass of rrvf.benchmarks.benchmark.Benchmark"
        )
    for problem in _find_problems(own_class):
        raise UserError(f"benchmark {name!r} {problem}")
    attributes = {
        "name": name,
        "title": getattr(own_class, "title", own_class.__name__),
        "__doc__": own_class.__doc__,
    }
    try:
        # Runs remember it by the name that finds it again.
        return type(own_class.__name__, (own_class,), attributes)()
    except Exception as error:  # whatever a stranger's class raises
        raise UserError(f"benchmark {name!r} cannot be made: {_describe_error(error)}") from error


def _find_problems(own_class: type[Benchmark]) -> Iterator[str]:
    parts = ("kind", "columns", "scorers")
    if missing_parts := [part for part in parts if not hasattr(own_class, part)]:
        yield f"does not say its {', '.join(missing_parts)}"
        return
    if own_class.kind not in KINDS:
        yield f"has the kind {own_class.kind!r}; give one of {', '.join(KINDS)}"
        return
    scorers: Any = own_class.scorers
    if isinstance(scorers, str) or not scorers:
        yield "needs scorers: a tuple of names, as in ('execution', 'text')"
    if own_class.rubric not in RUBRICS:
        yield f"has the rubric {own_class.rubric!r}; give one of {', '.join(RUBRICS)}"
    yield from _find_problems_of_columns(own_class)


def _find_problems_of_columns(own_class: type[Benchmark]) -> Iterator[str]:
    columns: Any = own_class.columns
    if isinstance(columns, str) or not all(isinstance(column, Column) for column in columns):
        yield "needs columns: a tuple of rrvf.types.Column"
        return
    keys: set[str] = set()
    scorers = {*own_class.scorers, *KINDS[own_class.kind].SCORERS, *VIEWS, *JUDGES}
    for column in cast("Sequence[Column]", columns):
        if column.key in keys:
            yield f"has two columns {column.key!r}"
        if column.over not in ("all", "ran"):
            yield f"has the column {column.key!r} over {column.over!r}; give all or ran"
        if later := [key for key in column.mean_of if key not in keys]:
            yield f"has the column {column.key!r} as a mean of {later[0]!r}, no column before it"
        if not column.mean_of and column.scorer not in scorers and ":" not in column.scorer:
            yield f"has the column {column.key!r} of {column.scorer!r}, which is no scorer"
        keys.add(column.key)


def load_samples(benchmark: Benchmark, data: str, options: LoadOptions) -> list[Sample]:
    """The samples of a benchmark, whatever it is.

    Raises:
        UserError: They cannot be loaded, or are no samples, or two have one id.
    """
    try:
        samples: list[Any] = list(benchmark.load(data, options))
    except (RrvfError, OSError):
        raise
    except Exception as error:  # whatever a stranger's loader raises
        raise UserError(f"{benchmark.name} cannot load {data}: {_describe_error(error)}") from error
    if stranger := next((sample for sample in samples if not isinstance(sample, Sample)), None):
        raise UserError(
            f"{benchmark.name} must load rrvf.types.Sample, not {type(stranger).__name__}"
        )
    if not samples:
        raise DataError(f"{data}: no samples in it for {benchmark.name}; check --data")
    counts = Counter(sample.id for sample in samples)
    repeated_ids = [name for name, number in counts.items() if number > 1]
    if repeated_ids:
        raise DataError(f"{data}: more than one sample named {repeated_ids[0]!r}; ids must differ")
    return samples


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
