"""How the answers of one benchmark are scored: what is drawn, compared, recorded and counted.

One class a kind of answer; evaluation and training use the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import rrvf
from rrvf.errors import HarnessError
from rrvf.types import Sample, SampleResult, Score

Item = tuple[Sample, str | None]
"""A sample and the model's answer to it, ``None`` where it gave none."""

NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored answer with its pictures: ``reference`` and ``rendering`` -> PNG."""

    result: SampleResult
    pictures: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


class Scoring(Protocol):
    """How answers are scored; see :class:`rrvf.scoring.charts.ChartScoring` for one."""

    @property
    def benchmark(self) -> str:
        """Name of the benchmark, as in ``summary.json``."""
        ...

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names or dotted paths."""
        ...

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        ...

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""
        ...

    def find_scorers(self) -> Mapping[str, Any]:
        """The functions behind the names.

        Raises:
            UserError: A name is unknown.
        """
        ...

    def score(self, item: Item, scorers: Mapping[str, Any]) -> Outcome:
        """Draw one answer and its reference, and compare them.

        Raises:
            HarnessError: It could not be done, through no fault of the model.
        """
        ...

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the table."""
        ...

    def lacks(self) -> Sequence[str]:
        """What this machine lacks that would move scores, a line each that names the mend."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


def with_hash(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and a hash over them."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
    return {**settings, "hash": digest}


def version(name: str) -> str:
    """The version of an installed package, this one included."""
    return rrvf.__version__ if name == "rrvf" else metadata.version(name)


def without_code(item: Item, scorers: Mapping[str, Any], error: str) -> SampleResult:
    """The model gave no code: zero everywhere."""
    sample, completion = item
    return SampleResult(
        sample.id,
        "no_code",
        error,
        0.0,
        {name: Score.failed() for name in scorers},
        completion=completion,
        tags=sample.tags,
    )


def unscored(item: Item, scorers: Mapping[str, Any], error: HarnessError) -> SampleResult:
    """We failed: no number anywhere."""
    sample, completion = item
    return SampleResult(
        sample.id,
        "harness_error",
        str(error),
        0.0,
        {name: Score.unscored(str(error)) for name in scorers},
        completion=completion,
        tags=sample.tags,
    )
