"""The log of a training run -> series that the page can draw: of one length, finite, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rrvf.report.values import MAX_TEXT, Json, count_of, number

MAX_POINTS = 1_200
"""Points of a series; longer ones are averaged over stretches of steps."""
MAX_SERIES = 200

_HELD_OUT = "eval_"
_NO_MEASURES = frozenset({"step", "epoch"})

Rows = dict[int, dict[str, float | None]]
"""Step -> what was logged there; ``None`` for what is no finite number."""


def read_rows(history: Iterable[Mapping[str, Any]]) -> tuple[Rows, Rows]:
    """Rows of training, and of evaluation under the same names.

    Args:
        history: ``log_history`` of a trainer's state.
    """
    train: Rows = {}
    held_out: Rows = {}
    for row in history:
        step = number(row.get("step"))
        if step is None or "train_runtime" in row:  # the last row sums the run up
            continue
        for key, value in row.items():
            if key in _NO_MEASURES or isinstance(value, str | bool):
                continue
            of_train = not key.startswith(_HELD_OUT)
            name = (key if of_train else key.removeprefix(_HELD_OUT))[:MAX_TEXT]
            (train if of_train else held_out).setdefault(int(step), {})[name] = number(value)
    return train, held_out


def curves_payload(train: Rows, held_out: Rows, batch: int | None) -> Json:
    """What the page draws.

    Args:
        train: As logged.
        held_out: As logged.
        batch: Rollouts that a step's means are over, where they are known.
    """
    return {
        "train": _series(train),
        "held_out": _series(held_out),
        "batch": batch,
        "totals": _totals(train, batch) if batch else {},
    }


def tell_not_finite(rows: Rows) -> list[str]:
    """What to say of measures that were no finite numbers."""
    counts = Counter(name for row in rows.values() for name, value in row.items() if value is None)
    return [
        f"{name} was not a finite number at {count_of(count, 'step')}."
        for name, count in sorted(counts.items())[:10]
    ]


def _series(rows: Rows) -> Json:
    """Steps, and for each measure a value or ``None`` for every step."""
    steps = sorted(rows)
    names = dict.fromkeys(
        name for step in steps for name, value in rows[step].items() if value is not None
    )
    stretch = -(-len(steps) // MAX_POINTS) or 1
    parts = [steps[start : start + stretch] for start in range(0, len(steps), stretch)]
    return {
        "steps": [part[-1] for part in parts],
        "stretch": stretch,
        "values": {
            name: [_mean([rows[step].get(name) for step in part]) for part in parts]
            for name in list(names)[:MAX_SERIES]
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    # Six digits are more than a picture shows, and half of the page's size.
    return float(f"{sum(numbers) / len(numbers):.6g}") if numbers else None


def _totals(rows: Rows, batch: int) -> Json:
    """How many failures there were: a row is the mean of all rollouts since the row before."""
    totals: dict[str, float] = {}
    last_step = 0
    for step in sorted(rows):
        for name, value in rows[step].items():
            if name.endswith("_failures") and value is not None:
                totals[name] = totals.get(name, 0.0) + value * batch * (step - last_step)
        last_step = step
    return {name: round(total) for name, total in totals.items()}
