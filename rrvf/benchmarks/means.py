"""From the scores of samples to the figures of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rrvf.types import SampleResult


def mean(results: Sequence[SampleResult], scorer: str) -> float | None:
    """Mean over the scored items in percent, all failures counting as 0; ``None`` without any."""
    values = [result.scores[scorer].value for result in results if scorer in result.scores]
    scored = [value for value in values if value is not None]
    return 100.0 * sum(scored) / len(scored) if scored else None


def n_unscored(results: Sequence[SampleResult]) -> dict[str, int]:
    """Scorer -> number of items without a value."""
    counts: dict[str, int] = {}
    for result in results:
        for name, score in result.scores.items():
            counts[name] = counts.get(name, 0) + (score.value is None)
    return counts


def others(results: Sequence[SampleResult], table: Mapping[str, object]) -> dict[str, float | None]:
    """Means of the scores that have no column in a table yet, but for ``execution``."""
    names = dict.fromkeys(name for result in results for name in result.scores)
    missing = [name for name in names if name not in table and name != "execution"]
    return {name: mean(results, name) for name in missing}
