"""Why items were left unscored: the commonest reason of each score, for the console."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rrvf.report.columns import LABELS
from rrvf.report.values import clip
from rrvf.scorers.scorer import BROKEN
from rrvf.types import SampleResult

_SHORTEST_ID = 3
"""Characters of an id that is looked for in a reason; a shorter one may be part of a word."""


def explain_unscored(results: Sequence[SampleResult]) -> Iterator[str]:
    """One line for each reason that most unscored items of a score share.

    Broken references are left out: :func:`rrvf.scoring.tell_broken` counts them.

    Args:
        results: Of a run.

    Yields:
        As in ``CLIP 12, mostly: <reason>``; scores of one reason stand in one line.
    """
    lines: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(name for result in results for name in result.scores):
        reasons = [reason for result in results if (reason := _reason(result, name))]
        if reasons:
            key, count, example = _pick_commonest(reasons)
            how_many = f"{len(reasons)}" + (", mostly" if count < len(reasons) else "")
            lines.setdefault((how_many, key), [example]).append(LABELS.get(name, name))
    for (how_many, _), (example, *names) in lines.items():
        yield f"{', '.join(names)} {how_many}: {example}"


def is_unscored(results: Sequence[SampleResult]) -> bool:
    """Whether there are items, and not one of them has a score of any kind."""
    values = [score.value for result in results for score in result.scores.values()]
    return bool(values) and all(value is None for value in values)


def _reason(result: SampleResult, name: str) -> tuple[str, str] | None:
    """The reason as it is counted, and as it is shown; ``None`` where there is none to explain."""
    score = result.scores.get(name)
    if score is None or score.value is not None:
        return None
    reason = score.details.get("reason")
    text = " ".join(reason.split()) if isinstance(reason, str) else "no reason is known"
    if text.startswith(BROKEN):
        return None
    key = text
    if len(result.sample_id) >= _SHORTEST_ID:
        key = key.replace(result.sample_id, "<id>")
    return re.sub(r"\d+", "#", key), clip("".join(c for c in text if c.isprintable()))


def _pick_commonest(reasons: Sequence[tuple[str, str]]) -> tuple[str, int, str]:
    top_key, count = Counter(key for key, _ in reasons).most_common(1)[0]
    return top_key, count, next(text for key, text in reasons if key == top_key)
