"""Measured runs as rows of a table: their figures, intervals, and the card of each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rrvf.bootstrap import Interval, Samples, figures, intervals
from rrvf.chat import REFUSED_PARTS
from rrvf.errors import DataError
from rrvf.loop_effect import find_value_scorers, read_episode, summarize_loop
from rrvf.report.columns import read_columns, title_of
from rrvf.report.reading import Run, read_run
from rrvf.report.values import Json, count_of, mapping, number
from rrvf.run_folder import SETTINGS
from rrvf.tables.published import BENCHMARKS, PublishedTable, read_published, table_of
from rrvf.types import STATUSES, Column

CONFIG = "config.json"
"""Beside a stored run: who answered, and how the run was made."""

_SEPARATE_PARTS = frozenset({"hash", "policy", "loop", "teacher", "judge"})
"""Parts of a protocol that say who answered and how, and those that are put in other words."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured run.

    Attributes:
        name: For a row: the policy, or the folder.
        benchmark: Whose table it belongs to.
        metrics: Metric -> figure in the table's unit, ``None`` where it was not measured.
        intervals: Metric -> interval; those that were not measured are absent.
        samples: The scores behind them.
        finished: Every sample has its result.
        setting: What moves figures, by name; two runs that differ here are not ranked together.
        card: Name -> what a reader has to know of the run.
        notes: What is wrong with the files.
        run: As read.
        columns: Of the benchmark's table.
        loop: What the loop changed, see :func:`rrvf.loop_effect.summarize_loop`; empty without it.
    """

    name: str
    benchmark: str
    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    samples: Samples
    finished: bool
    setting: Mapping[str, str]
    card: Mapping[str, str]
    notes: tuple[str, ...]
    run: Run
    columns: tuple[Column, ...]
    loop: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def table(self) -> PublishedTable:
        """The table that the run belongs to, with what is published of it."""
        return table_of(self.benchmark, title_of(self.benchmark), self.columns)


def tables_of(runs: Sequence[Measured]) -> list[PublishedTable]:
    """The published tables, then those of the other benchmarks that runs are of."""
    tables = {name: read_published(name) for name in BENCHMARKS}
    return list((tables | {run.benchmark: run.table() for run in runs}).values())


def read_runs(folders: Sequence[Path]) -> list[Measured]:
    """Read run folders, finished or not.

    Raises:
        DataError: A folder is missing, or holds no run that says of which benchmark it is.
    """
    runs = [_make_measured(read_run(folder), folder) for folder in dict.fromkeys(folders)]
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1 else replace(run, name=f"{run.name} ({run.run.folder})")
        for run in runs
    ]


def read_samples(lines: Sequence[Json]) -> Samples:
    """The scores in lines of ``results.jsonl``; what is no number in [0, 1] counts as missing."""
    names = dict.fromkeys(name for line in lines for name in mapping(line.get("scores")))
    values = {name: np.array([_value(line, name) for line in lines]) for name in names}
    passed = np.array([line.get("status") == "ok" for line in lines], dtype=np.bool_)
    tags = [mapping(line.get("tags")) for line in lines]
    owners = tuple(
        str(tag.get("sample", line["sample_id"])) for tag, line in zip(tags, lines, strict=True)
    )
    is_repeated = any("repeat" in tag for tag in tags)
    ids = tuple(line["sample_id"] for line in lines)
    return Samples(ids, passed, values, owners if is_repeated else ())


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """What differs between two settings, in words."""
    names = dict.fromkeys([*first, *second])
    return [
        f"{name} {first.get(name, 'not told')} there, {second.get(name, 'not told')} here"
        for name in names
        if first.get(name) != second.get(name)
    ]


def compare_to_published(run: Measured, table: PublishedTable) -> list[str]:
    """Where the run is known to differ from what the published figures were made of."""
    reasons: list[str] = []
    n = number(mapping(run.run.summary).get("n_samples")) or len(run.samples.ids)
    if table.n_samples is None:
        reasons.append("the pages of the published test are not known")
    elif n != table.n_samples:
        reasons.append(f"{count_of(n, 'sample')}, published on {table.n_samples}")
    if run.card["judge"] == "none":
        reasons.append("no judge")
    elif not run.card["judge"].startswith("gpt-4o"):
        reasons.append(f"judged by {run.card['judge']}, published by GPT-4o")
    if run.card["mode"] == "fixed":
        reasons.append("mode fixed, published with the official scorer's bugs")
    return reasons


def _make_measured(run: Run, folder: Path) -> Measured:
    # Lines stand in the order in which samples were finished, and resamples follow that of lines.
    run = replace(run, lines=tuple(sorted(run.lines, key=lambda line: line["sample_id"])))
    summary = run.summary or {}
    settings = _settings(folder)
    protocol = mapping(summary.get("protocol")) or _part(settings, "protocol")
    environment = mapping(summary.get("environment")) or _part(settings, "environment")
    benchmark = summary.get("benchmark") or protocol.get("benchmark")
    if not isinstance(benchmark, str):
        raise DataError(
            f"{folder} does not say which benchmark it is a run of; "
            "score it again, or leave it out of --runs"
        )
    columns = read_columns({**summary, "benchmark": benchmark})
    samples = read_samples(run.lines)
    finished = run.summary is not None and summary.get("finished") is not False
    is_whole = finished and summary.get("n_samples") == len(run.lines)
    metrics = {name: number(value) for name, value in mapping(summary.get("metrics")).items()}
    return Measured(
        name=_name(folder, protocol),
        benchmark=benchmark,
        metrics=metrics if finished else figures(columns, samples),
        intervals=intervals(columns, samples) if is_whole else {},
        samples=samples,
        finished=finished,
        setting=dict(_setting(protocol, environment, samples, folder)),
        card=dict(_card(summary, protocol, environment, run)),
        notes=run.notes,
        run=run,
        columns=columns,
        loop=_summarize_loop(run, columns),
    )


def _summarize_loop(run: Run, columns: Sequence[Column]) -> dict[str, Any]:
    scorers = find_value_scorers(columns, run.lines)
    episodes = [
        read_episode(line, run.episodes.get(line["sample_id"], {}), scorers) for line in run.lines
    ]
    played = [episode for episode in episodes if episode is not None]
    return summarize_loop(played, scorers)


def _value(line: Json, scorer: str) -> float:
    value = number(mapping(mapping(line.get("scores")).get(scorer)).get("value"))
    return float(value) if value is not None and 0 <= value <= 1 else float("nan")


def _settings(folder: Path) -> Json:
    """Of a run without a summary: what it was begun with."""
    try:
        return mapping(json.loads((folder / SETTINGS).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def _part(settings: Json, part: str) -> Json:
    head = f"{part}."
    return {name[len(head) :]: value for name, value in settings.items() if name.startswith(head)}


def _name(folder: Path, protocol: Json) -> str:
    """The policy, where the run or its record tells it; else the folder."""
    try:
        config = mapping(json.loads((folder / CONFIG).read_bytes()))
    except (OSError, ValueError, RecursionError):
        config = {}
    policy = config.get("policy") or mapping(protocol.get("policy")).get("policy")
    return policy if isinstance(policy, str) else folder.resolve().name


def _setting(
    protocol: Json, environment: Json, samples: Samples, folder: Path
) -> Iterator[tuple[str, str]]:
    yield from ((n, json.dumps(v)) for n, v in protocol.items() if n not in _SEPARATE_PARTS)
    yield "judge", json.dumps(_gpt(protocol))
    yield "turns", _turns(protocol)
    yield from _list_requests(protocol)
    yield "drawn by", _describe_renderer(environment)
    ids = "\0".join(sorted(samples.ids)) or str(folder)  # without results nobody knows which
    digest = hashlib.sha256(ids.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    yield "samples", f"{len(samples.ids)} ({digest})"


def _card(summary: Json, protocol: Json, environment: Json, run: Run) -> Iterator[tuple[str, str]]:
    statuses = mapping(summary.get("statuses"))
    counts = ", ".join(f"{name} {statuses[name]}" for name in STATUSES if statuses.get(name))
    n = number(summary.get("n_samples"))
    size = count_of(len(run.lines), "sample") + " so far" if n is None else count_of(n, "sample")
    yield "samples", f"{size} ({counts})" if counts else size
    if repeats := mapping(summary.get("repeats")):
        yield "episodes", f"{repeats.get('n')} a sample, means over all of them"
    yield "mode", str(protocol.get("mode", "as published"))
    yield "judge", _judge(protocol)
    yield "turns", _turns(protocol)
    yield from _list_requests(protocol)
    yield "drawn by", _describe_renderer(environment)
    unscored = mapping(summary.get("n_unscored"))
    if texts := ", ".join(f"{name} {count}" for name, count in unscored.items() if count):
        yield "not scored", texts
    yield "protocol", str(protocol.get("hash", "not told"))


def _judge(protocol: Json) -> str:
    judge = _gpt(protocol)
    if judge is None:
        return "none"
    return f"{judge.get('judge')}, rubric {judge.get('rubric')} ({judge.get('prompt')})"


def _gpt(protocol: Json) -> Json | None:
    """The judge that fills the GPT columns; an embedded one fills none of these tables."""
    judge = mapping(protocol.get("judge"))
    return judge if judge.get("name") == "gpt" else None


def _turns(protocol: Json) -> str:
    loop = mapping(protocol.get("loop"))
    if loop.get("max_turns", 1) == 1:
        return "single turn"
    teacher = mapping(protocol.get("teacher")).get("teacher") or "none"
    return f"loop of at most {loop.get('max_turns')} turns, teacher {teacher}"


def _list_requests(protocol: Json) -> Iterator[tuple[str, str]]:
    """What servers did not take of the requests, by who was asked."""
    for part in ("policy", "teacher", "judge"):
        refused = mapping(protocol.get(part))
        texts = [
            f"{words} {', '.join(map(str, names))}"
            for words, key in zip(("without", "by a new name"), REFUSED_PARTS, strict=True)
            if (names := refused.get(key))
        ]
        if texts:
            yield f"requests to the {part}", "; ".join(texts)


def _describe_renderer(environment: Json) -> str:
    browser = environment.get("browser")
    version = mapping(environment.get("chart_versions")).get("matplotlib")
    return str(browser) if browser else f"matplotlib {version or 'of unknown version'}"
