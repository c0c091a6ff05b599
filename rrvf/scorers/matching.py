"""Precision, recall and F1 of a number of matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from rrvf.types import Mode, Score

Item = TypeVar("Item", bound=Hashable)


def f1_score(
    matched: float, n_generated: int, n_reference: int, details: Mapping[str, Any] | None = None
) -> Score:
    """F1 of ``matched`` pairs between so many generated and reference items; 0 where undefined."""
    precision = matched / n_generated if n_generated else 0.0
    recall = matched / n_reference if n_reference else 0.0
    total = precision + recall
    f1 = 2 * precision * recall / total if total else 0.0
    found = {"precision": precision, "recall": recall, "f1": f1}
    return Score(f1, {**found, **(details or {})})


def both_empty(mode: Mode, n_generated: int, n_reference: int) -> bool:
    """Two empty sides are equal in ``fixed`` mode; officially they are worth nothing."""
    return mode == "fixed" and n_generated == n_reference == 0


PERFECT = {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def multiset_match(
    reference: Sequence[Item], generated: Sequence[Item]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items on both sides, only in the reference, and only generated; order of the reference."""
    left = Counter(generated)
    matched: list[Item] = []
    missing: list[Item] = []
    for item in reference:
        if left[item] > 0:
            left[item] -= 1
            matched.append(item)
        else:
            missing.append(item)
    return matched, missing, list(left.elements())
