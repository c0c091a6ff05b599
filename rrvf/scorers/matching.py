"""Precision, recall and F1 from a number of matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from rrvf.types import Mode, Score

Item = TypeVar("Item", bound=Hashable)


def f1_score(
    n_matched: float, n_generated: int, n_reference: int, details: Mapping[str, Any] | None = None
) -> Score:
    """F1 of so many matches between generated and reference items; 0 where undefined."""
    precision = n_matched / n_generated if n_generated else 0.0
    recall = n_matched / n_reference if n_reference else 0.0
    total = precision + recall
    f1 = 2 * precision * recall / total if total else 0.0
    figures = {"precision": precision, "recall": recall, "f1": f1}
    return Score(f1, {**figures, **(details or {})})


def both_empty(mode: Mode, n_generated: int, n_reference: int) -> bool:
    """Two empty sides are equal in ``fixed`` mode; officially they are worth nothing."""
    return mode == "fixed" and n_generated == n_reference == 0


PERFECT = {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def match_multisets(
    reference: Sequence[Item], generated: Sequence[Item]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items on both sides, only in the reference, and only generated; order of the reference."""
    rest = Counter(generated)
    matched_items: list[Item] = []
    missing_items: list[Item] = []
    for item in reference:
        if rest[item] > 0:
            rest[item] -= 1
            matched_items.append(item)
        else:
            missing_items.append(item)
    return matched_items, missing_items, list(rest.elements())
