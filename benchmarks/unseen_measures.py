"""Which values of held-out charts the answers of a run have, and what that shows.

Part of ``learn_unseen.py``, where the protocol stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.attribute_charts import ATTRIBUTES, UNSEEN, Chart, compare, parse
from benchmarks.learning import PROMPT, Lift, lift
from rrvf.types import Sample

Arm = Literal["grpo", "lr0", "shuffled", "seen"]
Part = Literal["seen", "unseen"]
Charts = Mapping[str, Chart]
Answer = dict[str, Any]

ARMS: tuple[Arm, ...] = ("grpo", "lr0", "shuffled", "seen")
REACHED = (0.005, 0.2)
"""How often an unseen value must be written before GRPO, at least and at most."""
MOST_LOST = 0.02
"""Accuracy on seen values that may be lost."""


@dataclass(frozen=True)
class Split:
    """Charts by id; none stands in two parts, but for those that two runs of GRPO share.

    Attributes:
        taught: SFT shows them; seen values only.
        train: GRPO shows them; some with seen values only, which are of ``train_seen``.
        train_seen: The control shows them; seen values only.
        seen, unseen: Held out; with seen values only, and with an unseen one at least.
    """

    taught: Charts
    train: Charts
    train_seen: Charts
    seen: Charts
    unseen: Charts

    def all(self) -> dict[str, Chart]:
        """Every part."""
        return {**self.taught, **self.train, **self.train_seen, **self.seen, **self.unseen}


def to_sample(name: str, chart: Chart) -> Sample:
    """A chart as training gets it; its code only draws the picture."""
    return Sample(name, chart.code(), prompt=PROMPT)


def grade(answer: Answer, chart: Chart) -> dict[str, float]:
    """Which attributes of its chart an answer has; none where it does not run."""
    shows = answer["shows"]
    return {str(n): v for n, v in compare(chart, None if shows is None else parse(shows)).items()}


def accuracy_by_chart(answers: Sequence[Answer], charts: Charts) -> dict[str, float]:
    """Chart -> share of its attributes that the answer has; where some are unseen, of those."""
    values: dict[str, float] = {}
    for answer in answers:
        chart = charts[answer["id"]]
        grades = grade(answer, chart)
        values[answer["id"]] = float(np.mean([grades[n] for n in chart.unseen() or ATTRIBUTES]))
    return values


def summarize(answers: Sequence[Answer], charts: Charts) -> dict[str, float]:
    """Means: runnable, paint, accuracy, of each attribute, and by each unseen value shown."""
    grades = defaultdict[str, list[float]](list)
    for answer in answers:
        chart = charts[answer["id"]]
        for name, value in grade(answer, chart).items():
            grades[name].append(value)
            if name in chart.unseen():
                grades[f"unseen {name}"].append(value)
                grades[str(getattr(chart, name))].append(value)
    return {
        "accuracy": float(np.mean([*accuracy_by_chart(answers, charts).values()])),
        "runnable": float(np.mean([answer["runnable"] for answer in answers])),
        "paint": float(np.mean([answer["paint"] for answer in answers])),
        **{name: float(np.mean(values)) for name, values in grades.items()},
    }


@dataclass(frozen=True, slots=True)
class Reach:
    """How often unseen values are written before GRPO.

    Attributes:
        shown: Value -> share of the samples for charts that show it.
        others: Value -> share of the samples for charts that do not.
        difference: For each chart how much more often its unseen values are written for it than
            for charts without them.
    """

    shown: Mapping[str, float]
    others: Mapping[str, float]
    difference: Lift

    @property
    def holds(self) -> bool:
        """Every value is reached, and none is told from the picture."""
        shares = (*self.shown.values(), *self.others.values())
        is_between = all(REACHED[0] <= share <= REACHED[1] for share in shares)
        return is_between and self.difference.low <= 0 <= self.difference.high


def read_samples(sampled: Sequence[Answer]) -> dict[str, list[Chart | None]]:
    """Chart -> what each of its sampled answers shows."""
    written = defaultdict[str, list[Chart | None]](list)
    for answer in sampled:
        written[answer["id"]].append(parse(answer["shows"]) if answer["shows"] else None)
    return dict(written)


def measure_reach(written: Mapping[str, Sequence[Chart | None]], charts: Charts) -> Reach:
    """How often unseen values are written.

    Args:
        written: Chart -> its samples at the temperature of training.
        charts: All of them, by the same names.
    """
    shown: dict[str, float] = {}
    others: dict[str, float] = {}
    differences = defaultdict[str, list[float]](list)
    for attribute, value in ((name, value) for name, values in UNSEEN.items() for value in values):
        shares = {
            name: float(np.mean([getattr(entry, attribute, None) == value for entry in entries]))
            for name, entries in written.items()
        }
        own = {n: v for n, v in shares.items() if getattr(charts[n], attribute) == value}
        shown[str(value)] = float(np.mean([*own.values()]))
        rest = [share for name, share in shares.items() if name not in own]
        others[str(value)] = float(np.mean(rest))
        for name, share in own.items():
            differences[name].append(share - others[str(value)])
    means = {name: float(np.mean(values)) for name, values in differences.items()}
    difference = lift(means, dict.fromkeys(means, 0.0))
    assert difference is not None
    return Reach(shown, others, difference)


def conclude(
    runs: Mapping[Arm, Mapping[str, Any]], reach: Mapping[str, Any], split: Split, step: int
) -> dict[str, Any]:
    """What one seed shows.

    Args:
        runs: Of all arms.
        reach: Of the start.
        split: The charts.
        step: At which it is judged; fixed beforehand.
    """

    def values(arm: Arm, at: int, part: Part) -> dict[str, float]:
        charts = split.seen if part == "seen" else split.unseen
        return accuracy_by_chart(runs[arm]["answers"][str(at)][part], charts)

    references = {"start": values("grpo", 0, "unseen")}
    references |= {arm: values(arm, step, "unseen") for arm in ARMS if arm != "grpo"}
    end = values("grpo", step, "unseen")
    gains = {name: lift(end, reference) for name, reference in references.items()}
    kept = lift(values("grpo", step, "seen"), values("grpo", 0, "seen"))
    assert kept is not None
    is_shown = all(gain is not None and gain.is_shown for gain in gains.values())
    return {
        "gains": {name: None if gain is None else asdict(gain) for name, gain in gains.items()},
        "seen": asdict(kept),
        "reach": reach,
        "shown": is_shown and kept.mean >= -MOST_LOST and reach["holds"],
    }
