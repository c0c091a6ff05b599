"""What WebSight's table adds up to."""

from __future__ import annotations

from collections.abc import Sequence

from rrvf.benchmarks.means import mean
from rrvf.types import SampleResult


def metrics(results: Sequence[SampleResult], scorers: Sequence[str]) -> dict[str, float | None]:
    """The columns of the table, 0 to 100: means over the scored items, all failures counting as 0.

    Args:
        results: Any number of samples.
        scorers: Those asked for; what is not among the paper's columns follows them.
    """
    table = {"render_rate": mean(results, "execution")}
    names = ("clip", "gpt", *(name for name in scorers if name != "execution"))
    return table | {name: mean(results, name) for name in dict.fromkeys(names)}
