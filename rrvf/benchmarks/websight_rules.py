"""What WebSight's table adds up to."""

from __future__ import annotations

from collections.abc import Sequence

from rrvf.benchmarks.means import mean, others
from rrvf.types import SampleResult


def metrics(results: Sequence[SampleResult]) -> dict[str, float | None]:
    """The columns of the table, 0 to 100: means over the scored items, all failures counting as 0.

    Scores beyond the paper's columns follow them.
    """
    table = {
        "render_rate": mean(results, "execution"),
        "clip": mean(results, "clip"),
        "gpt": mean(results, "gpt"),
    }
    return table | others(results, table)
