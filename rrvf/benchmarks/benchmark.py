"""What a benchmark is: one class that says where its samples are and how answers to them count.

Everything else is written once: how code is drawn and compared follows from the kind, tables and
reports from the columns. A benchmark of one's own is a class anywhere, named ``my.module:MyClass``.
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
    """What of a data set is wanted.

    Attributes:
        subset: A part of it by name.
        task: A kind of question.
        limit: Only the first so many samples need to be read; more may be.
        images: Pictures that stand within a table are needed, too.
    """

    subset: str | None = None
    task: str | None = None
    limit: int | None = None
    images: bool = False


class Benchmark:
    """A benchmark; subclasses say what is not as usual.

    Attributes:
        name: As in ``rrvf score NAME``.
        title: For a person.
        kind: How answers are drawn: ``chart``, ``figure`` or ``page``.
        columns: Of the table, in their order.
        scorers: Names or dotted paths, where the user names none.
        rubric: What a judge is asked, where the user names no other.
        mode: By whose rules it is scored, where the user says nothing.
        seconds: A rendering may take; ``None`` for the kind's own.
        images_only: Samples are pictures, of which no code is known.
        cleanups: Rules that find the code in a reply, of which one may be chosen.
        cleanup: The one that was.
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
        """The same, which finds the code in a reply by another rule.

        Raises:
            UserError: It knows no such rule.
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
        """The samples.

        Args:
            data: What the user named: a folder, a file, or a name.
            options: What of it is wanted.

        Raises:
            UserError: On anything that cannot be used; one line that names the mend.
        """
        raise NotImplementedError(f"{type(self).__name__} must say how it is loaded")

    def script(self, sample: Sample, completion: str | None) -> Script | None:
        """The code that an answer amounts to, ready to run; ``None`` where it holds none.

        Args:
            sample: Which the answer is to.
            completion: The reply, or :class:`rrvf.types.Code`; ``None`` where there is no answer.

        Raises:
            HarnessError: The sample does not allow to tell.
        """
        return None if completion is None else KINDS[self.kind].read_script(completion)

    def adjust_target(self, sample: Sample, view: Any, *rules: Any) -> Any:
        """What an answer is compared with, given the view of what the reference drew.

        Args:
            sample: The reference's.
            view: As scorers take it.
            rules: What scorers of the kind take besides: the mode of charts.
        """
        return view

    def find_assets(self, data: str | None) -> Mapping[str, bytes]:
        """Files of the data set that its pages may ask for, by name.

        Args:
            data: What the user named.
        """
        return {}

    def describe_data(self, data: str | None) -> Mapping[str, Any] | None:
        """Where the samples are from, for the protocol; ``None`` where that moves nothing."""
        return None


def compute_metrics(
    columns: Sequence[Column], results: Sequence[SampleResult]
) -> dict[str, float | None]:
    """The figures of a table; ``None`` where nothing was measured.

    Scores that no column shows follow in percent, of an embedded judge or of the user's own.
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
    """Mean over the scored items, all failures counting as 0; ``None`` without any."""
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
