"""Score a finished run again: with other scorers, another judge, or in another mode.

No model is asked for answers again. Answers come from ``results.jsonl``. If the loop was played,
they come from ``trajectories.jsonl``, and the code of every turn is scored again. The new run keeps
the old run's description of policy, loop and teacher.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast, get_args

from rrvf.agent import AgentSettings
from rrvf.bench import Bench, Scoring
from rrvf.benchmarks.predictions import match
from rrvf.episodes import LoopScoring, Trajectories, item_key_of_episode
from rrvf.errors import DataError, HarnessError
from rrvf.policies import Policy
from rrvf.repeats import repeat_items, repeat_number
from rrvf.run_folder import RESULTS, SETTINGS, TOLD, read_results, read_summary
from rrvf.runs import RunOptions, open_run
from rrvf.scoring import Item, item_key
from rrvf.teacher import Teacher
from rrvf.trajectories import Trajectory
from rrvf.types import Cleanup, Mode, Sample, SampleResult


@dataclass(frozen=True, slots=True)
class Rescoring:
    """What is known of the run that is scored again.

    Attributes:
        folder: Of the run.
        benchmark: Its name.
        options: As the run was told, as far as its record says so.
        protocol: Who played by which rules; empty where no loop was played.
        results: Sample -> its result.
        keys: Sample -> key of what its result was made from.
        finished: Every sample of the run has its result.
    """

    folder: Path
    benchmark: str
    options: RunOptions
    protocol: Mapping[str, Any]
    results: Mapping[str, SampleResult]
    keys: Mapping[str, object]
    finished: bool = True

    def ids(self) -> set[str]:
        """Samples that something is known of: a result, or an episode."""
        episode_ids = Trajectories(self.folder).ids() if self.protocol else set[str]()
        return {*self.results, *episode_ids}


def read_run(folder: Path) -> Rescoring:
    """The record of a run.

    Raises:
        DataError: The folder holds none.
    """
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_bytes())
        benchmark = settings["protocol.benchmark"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{folder}: no run of rrvf score or rrvf eval; name its --out") from error
    results, keys = read_results(folder)
    if not results:
        raise DataError(f"{folder}: no results in it; score it first")
    loop = {
        part: settings[f"protocol.{part}"]
        for part in ("policy", "loop", "teacher")
        if f"protocol.{part}" in settings
    }
    try:
        options = _read_options(settings)
        _require_kinds(options)
        is_whole = all(isinstance(part, dict) for part in loop.values())
        is_whole &= isinstance(benchmark, str) and ("loop" in loop) == ("policy" in loop)
        if not is_whole or not isinstance(settings.get("told.data", ""), str):
            raise TypeError("a part of it is of another kind")
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / SETTINGS}: damaged ({error}); restore it") from error
    for name, result in results.items():
        if not isinstance(cast("object", result.completion), str | None):
            raise DataError(f"{folder / RESULTS}: damaged (the answer of {name}); restore it")
    return Rescoring(folder, benchmark, options, loop, results, keys, _is_finished(folder))


def _require_kinds(options: RunOptions) -> None:
    """Refuse options of which a record says what no command could have been told.

    Raises:
        TypeError: There is one.
    """
    if not isinstance(cast("object", options.timeout), int | None) or (options.timeout or 1) < 1:
        raise TypeError(f"timeout {options.timeout!r}")
    names: object = options.scorers or ()
    if not all(isinstance(name, str) for name in cast("tuple[object, ...]", names)):
        raise TypeError(f"scorers {names!r}")
    for name in ("subset", "task", "cleanup", "reference", "clip_model", "clip_weights"):
        if not isinstance(value := getattr(options, name), str | None):
            raise TypeError(f"{name} {value!r}")
    for name, kind in (("mode", Mode), ("cleanup", Cleanup)):
        if (value := getattr(options, name)) not in (None, *get_args(kind)):
            raise TypeError(f"{name} {value!r}")


def _is_finished(folder: Path) -> bool:
    """Whether the run was finished, and all of its lines are there."""
    try:
        summary = read_summary(folder)
        return summary["finished"] is True and summary["n_samples"] == len(read_results(folder)[0])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_options(settings: Mapping[str, Any]) -> RunOptions:
    """What the run was told; of a run from before that was recorded, what its protocol tells."""
    option_names = {field.name for field in fields(RunOptions)}
    values: dict[str, Any] = {
        name.removeprefix(TOLD): value
        for name, value in settings.items()
        if name.startswith(TOLD) and name.removeprefix(TOLD) in option_names
    }
    for name in ("chart_python", "browser"):
        if name in values:
            values[name] = Path(values[name])
    values = values or _read_old_options(settings)
    # Runs of pages from before they had modes were told one, and knew the fixed rules alone.
    values["mode"] = settings.get("protocol.mode")
    if values.get("scorers") is not None:
        values["scorers"] = tuple(values["scorers"])
    arguments: dict[str, Any] = {"data": None, **values, "predictions": None}
    return RunOptions(**arguments)


def _read_old_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scorers": settings.get("protocol.scorers"),
        "reference": settings.get("protocol.reference", "html"),
        "javascript": settings.get("protocol.javascript", False),
        "timeout": settings.get("protocol.cpu_seconds", settings.get("protocol.seconds")),
        "clip_model": settings.get("protocol.clip_model"),
        "clip_failure": settings.get("protocol.clip_failure", "zero"),
    }


@contextmanager
def open_again(
    run: Rescoring, options: RunOptions
) -> Generator[tuple[Mapping[str, Sample], Bench]]:
    """The samples that a run knows, by id, and their bench, open as long as the context lasts.

    Args:
        run: From :func:`read_run`.
        options: As it was told, with what is to change.

    Raises:
        UserError: Data that is not the run's, or something that this machine lacks.
    """
    if options.data is None:
        raise DataError(
            f"{run.folder}: does not say where its samples are from; give the --data of that run"
        )
    if run.options.data == options.data and not Path(options.data).exists() and "/" in options.data:
        raise DataError(
            f"{run.folder}: its samples were at {options.data}, and are not; name them by --data"
        )
    # The run may hold fewer samples than its data.
    with open_run(run.benchmark, replace(options, limit=None)) as (items, bench):
        n_repeats = max((repeat_number(result) for result in run.results.values()), default=1)
        samples = {sample.id: sample for sample, _ in repeat_items(items, n_repeats)}
        ids = run.ids()
        match(list(samples.values()), dict.fromkeys(ids, ""))
        run_samples = {name: sample for name, sample in samples.items() if name in ids}
        _require_same(run, run_samples)
        yield run_samples, bench


@contextmanager
def open_rescored(
    run: Rescoring, options: RunOptions, out: Path
) -> Generator[tuple[Sequence[Item], Scoring]]:
    """The items of a run and how they are scored now; the renderer lives as long as the context.

    Args:
        run: From :func:`read_run`.
        options: As it was told, with what is to change.
        out: Of the new run.

    Raises:
        UserError: Data that is not the run's, or something that this machine lacks.
    """
    with open_again(run, options) as (samples, bench):
        items = [(sample, None) for sample in samples.values()]
        if not run.protocol:
            answers = [(sample, run.results[sample.id].completion) for sample, _ in items]
            yield answers, bench
            return
        yield items, _replay_loop(run, bench, out)


def _require_same(run: Rescoring, samples: Mapping[str, Sample]) -> None:
    """Refuse samples that are others than the run's; of recorded episodes nobody can tell.

    Raises:
        DataError: There are some.
    """
    keys: dict[str, str] = {}
    if not run.protocol:
        texts = {name: result.completion for name, result in run.results.items()}
        keys = {name: item_key((sample, texts[name])) for name, sample in samples.items()}
    elif run.protocol["policy"].get("backend") != "recorded":
        keys = {name: item_key_of_episode(sample) for name, sample in samples.items()}
    changed_ids = [name for name, key in keys.items() if key != run.keys.get(name, key)]
    if changed_ids:
        raise DataError(
            f"{run.folder}: for {len(changed_ids)} samples the reference in this data, or the "
            f"answer in the run, differs from the scored one, such as {changed_ids[0]}; give the "
            "--data of that run"
        )


def _replay_loop(run: Rescoring, bench: Bench, out: Path) -> LoopScoring:
    """The loop as it was played, with nobody left to play it."""
    rules = {name: value for name, value in run.protocol["loop"].items() if name != "score_turns"}
    trajectories = _Replayed(Trajectories(run.folder), Trajectories(out))
    return LoopScoring(
        bench,
        cast("Policy", _Record(run.protocol["policy"])),
        cast("Teacher", _Record(run.protocol.get("teacher", {}))),
        cast("AgentSettings", _Record(rules)),
        cast("Trajectories", trajectories),
        score_turns=bool(run.protocol["loop"].get("score_turns", True)),
    )


@dataclass(frozen=True, slots=True)
class _Record:
    """Stands for a policy, a teacher or rules: says what they were, and is never asked."""

    record: Mapping[str, Any]

    def protocol(self) -> Mapping[str, Any]:
        return self.record


@dataclass(frozen=True, slots=True)
class _Replayed:
    """The episodes of the old run, written into the new one as they are scored."""

    old: Trajectories
    new: Trajectories

    def find(self, sample_id: str, key: str) -> Trajectory:
        """The episode of a sample, whatever it was made from.

        Raises:
            HarnessError: There is none, or it failed through no fault of the policy's.
        """
        copy = self.new.find(sample_id, key)
        if copy is not None:
            return copy
        trajectory = self.old.find(sample_id, None)
        if trajectory is None:
            raise HarnessError("the run holds no whole episode of it; play it again by rrvf eval")
        self.new.add(trajectory, key)
        return trajectory
