"""The interface of a benchmark: one class that loads samples and says how answers count.

Everything else is shared: the kind decides how code is drawn and compared, and the columns decide
what tables and reports show. A benchmark of your own is a class in any module, named
``my.module:MyClass``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from rrvf.errors import UserError
from rrvf.kinds import KINDS
from rrvf.kinds.kind import Script
from rrvf.types import Cleanup, Column, Mode, Sample, SampleResult


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The requested part of a data set.

    Attributes:
        subset: The name of a part.
        task: The kind of question.
        limit: Only this many samples need to be read from the start; more may be read.
        images: Pictures inside a table are needed too.
    """

    subset: str | None = None
    task: str | None = None
    limit: int | None = None
    images: bool = False


class Benchmark:
    """A benchmark; subclasses override what differs from the defaults.

    Attributes:
        name: The name in ``rrvf score NAME``.
        title: The name for a reader.
        kind: How answers are drawn: ``chart``, ``figure`` or ``page``.
        columns: The columns of the table, in order.
        scorers: Names or dotted paths of the default scorers.
        rubric: The judge's default rubric.
        mode: The default rules: ``official`` or ``fixed``.
        seconds: Limit of a rendering; ``None`` for the kind's own.
        images_only: Samples are pictures without known code.
        cleanups: The available rules that find the code in a reply.
        cleanup: The chosen rule.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    scorers: ClassVar[tuple[str, ...]]
    rubric: ClassVar[str] = "vision_reward"
    mode: ClassVar[Mode] = "official"
    seconds: ClassVar[int | None] = None
    images_only: ClassVar[bool] = False
    cleanups: ClassVar[tuple[Cleanup, ...]] = ("own",)
    cleanup: Cleanup = "own"

    def with_cleanup(self, name: Cleanup) -> Self:
        """The same benchmark with another rule that finds the code in a reply.

        Raises:
            UserError: The benchmark has no such rule.
        """
        if name not in self.cleanups:
            raise UserError(
                f"{self.name} has no {name} clean-up of replies; leave --cleanup out, or name one "
                f"of {', '.join(self.cleanups)}"
            )
        benchmark = copy.copy(self)
        benchmark.cleanup = name
        return benchmark

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """Load the samples.

        Args:
            data: The data that the user named: a folder, a file, or a name.
            options: The requested part.

        Raises:
            UserError: The data cannot be used; the message is one line that says how to fix it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define load()")

    def script(self, sample: Sample, completion: str | None) -> Script | None:
        """The code in an answer, ready to run; ``None`` if it has none.

        Args:
            sample: The sample of the answer.
            completion: The reply, or :class:`rrvf.types.Code`; ``None`` without an answer.

        Raises:
            HarnessError: The sample lacks what is needed to read the answer.
        """
        return None if completion is None else KINDS[self.kind].read_script(completion)

    def adjust_target(self, sample: Sample, view: Any, *rules: Any) -> Any:
        """Change what an answer is compared with.

        Args:
            sample: The sample.
            view: The reference's drawing as scorers receive it.
            rules: Further arguments of the kind's scorers: the mode of charts.
        """
        return view

    def find_assets(self, data: str | None) -> Mapping[str, bytes]:
        """Files of the data set that its pages may request, by name.

        Args:
            data: The data that the user named.
        """
        return {}

    def describe_data(self, data: str | None) -> Mapping[str, Any] | None:
        """The origin of the samples, for the protocol; ``None`` if it cannot change scores."""
        return None


def compute_metrics(
    columns: Sequence[Column], results: Sequence[SampleResult]
) -> dict[str, float | None]:
    """The values of a table; ``None`` if nothing was measured.

    Scores without a column follow in percent: those of an embedded judge or of the user's scorers.
    """
    table: dict[str, float | None] = {}
    for column in columns:
        if column.mean_of:
            table[column.key] = _average([table[key] for key in column.mean_of])
        else:
            counted_results = [
                result for result in results if column.over == "all" or result.status == "ok"
            ]
            table[column.key] = mean_score(counted_results, column.scorer, column.scale)
    shown_scorers = {column.scorer for column in columns} | {"execution"}
    names = dict.fromkeys(name for result in results for name in result.scores)
    return table | {name: mean_score(results, name) for name in names if name not in shown_scorers}


def mean_score(results: Sequence[SampleResult], scorer: str, scale: float = 100.0) -> float | None:
    """Mean over the scored items; failures count as 0; ``None`` without scored items."""
    values = [result.scores[scorer].value for result in results if scorer in result.scores]
    scored = [value for value in values if value is not None]
    percent = 100.0 * sum(scored) / len(scored) if scored else None
    return percent if percent is None or scale == 100.0 else percent * scale / 100


def count_unscored(results: Sequence[SampleResult]) -> dict[str, int]:
    """Scorer -> number of items without a value."""
    counts: dict[str, int] = {}
    for result in results:
        for name, score in result.scores.items():
            counts[name] = counts.get(name, 0) + (score.value is None)
    return counts


def _average(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None
