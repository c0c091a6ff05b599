"""A run that is submitted: it is scored again before it enters the results folder.

Its code runs once more under the recorded settings, and every status, score and figure is compared.
If this machine draws with the same versions, any difference is refused: either the record or the
answers were changed. If it draws with other versions, differences are listed, and the row carries
both figures. A score that differs between two executions here is random (a script that seeds no
generator) and no reason to refuse.

A judge is not asked again, because the same judge may answer differently. Its scores enter
unchanged and are marked as not checked.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rrvf.bootstrap import figures
from rrvf.errors import DataError
from rrvf.options import JudgeOptions, RunOptions
from rrvf.report.values import Json, count_of, mapping
from rrvf.rescore import Rescoring
from rrvf.rescore import read_run as read_record
from rrvf.run_folder import RESULTS, SETTINGS, read_summary
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.tables.measured import Measured, read_runs
from rrvf.tables.records import add_run

AGAIN = "again"
"""Below the new run: what differed, executed once more."""

_PARTS = ("value", "precision", "recall", "f1")
_ELSEWHERE = frozenset({"confinement", "runs_as"})
"""Parts of an environment that no score depends on."""

_ENVIRONMENT = "environment."
_MISSING = "missing"
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
        chance: What differs from one execution to the next here, too.
        unchecked: Scorers that were not asked again.
        metrics: The figures here.
    """

    n_samples: int
    environment: tuple[str, ...]
    differences: tuple[Difference, ...]
    chance: tuple[Difference, ...]
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
        ids = _places(self.differences)
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
            yield f"different from one execution to the next: {_join(_places(self.chance))}"
        if self.unchecked:
            yield f"not asked again: {', '.join(self.unchecked)}"

    def to_json(self) -> dict[str, Any]:
        """For the record of the kept run."""
        return {
            "told": list(self.describe()),
            "differences": [str(difference) for difference in self.differences],
            "chance": [str(difference) for difference in self.chance],
            "metrics": dict(self.metrics) if self.differences or self.chance else {},
        }


def read_submission(run: Path) -> tuple[Rescoring, RunOptions]:
    """A finished run, and how it is scored again: as it was, without a judge that is asked.

    What its record names is a stranger's: no interpreter, browser, file of weights and no code of
    its own is taken from there.

    Raises:
        DataError: It is none, it is unfinished or damaged, names code of its own, or its figures do
            not follow from its results.
    """
    record = read_record(run)
    for name in (record.benchmark, *(record.options.scorers or ())):
        if ":" in name:
            raise DataError(
                f"{run}: its record names code of its own, {name}; runs by the project's own "
                "benchmarks and scorers can be handed in"
            )
    if not record.finished:
        raise DataError(
            f"{run}: unfinished or damaged; run the same command again, then hand it in"
        )
    _check_whole(run, record)
    check_figures(run)
    judge = mapping(mapping(read_summary(run).get("protocol")).get("judge"))
    is_embedded = judge.get("name") == LIKENESS
    return record, replace(
        record.options,
        judge=JudgeOptions(model=LIKENESS) if is_embedded else JudgeOptions(),
        data=None,
        chart_python=None,
        browser=None,
        clip_weights=None,
    )


def _check_whole(run: Path, record: Rescoring) -> None:
    """Refuse a folder whose files do not belong together.

    Raises:
        DataError: Lines are torn or doubled, or record and summary are of different runs.
    """
    [measured] = read_runs([run])
    if measured.run.notes:
        raise DataError(f"{run}: {measured.run.notes[0].rstrip('.')}; restore it, then hand it in")
    summary = mapping(measured.run.summary)
    settings = mapping(json.loads((run / SETTINGS).read_bytes()))
    told = {n: v for n, v in settings.items() if n.startswith(_ENVIRONMENT)}
    environment = mapping(summary.get("environment"))
    if not environment:
        raise DataError(f"{run}: its summary does not say under which environment it was made")
    changed = [n for n, v in told.items() if environment.get(n.removeprefix(_ENVIRONMENT)) != v]
    if summary.get("benchmark") != record.benchmark or changed:
        what = changed[0] if changed else "benchmark"
        raise DataError(
            f"{run}: refused, {what} is another in {SETTINGS} than in summary.json; score the "
            "answers anew and hand that run in"
        )


def check_figures(run: Path) -> None:
    """Refuse a table that does not follow from the lines of its run.

    Raises:
        DataError: A figure differs from the mean of its scores.
    """
    [measured] = read_runs([run])
    summary = mapping(measured.run.summary)
    counts = dict(Counter(line.get("status") for line in measured.run.lines))
    if summary.get("statuses") != counts:
        told = Difference("summary.json", "statuses", summary.get("statuses"), counts)
        raise DataError(f"{run}: refused, {told}, by {RESULTS}; score the answers anew")
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
    unchecked = _find_unchecked(first, second)
    differences = list(_compare_runs(first, second, unchecked))
    varying: set[tuple[str, str]] = set()
    if again is not None:
        [third] = read_runs([again])
        here, once_more = _by_id(second), _by_id(third)
        varying = {
            (name, difference.what)
            for name, line in once_more.items()
            for difference in _compare_lines(here[name], line, unchecked)
        }
    chance = [d for d in differences if (d.place, d.what) in varying]
    return Verdict(
        n_samples=len(first.run.lines),
        environment=tuple(_compare_environments(first, second)),
        differences=tuple(d for d in differences if d not in chance),
        chance=tuple(chance),
        unchecked=unchecked,
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


def _compare_runs(
    first: Measured, second: Measured, unchecked: Sequence[str]
) -> Iterator[Difference]:
    there, here = _by_id(first), _by_id(second)
    for name, line in there.items():
        if name not in here:
            yield Difference(name, "its result", "present", "missing")
        else:
            yield from _compare_lines(line, here[name], unchecked)
    yield from _compare_summaries(mapping(first.run.summary), mapping(second.run.summary))


def _compare_summaries(there: Json, here: Json) -> Iterator[Difference]:
    """What was measured, and by which rules: who judged is not asked again."""
    for name in ("kind", "columns"):
        if there.get(name, here.get(name)) != here.get(name):
            yield Difference("summary.json", name, there.get(name), here.get(name))
    if ("repeats" in there) != ("repeats" in here):
        yield Difference("summary.json", "repeats", there.get("repeats"), here.get("repeats"))
    rules = [mapping(summary.get("protocol")) for summary in (there, here)]
    for name in dict.fromkeys([*rules[0], *rules[1]]):
        if name not in ("judge", "hash", "recorder") and rules[0].get(name) != rules[1].get(name):
            values = rules[0].get(name), rules[1].get(name)
            yield Difference("summary.json", f"protocol.{name}", *values)


def _find_unchecked(first: Measured, second: Measured) -> tuple[str, ...]:
    """The judge's score, if a judge was there that has to be asked."""
    there, here = (mapping(measured.run.summary).get("protocol") for measured in (first, second))
    name = mapping(mapping(there).get("judge")).get("name")
    scorers = [*mapping(here).get("scorers", ()), LIKENESS]
    return (name,) if isinstance(name, str) and name not in scorers else ()


def _places(differences: Sequence[Difference]) -> list[str]:
    return list(dict.fromkeys(difference.place for difference in differences))


def _by_id(measured: Measured) -> dict[str, Json]:
    return {line["sample_id"]: line for line in measured.run.lines}


def _compare_lines(there: Json, here: Json, unchecked: Sequence[str]) -> Iterator[Difference]:
    """Statuses, code and every score, of the answer and of each turn."""
    name = str(there["sample_id"])
    if there.get("status") != here.get("status"):
        yield Difference(name, "status", there.get("status"), here.get("status"))
    if "code" in there and there["code"] != here.get("code"):
        yield Difference(name, "code", "another than in its answer", "as in its answer")
    if mapping(there.get("tags")) != mapping(here.get("tags")):
        yield Difference(name, "tags", there.get("tags"), here.get("tags"))
    scores = there.get("scores"), here.get("scores")
    yield from _compare_scores(name, "", *scores, unchecked)
    turns = [_turns(line) for line in (there, here)]
    if len(turns[0]) != len(turns[1]):
        yield Difference(name, "number of scored turns", len(turns[0]), len(turns[1]))
    for there_turn, here_turn in zip(*turns, strict=False):
        label = f"turn {there_turn.get('turn')}, "
        statuses = there_turn.get("status"), here_turn.get("status")
        if statuses[0] != statuses[1]:
            yield Difference(name, f"{label}status", *statuses)
        scores = there_turn.get("scores"), here_turn.get("scores")
        yield from _compare_scores(name, label, *scores, unchecked)


def _turns(line: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    turns: Any = mapping(line.get("episode")).get("by_turn")
    return [mapping(turn) for turn in turns] if isinstance(turns, list) else []  # pyright: ignore[reportUnknownVariableType]


def _compare_scores(
    name: str, label: str, there: object, here: object, unchecked: Sequence[str]
) -> Iterator[Difference]:
    """Every part of every score that either has."""
    there_scores, here_scores = mapping(there), mapping(here)
    for scorer in dict.fromkeys([*there_scores, *here_scores]):
        if scorer in unchecked:
            continue
        parts = [_parts(scores.get(scorer)) for scores in (there_scores, here_scores)]
        for part in dict.fromkeys([*parts[0], *parts[1]]):
            values = parts[0].get(part, _MISSING), parts[1].get(part, _MISSING)
            if values[0] != values[1]:
                what = f"{label}{scorer}" + ("" if part == "value" else f", {part}")
                yield Difference(name, what, *values)


def _parts(score: object) -> dict[str, object]:
    if score is None:
        return {}
    if not isinstance(score, dict):
        return {"value": score}  # of a turn
    parts = mapping(score)  # pyright: ignore[reportUnknownArgumentType]
    return {part: parts[part] for part in _PARTS if part in parts}


def _compare_environments(first: Measured, second: Measured) -> Iterator[str]:
    summaries = [mapping(measured.run.summary) for measured in (first, second)]
    there, here = (
        dict(_flatten("", mapping(summary.get("environment"))))
        | {"recorder": mapping(summary.get("protocol")).get("recorder")}
        for summary in summaries
    )
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
