"""A run on disk: ``results.jsonl`` grows line by line, and an interrupted run goes on from there.

A line is written in one piece when its sample is finished. What a kill may leave behind is half a
line at the end, which is dropped on the next start. A line counts as done while the answer and the
reference it was made from are the same (``key``), and unless the failure was ours. While there is
work to do, no ``summary.json`` of an earlier start is there to be mistaken for that of this one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rrvf.errors import DataError, UserError
from rrvf.renderers.cache import write_atomically
from rrvf.types import (
    STATUSES,
    BenchmarkResult,
    EpisodeResult,
    SampleResult,
    Score,
    TurnScores,
)

RESULTS = "results.jsonl"
SUMMARY = "summary.json"
SETTINGS = "run.json"
PICTURES = "renderings"


class RunFolder:
    """The folder of one run, locked against a second process.

    Args:
        path: Made if it does not exist.
        settings: What moves scores; a folder begun with other settings is refused.
        keys: Sample id -> key of what its line is made from.

    Raises:
        DataError: The folder holds a run with other settings or of other samples, or something
            else; or it cannot be written.
        UserError: Another process is writing here.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], keys: Mapping[str, str]) -> None:
        self.path = path
        self._keys = keys
        self._lock = _locked(path)
        try:
            _check_settings(path, settings)
            self.done: dict[str, SampleResult] = self._take_up()
            self._handle = os.open(path / RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if self.done.keys() != keys.keys():
                (path / SUMMARY).unlink(missing_ok=True)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
        os.close(self._lock)

    def append(self, result: SampleResult) -> None:
        """Write one line, whole."""
        line = json.dumps({**to_json(result), "key": self._keys[result.sample_id]}) + "\n"
        size = os.fstat(self._handle).st_size
        written = os.write(self._handle, line.encode("ascii"))
        if written != len(line):
            os.ftruncate(self._handle, size)
            raise OSError(errno.ENOSPC, "only part of a line could be written")

    def add_picture(self, data: bytes) -> str:
        """Store a PNG by its content; returns the file name below ``renderings/``."""
        name = picture_name(data)
        path = self.path / PICTURES / name
        if not path.exists():
            write_atomically(path, data)
        return name

    def finish(self, summary: BenchmarkResult, *, finished: bool) -> None:
        """Write ``summary.json``."""
        data = {
            "benchmark": summary.benchmark,
            "finished": finished,
            "n_samples": summary.n_samples,
            "statuses": dict(summary.statuses),
            "n_unscored": dict(summary.n_unscored),
            "metrics": dict(summary.metrics),
            "protocol": dict(summary.protocol),
            "environment": dict(summary.environment),
        }
        if summary.episodes:
            data["episodes"] = dict(summary.episodes)
        write_atomically(self.path / SUMMARY, (json.dumps(data, indent=2) + "\n").encode())

    def _take_up(self) -> dict[str, SampleResult]:
        """The finished lines of an earlier start; other lines are dropped from the file."""
        path = self.path / RESULTS
        raw = path.read_bytes() if path.exists() else b""
        read = [(line, _parsed(line)) for line in raw.split(b"\n")]
        self._check_samples([result.sample_id for _, (result, _) in read if result is not None])
        kept: dict[str, bytes] = {}
        done: dict[str, SampleResult] = {}
        for line, (result, key) in read:
            if result is not None and not _ours(result) and key == self._keys[result.sample_id]:
                kept[result.sample_id] = line
                done[result.sample_id] = result
        clean = b"".join(line + b"\n" for line in kept.values())
        if clean != raw:
            write_atomically(path, clean)
        return done

    def _check_samples(self, found: Sequence[str]) -> None:
        """Results of samples that are not asked for now must not get lost on the way."""
        others = sorted({sample_id for sample_id in found if sample_id not in self._keys})
        if others:
            raise DataError(
                f"{self.path}: holds results of {len(others)} samples that are not among the "
                f"{len(self._keys)} to score now, such as {others[0]}; name another --out, or "
                "give the --data and the --limit of that run"
            )


def _parsed(line: bytes) -> tuple[SampleResult | None, object]:
    """The result in a line and its key; ``None`` where it is no whole line."""
    try:
        entry = json.loads(line)
        return from_json(entry), entry["key"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None


def _ours(result: SampleResult) -> bool:
    """A value that is missing may be had on another try."""
    missing = any(score.value is None for score in result.scores.values())
    turns = result.episode.by_turn if result.episode is not None else None
    missing |= any(None in turn.scores.values() for turn in turns or ())
    return missing or result.status == "harness_error"


def _locked(path: Path) -> int:
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"{path}: no folder to write a run to: {error.strerror}; name another --out"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise UserError(f"{path}: another process is writing this run; wait for it") from error
    return handle


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to mix two runs; note the settings in a new one."""
    file = path / SETTINGS
    now = json.loads(json.dumps(settings))
    if not file.exists():
        if (path / RESULTS).exists():
            raise DataError(f"{path}: holds results of an unknown run; name another --out")
        write_atomically(file, (json.dumps(now, indent=2) + "\n").encode())
        return
    try:
        before = json.loads(file.read_bytes())
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read; name another --out") from error
    if changed:
        key = min(changed, key=_tells)
        raise DataError(
            f"{path}: holds a run with other settings ({key}: {before.get(key)!r} there, "
            f"{now.get(key)!r} now); name another --out"
        )


def picture_name(data: bytes) -> str:
    """The file name of a PNG, by its content."""
    return hashlib.sha256(data).hexdigest()[:24] + ".png"


def _tells(name: str) -> tuple[bool, bool, str]:
    """Sorts what a user has chosen before what follows from it, and a hash last."""
    return name.endswith(".hash"), not name.startswith("protocol."), name


def to_json(result: SampleResult) -> dict[str, Any]:
    """One line of ``results.jsonl`` as a dictionary."""
    scores = {
        name: {"value": score.value, **score.details} for name, score in result.scores.items()
    }
    line = {
        "sample_id": result.sample_id,
        "status": result.status,
        "error": result.error,
        "seconds": result.seconds,
        "scores": scores,
        "code": result.code,
        "completion": result.completion,
        "pictures": dict(result.pictures),
        "other_mode": dict(result.other_mode),
        "tags": dict(result.tags),
    }
    return line if result.episode is None else line | {"episode": asdict(result.episode)}


def from_json(entry: Mapping[str, Any]) -> SampleResult:
    """The reverse of :func:`to_json`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is no such line.
    """
    if entry["status"] not in STATUSES or not isinstance(entry["sample_id"], str):
        raise ValueError("no sample's line")
    scores = {
        name: Score(said["value"], {k: v for k, v in said.items() if k != "value"})
        for name, said in entry["scores"].items()
    }
    return SampleResult(
        sample_id=entry["sample_id"],
        status=entry["status"],
        error=entry["error"],
        seconds=entry["seconds"],
        scores=scores,
        code=entry["code"],
        completion=entry["completion"],
        pictures=entry["pictures"],
        other_mode=entry["other_mode"],
        tags=entry["tags"],
        episode=_episode(entry["episode"]) if "episode" in entry else None,
    )


def _episode(entry: Mapping[str, Any]) -> EpisodeResult:
    turns = entry["by_turn"]
    return EpisodeResult(
        stop_reason=entry["stop_reason"],
        n_turns=entry["n_turns"],
        teacher=entry["teacher"],
        by_turn=None if turns is None else tuple(TurnScores(**turn) for turn in turns),
    )


def read_summary(path: Path) -> dict[str, Any]:
    """The contents of a run's ``summary.json``."""
    return json.loads((path / SUMMARY).read_bytes())
