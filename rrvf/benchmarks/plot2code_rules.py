"""What Plot2Code's table adds up to."""

from __future__ import annotations

from collections.abc import Sequence

from rrvf.benchmarks.means import mean, others
from rrvf.types import SampleResult

SECONDS = 30
"""Of CPU a script may take; officially, of wall time."""

RATING = 10
"""The judge's highest rating; the table gives it as it is, not in percent."""


def metrics(results: Sequence[SampleResult]) -> dict[str, float | None]:
    """The table: over all samples with failures as 0, and (``_pass``) over those that ran.

    ``exec_rate`` and ``text`` are 0 to 100, ``gpt`` is 1 to 10 where nothing failed.
    """
    passed = [result for result in results if result.status == "ok"]
    table = {
        "exec_rate": mean(results, "execution"),
        "text": mean(results, "text"),
        "gpt": _rating(results),
        "text_pass": mean(passed, "text"),
        "gpt_pass": _rating(passed),
    }
    return table | others(results, table)


def _rating(results: Sequence[SampleResult]) -> float | None:
    percent = mean(results, "gpt")
    return None if percent is None else percent * RATING / 100
