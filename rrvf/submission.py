"""A run that someone hands in: scored again before it enters the results folder.

Its code runs once more, under the settings that its record names, and every status, score and
figure is compared as it stands. Where this machine draws with what that run drew with, anything
that differs is refused: either the record was changed, or the answers were. Where it draws with
something else, what differs is listed, and the row carries both figures. A score that differs
between two executions here is chance (a script that seeds no generator), and no reason to refuse.

A judge is not asked again, since another answer of the same judge may be another one: its scores
enter as they are, marked as not checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rrvf.bootstrap import figures
from rrvf.errors import DataError
from rrvf.options import JudgeOptions, RunOptions
from rrvf.report.values import count_of, mapping
from rrvf.rescore import Rescoring
from rrvf.rescore import read_run as read_record
from rrvf.run_folder import read_summary
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.tables.measured import Measured, read_runs
from rrvf.tables.records import add_run

AGAIN = "again"
"""Below the new run: what differed, executed once more."""

_PARTS = ("value", "precision", "recall", "f1")
_ELSEWHERE = frozenset({"confinement", "runs_as"})
"""Parts of an environment that no score depends on."""

_ROUNDING = 1e-9
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that came out otherwise here.

    Attributes:
        place: A sample, or the file.
        what: ``status``, ``code``, a scorer with its part, or a figure.
        there, here: In the run that was handed in, and when it was scored again.
    """

    place: str
    what: str
    there: object
    here: object

    def __str__(self) -> str:
        return f"{self.place}: {self.what} is {self.there} there, {self.here} here"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run compares to itself, scored again.

    Attributes:
        n_samples: Compared.
        environment: In what this machine's environment is another, a line each.
        differences: Without those that are chance.
        chance: Samples whose scores differ from one execution to the next.
        unchecked: Scorers that were not asked again.
        metrics: The figures here.
    """

    n_samples: int
    environment: tuple[str, ...]
    differences: tuple[Difference, ...]
    chance: tuple[str, ...]
    unchecked: tuple[str, ...]
    metrics: Mapping[str, float | None]

    def require_acceptable(self, run: Path) -> None:
        """Refuse what differs under one and the same environment.

        Raises:
            DataError: Something does; the first difference is named.
        """
        if self.differences and not self.environment:
            rest = len(self.differences) - 1
            more = f" ({rest} more)" if rest else ""
            raise DataError(
                f"{run}: refused, it is not what its answers score under its own environment: "
                f"{self.differences[0]}{more}; score the answers anew and hand that run in"
            )

    def describe(self) -> Iterator[str]:
        """For a person, a line each."""
        ids = list(dict.fromkeys(difference.place for difference in self.differences))
        n_samples = count_of(self.n_samples, "sample")
        if not self.differences:
            yield f"{n_samples} scored again: every status and score is equal"
        else:
            yield (
                f"{n_samples} scored again under another environment: {len(ids)} differ "
                f"({_join(ids)})"
            )
        if self.environment:
            yield f"environment: {'; '.join(self.environment)}"
        if self.chance:
            yield f"different from one execution to the next: {_join(self.chance)}"
        if self.unchecked:
            yield f"not asked again: {', '.join(self.unchecked)}"

    def to_json(self) -> dict[str, Any]:
        """For the record of the kept run."""
        return {
            "told": list(self.describe()),
            "differences": [str(difference) for difference in self.differences],
            "metrics": dict(self.metrics) if self.differences else {},
        }


def read_submission(run: Path) -> tuple[Rescoring, RunOptions]:
    """A finished run, and how it is scored again: as it was, without a judge that is asked.

    Raises:
        DataError: It is none, it is unfinished, or its figures do not follow from its results.
    """
    record = read_record(run)
    if not record.finished:
        raise DataError(f"{run}: unfinished; run the same command again, then hand it in")
    check_figures(run)
    judge = mapping(mapping(read_summary(run).get("protocol")).get("judge"))
    is_embedded = judge.get("name") == LIKENESS
    judge_options = JudgeOptions(model=LIKENESS) if is_embedded else JudgeOptions()
    return record, replace(record.options, judge=judge_options)


def check_figures(run: Path) -> None:
    """Refuse a table that does not follow from the lines of its run.

    Raises:
        DataError: A figure is another than the mean of its scores.
    """
    [measured] = read_runs([run])
    own_figures = figures(measured.columns, measured.samples)
    for key, value in own_figures.items():
        told = measured.metrics.get(key)
        if value is None or told is None:
            is_equal = value is told
        else:
            is_equal = math.isclose(value, told, rel_tol=_ROUNDING)
        if not is_equal:
            raise DataError(
                f"{run}: refused, {Difference('summary.json', key, told, value)}, by the scores in "
                "results.jsonl; score the answers anew and hand that run in"
            )


def compare(run: Path, rescored: Path, again: Path | None = None) -> Verdict:
    """Compare a run with itself, scored again.

    Args:
        run: Handed in.
        rescored: Scored again here.
        again: What differed, scored once more.

    Raises:
        DataError: A folder holds no run.
    """
    first, second = read_runs([run, rescored])
    differences = list(_compare_runs(first, second))
    chance: list[str] = []
    if again is not None:
        [third] = read_runs([again])
        here, once_more = _by_id(second), _by_id(third)
        chance = [
            name
            for name, line in once_more.items()
            if name in here and list(_compare_lines(here[name], line))
        ]
    scorers = [_scorers(measured) for measured in (first, second)]
    return Verdict(
        n_samples=len(first.run.lines),
        environment=tuple(_compare_environments(first, second)),
        differences=tuple(d for d in differences if d.place not in chance),
        chance=tuple(chance),
        unchecked=tuple(name for name in scorers[0] if name not in scorers[1]),
        metrics=second.metrics,
    )


def enter(run: Path, results: Path, verdict: Verdict, policy: str, name: str, origin: str) -> Path:
    """Keep the scores of a run that was scored again.

    Returns:
        Where it lies now.

    Raises:
        DataError: It is not what its answers score here, under its own environment.
    """
    verdict.require_acceptable(run)
    return add_run(run, results, policy, name, origin, {"rescored": verdict.to_json()})


# ----------------------------------------------------------------------------------- comparing


def _compare_runs(first: Measured, second: Measured) -> Iterator[Difference]:
    there, here = _by_id(first), _by_id(second)
    for name, line in there.items():
        if name not in here:
            yield Difference(name, "its result", "present", "missing")
        else:
            yield from _compare_lines(line, here[name])


def _by_id(measured: Measured) -> dict[str, Mapping[str, Any]]:
    return {line["sample_id"]: line for line in measured.run.lines}


def _compare_lines(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Difference]:
    """Statuses, code and every score that both have, of the answer and of each turn."""
    name = str(there["sample_id"])
    if there.get("status") != here.get("status"):
        yield Difference(name, "status", there.get("status"), here.get("status"))
    if "code" in there and there["code"] != here.get("code"):
        yield Difference(name, "code", "another than in its answer", "as in its answer")
    yield from _compare_scores(name, "", there.get("scores"), here.get("scores"))
    turns = [_turns(line) for line in (there, here)]
    if len(turns[0]) != len(turns[1]):
        yield Difference(name, "number of scored turns", len(turns[0]), len(turns[1]))
    for there_turn, here_turn in zip(*turns, strict=False):
        label = f"turn {there_turn.get('turn')}, "
        if there_turn.get("status") != here_turn.get("status"):
            statuses = there_turn.get("status"), here_turn.get("status")
            yield Difference(name, f"{label}status", *statuses)
        yield from _compare_scores(name, label, there_turn.get("scores"), here_turn.get("scores"))


def _turns(line: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    turns: Any = mapping(line.get("episode")).get("by_turn")
    return [mapping(turn) for turn in turns] if isinstance(turns, list) else []  # pyright: ignore[reportUnknownVariableType]


def _compare_scores(name: str, label: str, there: object, here: object) -> Iterator[Difference]:
    there_scores, here_scores = mapping(there), mapping(here)
    for scorer in there_scores:
        if scorer in here_scores:
            parts = _parts(there_scores[scorer]), _parts(here_scores[scorer])
            for part in parts[0]:
                if parts[0][part] != parts[1].get(part):
                    what = f"{label}{scorer}" + ("" if part == "value" else f", {part}")
                    yield Difference(name, what, parts[0][part], parts[1].get(part))


def _parts(score: object) -> dict[str, object]:
    if not isinstance(score, dict):
        return {"value": score}  # of a turn
    parts = mapping(score)  # pyright: ignore[reportUnknownArgumentType]
    return {part: parts[part] for part in _PARTS if part in parts}


def _scorers(measured: Measured) -> list[str]:
    return list(dict.fromkeys(n for line in measured.run.lines for n in mapping(line["scores"])))


def _compare_environments(first: Measured, second: Measured) -> Iterator[str]:
    environments = [mapping(mapping(m.run.summary).get("environment")) for m in (first, second)]
    there, here = (dict(_flatten("", environment)) for environment in environments)
    for name in dict.fromkeys([*there, *here]):
        if name.split(".")[0] not in _ELSEWHERE and there.get(name) != here.get(name):
            yield f"{name} {there.get(name, 'not told')} there, {here.get(name, 'not told')} here"


def _flatten(head: str, part: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in part.items():
        if isinstance(value, dict):
            yield from _flatten(f"{head}{name}.", mapping(value))  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{head}{name}", value


def _join(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")
