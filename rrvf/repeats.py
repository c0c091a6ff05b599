"""Several episodes of a sample: their mean, the best of them, and the chance of success.

An episode among several has the id ``SAMPLE#K`` and the tags ``sample`` and ``repeat``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrvf.benchmarks.benchmark import compute_metrics
from rrvf.bootstrap import intervals, read_results
from rrvf.scoring import Item
from rrvf.types import Column, Sample, SampleResult, Score

SAMPLE, REPEAT = "sample", "repeat"
"""Tags of an episode that is one of several: whose, and which, from 1."""


def repeat_items(items: Sequence[Item], repeats: int) -> list[Item]:
    """Every sample so many times; once is as it stands."""
    if repeats == 1:
        return list(items)
    return [
        (_repeat_sample(sample, number), completion)
        for sample, completion in items
        for number in range(1, repeats + 1)
    ]


def _repeat_sample(sample: Sample, number: int) -> Sample:
    tags = {**sample.tags, SAMPLE: sample.id, REPEAT: str(number)}
    return replace(sample, id=f"{sample.id}#{number}", tags=tags)


def repeat_of(sample: Sample) -> int:
    """Which of several episodes of its sample it is about, from 0."""
    return int(sample.tags.get(REPEAT, "1")) - 1


def repeat_number(result: SampleResult) -> int:
    """The same of a result, from 1."""
    return int(result.tags.get(REPEAT, "1"))


def summarize_repeats(results: Sequence[SampleResult], columns: Sequence[Column]) -> dict[str, Any]:
    """The ``repeats`` of a ``summary.json``; empty where every sample was played once.

    Args:
        results: Of all episodes.
        columns: Of the benchmark's table.

    Returns:
        ``n`` episodes a sample at most; ``intervals``: metric -> bounds of its mean, over samples;
        ``best_of``: metric -> figure of the best of each sample's episodes, score by score;
        ``pass_at``: k -> percentage of samples of which one of k episodes is expected to run.
    """
    groups: dict[str, list[SampleResult]] = {}
    for result in results:
        if SAMPLE in result.tags:
            groups.setdefault(result.tags[SAMPLE], []).append(result)
    if not groups:
        return {}
    n_episodes = max(map(len, groups.values()))
    best = [_best_of(name, group) for name, group in groups.items()]
    bounds = intervals(columns, read_results(results))
    return {
        "n": n_episodes,
        "n_samples": len(groups),
        "intervals": {name: [interval.low, interval.high] for name, interval in bounds.items()},
        "best_of": compute_metrics(columns, best),
        "pass_at": {str(k): _pass_at(k, list(groups.values())) for k in _sizes(n_episodes)},
    }


def _best_of(name: str, group: Sequence[SampleResult]) -> SampleResult:
    """The best value of each score, whichever episode has it."""
    scores: dict[str, Score] = {}
    for scorer in dict.fromkeys(scorer for result in group for scorer in result.scores):
        values = [result.scores[scorer].value for result in group if scorer in result.scores]
        numbers = [value for value in values if value is not None]
        scores[scorer] = Score(max(numbers) if numbers else None)
    example = next((result for result in group if result.status == "ok"), group[0])
    return SampleResult(name, example.status, None, 0.0, scores)


def _sizes(n_episodes: int) -> list[int]:
    """1, 2, 4 and so on, and all of them."""
    powers = [2**power for power in range(n_episodes.bit_length())]
    return sorted({n_episodes, *(power for power in powers if power <= n_episodes)})


def _pass_at(k: int, groups: Sequence[Sequence[SampleResult]]) -> float | None:
    """Mean over samples of the unbiased estimate ``1 - C(n - c, k) / C(n, k)``, in percent.

    Of n episodes c ran (arXiv 2107.03374). Episodes that could not be scored do not count; samples
    with fewer than k others are left out.
    """
    chances: list[float] = []
    for group in groups:
        results = [result for result in group if result.status != "harness_error"]
        n, c = len(results), sum(result.status == "ok" for result in results)
        if n >= k:
            chances.append(1.0 - math.comb(n - c, k) / math.comb(n, k))
    return 100.0 * sum(chances) / len(chances) if chances else None


def describe_repeats(repeats: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    """What several episodes of each sample came to, a line each.

    Args:
        repeats: As :func:`summarize_repeats` returns it.
        titles: Metric -> its name for a person.
    """
    if not repeats:
        return
    n = repeats["n"]
    n_samples = repeats["n_samples"]
    samples = "1 sample" if n_samples == 1 else f"{n_samples} samples"
    yield f"{samples}, {n} episodes each; figures are means over all episodes"
    bounds = [
        f"{titles.get(name, name)} {low:.2f} to {high:.2f}"
        for name, (low, high) in repeats["intervals"].items()
    ]
    if bounds:
        yield f"95 % intervals over samples: {', '.join(bounds)}"
    best = [
        f"{titles.get(name, name)} {value:.2f}"
        for name, value in repeats["best_of"].items()
        if value is not None
    ]
    yield f"Best of {n}, score by score: {', '.join(best)}"
    chances = [f"{k}: {value:.2f}" for k, value in repeats["pass_at"].items() if value is not None]
    yield f"Chance in percent that at least one of k episodes runs: {', '.join(chances)}"
