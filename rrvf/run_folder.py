"""A run on disk: ``results.jsonl`` grows line by line, and an interrupted run resumes from it.

A line is written at once when its sample is finished. A kill may leave half a line at the end,
which the next start drops. A line counts as done unless the failure was ours. If a line was made
from another answer or reference (``key``), it belongs to another run, and the folder is refused;
only a sample that had no answer may get one now. While there is work to do, the ``summary.json`` of
an earlier start is removed, so that it is not taken for the current one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from rrvf.benchmarks.predictions import LOST, LostAnswer
from rrvf.chat import REFUSED_PARTS
from rrvf.errors import DataError, OtherRunError, UserError
from rrvf.files import write_atomically
from rrvf.types import (
    STATUSES,
    BenchmarkResult,
    Code,
    EpisodeResult,
    SampleResult,
    Score,
    TurnScores,
)

RESULTS = "results.jsonl"
SUMMARY = "summary.json"
SETTINGS = "run.json"
RUN_FILES = (RESULTS, SUMMARY, SETTINGS, "trajectories.jsonl")
PICTURES = "renderings"
ANSWERS = "answers"
"""Folder with the answers of a policy behind a server in this run."""

TOLD = "told."
"""Begins the names of what the run was told beside what moves scores: where its samples are."""

_PARTS = ("policy", "teacher", "judge")
_FRESH = "asked.fresh"
_ASKED = tuple(f"asked.{part}" for part in _PARTS)
_POLICY, _BACKEND = "protocol.policy.policy", "protocol.policy.backend"
_CONTENT = "protocol.policy.content"
_MOST_SHOWN = 120


class RunFolder:
    """The folder of one run, locked against a second process.

    Args:
        path: The folder; it is created if missing.
        settings: The settings that can change scores; a folder with other settings is refused.
        keys: Sample id -> key of the answer and reference of its line.
        unanswered_keys: Sample id -> key of its line without an answer, which may come later.

    Raises:
        OtherRunError: The folder holds a run with other settings.
        DataError: It holds results of other samples or answers, or something else; or it cannot be
            written.
        UserError: Another process is writing here.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        keys: Mapping[str, str],
        unanswered_keys: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self._keys, self._unanswered_keys = keys, unanswered_keys or {}
        self._lock = lock_folder(path)
        try:
            _check_settings(path, settings)
            self.results: dict[str, SampleResult] = self._take_up()
            self._handle = os.open(path / RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if self.results.keys() != keys.keys():
                (path / SUMMARY).unlink(missing_ok=True)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
        os.close(self._lock)

    def note_refused(self, protocol: Mapping[str, Any]) -> None:
        """Record in the settings which parameters the servers refused."""
        file = self.path / SETTINGS
        old = json.loads(file.read_bytes())
        new = dict(old)
        for part in _PARTS:
            kept, now = old.get(f"protocol.{part}"), protocol.get(part)
            if isinstance(kept, dict) and isinstance(now, dict):
                entry = dict(cast("dict[str, Any]", kept))
                for name in REFUSED_PARTS:
                    entry.pop(name, None)
                    if name in now:
                        entry[name] = now[name]
                new[f"protocol.{part}"] = entry
        if new != old:
            new["protocol.hash"] = protocol["hash"]
            write_atomically(file, (json.dumps(new, indent=2) + "\n").encode())

    def append(self, result: SampleResult) -> None:
        """Write one complete line."""
        line = json.dumps({**to_json(result), "key": self._keys[result.sample_id]}) + "\n"
        size = os.fstat(self._handle).st_size
        n_bytes = os.write(self._handle, line.encode("ascii"))
        if n_bytes != len(line):
            os.ftruncate(self._handle, size)
            raise OSError(errno.ENOSPC, "only part of a line could be written")

    def add_picture(self, data: bytes) -> str:
        """Store a PNG by its content; returns the file name below ``renderings/``."""
        return store_picture(self.path, data)

    def finish(self, summary: BenchmarkResult, *, finished: bool) -> None:
        """Write ``summary.json``."""
        data = {
            "benchmark": summary.benchmark,
            "kind": summary.kind,
            "finished": finished,
            "n_samples": summary.n_samples,
            "statuses": dict(summary.statuses),
            "n_unscored": dict(summary.n_unscored),
            "metrics": dict(summary.metrics),
            "columns": [asdict(column) for column in summary.columns],
            "protocol": dict(summary.protocol),
            "environment": dict(summary.environment),
        }
        if summary.repeats:
            data["repeats"] = dict(summary.repeats)
        if summary.episodes:
            data["episodes"] = dict(summary.episodes)
        write_atomically(self.path / SUMMARY, (json.dumps(data, indent=2) + "\n").encode())

    def _take_up(self) -> dict[str, SampleResult]:
        """The finished lines of an earlier start; other lines are dropped from the file."""
        path = self.path / RESULTS
        raw = path.read_bytes() if path.exists() else b""
        entries = [(line, _parse(line)) for line in raw.split(b"\n")]
        self._check_samples([result.sample_id for _, (result, _) in entries if result is not None])
        self._check_answers([(result, key) for _, (result, key) in entries if result is not None])
        lines: dict[str, bytes] = {}
        results: dict[str, SampleResult] = {}
        for line, (result, key) in entries:
            if result is not None and not is_ours(result) and key == self._keys[result.sample_id]:
                lines[result.sample_id] = line
                results[result.sample_id] = result
        clean = b"".join(line + b"\n" for line in lines.values())
        if clean != raw:
            write_atomically(path, clean)
        return results

    def _check_samples(self, ids: Sequence[str]) -> None:
        """Refuse results of samples that are not asked for now: they must not get lost."""
        strangers = sorted({sample_id for sample_id in ids if sample_id not in self._keys})
        if strangers:
            raise DataError(
                f"{self.path}: holds results of {len(strangers)} samples that are not among the "
                f"{len(self._keys)} to score now, such as {strangers[0]}; name another --out, or "
                "give the --data and the --limit of that run"
            )

    def _check_answers(self, entries: Sequence[tuple[SampleResult, object]]) -> None:
        """Refuse results of other answers; where nothing was answered, nothing can get lost."""
        ids = [
            result.sample_id
            for result, key in entries
            if key != self._keys[result.sample_id]
            and key != self._unanswered_keys.get(result.sample_id)
            and not is_ours(result)
        ]
        if ids:
            raise DataError(
                f"{self.path}: holds results of other answers; name another --out (the answer or "
                f"the reference of {len(ids)} samples has changed, such as {ids[0]})"
            )


def ensure_token(path: Path) -> str:
    """The unique name of this run, for data of it that are kept elsewhere.

    Raises:
        DataError: It cannot be written.
    """
    file = path / ".run"
    try:
        if not file.exists():
            write_atomically(file, secrets.token_hex(16).encode())
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise DataError(
            f"{path}: no folder to write a run to: {error.strerror}; name another --out"
        ) from error


def require_apart(out: Path, data: str | Path | None, predictions: Path | None = None) -> None:
    """Refuse a run whose own files would be read as samples or answers; links are followed.

    Args:
        out: The folder of the run.
        data: The folder of samples; a file or the name of a data set is always fine.
        predictions: The folder of answers, if they are in one.

    Raises:
        UserError: ``out`` is one of them or lies inside, or the data lie inside ``out``.
    """
    out_path = out.resolve()
    for option, path in (("--data", data), ("--predictions", predictions)):
        if path is None or not Path(path).is_dir():
            continue
        data_path = Path(path).resolve()
        if out_path.is_relative_to(data_path):
            relation = "is" if out_path == data_path else "lies inside"
            raise UserError(
                f"--out {out} {relation} {option} {path}, where the files of the run would be "
                "read as part of it; name another --out"
            )
        if option == "--data" and data_path.is_relative_to(out_path):
            raise UserError(f"--data {path} lies inside --out {out}; name another --out")


def _parse(line: bytes) -> tuple[SampleResult | None, object]:
    """The result in a line and its key; ``None`` where it is no whole line."""
    try:
        entry = json.loads(line)
        return from_json(entry), entry["key"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None


def is_ours(result: SampleResult) -> bool:
    """Whether the failure is ours: another try may give a value that is missing."""
    is_missing = any(score.value is None for score in result.scores.values())
    turns = result.episode.by_turn if result.episode is not None else None
    is_missing |= any(None in turn.scores.values() for turn in turns or ())
    return is_missing or result.status == "harness_error"


def lock_folder(path: Path) -> int:
    """Create a folder and lock it against other processes until the handle is closed.

    Raises:
        DataError: It cannot be written.
        UserError: Another process has it.
    """
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
    """Refuse to mix two runs; note the settings in one that has no answer yet."""
    file = path / SETTINGS
    new = json.loads(json.dumps(settings))
    if not file.exists():
        if (path / RESULTS).exists():
            raise DataError(f"{path}: holds results of an unknown run; name another --out")
        write_atomically(file, (json.dumps(new, indent=2) + "\n").encode())
        return
    try:
        old = json.loads(file.read_bytes())
        lines = _list_differences(old, new)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read; name another --out") from error
    is_ours = any(name.startswith("protocol.") for name in old)
    if lines and is_ours and not _has_answers(path):  # the settings may have been the mistake
        write_atomically(file, (json.dumps(new, indent=2) + "\n").encode())
        return
    if lines:
        raise OtherRunError(_describe_refusal(path, lines), lines)
    facts = {name: new[name] for name in _ASKED if {"name", "served"} & {*new.get(name, ())}}
    if {**old, **facts} != old:
        write_atomically(file, (json.dumps({**old, **facts}, indent=2) + "\n").encode())


def _has_answers(path: Path) -> bool:
    """Whether anything was scored, played or answered."""
    files = [*(path / name for name in RUN_FILES if name.endswith(".jsonl"))]
    folder = path / ANSWERS
    if folder.is_dir():
        files += folder.iterdir()
    return any(file.is_file() and file.stat().st_size for file in files)


def read_refused(path: Path, part: str) -> list[str]:
    """Parameters that a server of the run has refused so far, by their old names.

    Args:
        path: Of the run.
        part: ``policy``, ``teacher`` or ``judge``.
    """
    try:
        protocol = json.loads((path / SETTINGS).read_bytes())[f"protocol.{part}"]
        return [str(name) for key in REFUSED_PARTS for name in protocol.get(key, ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def read_fresh_start(path: Path) -> float:
    """The time from which a run with ``--fresh`` accepts cached answers: its start.

    Returns:
        Unix time.
    """
    try:
        return float(json.loads((path / SETTINGS).read_bytes())[_FRESH])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return time.time()


def picture_name(data: bytes) -> str:
    """The file name of a PNG, by its content."""
    return hashlib.sha256(data).hexdigest()[:24] + ".png"


def store_picture(path: Path, data: bytes) -> str:
    """Store a PNG of a run by its content; returns the file name below ``renderings/``."""
    name = picture_name(data)
    file = path / PICTURES / name
    if not file.exists():
        write_atomically(file, data)
    return name


def name_pictures(path: Path, pictures: Mapping[str, Mapping[str, str]]) -> None:
    """Add pictures that were drawn later to the results of a run; nothing else changes.

    Args:
        path: Its folder.
        pictures: Sample id -> side -> file name below ``renderings/``.

    Raises:
        UserError: Another process writes there.
    """
    lock = lock_folder(path)
    try:
        lines = (path / RESULTS).read_bytes().split(b"\n")
        new_lines = [_add_pictures(line, pictures) for line in lines]
        write_atomically(path / RESULTS, b"\n".join(new_lines))
    finally:
        os.close(lock)


def _add_pictures(line: bytes, pictures: Mapping[str, Mapping[str, str]]) -> bytes:
    result, _ = _parse(line)
    if result is None or result.sample_id not in pictures:
        return line
    entry = json.loads(line)
    entry["pictures"] |= pictures[result.sample_id]
    return json.dumps(entry).encode("ascii")


def _describe_refusal(path: Path, lines: Sequence[str]) -> str:
    head = f"{path}: holds a run with other settings; name another --out"
    parts = [part for part in _PARTS if any(line.startswith(f"asked.{part}.") for line in lines)]
    if not parts:
        return head
    flags = " and ".join(f"--{part}-name NAME" for part in parts)
    return f"{head}, or say by {flags} that it is the same one"


def _list_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line for each setting that is another now, those of the protocol first."""
    old_leaves, new_leaves = dict(old), dict(new)
    for name in _ASKED:
        old_leaves[name], new_leaves[name] = _make_comparable(
            old.get(name) or {}, new.get(name) or {}
        )
    old_leaves, new_leaves = _flatten(old_leaves), _flatten(new_leaves)
    same_names = _find_same_content(old_leaves, new_leaves)
    names = [
        name
        for name in {**old_leaves, **new_leaves}
        if _leaf(name) not in ("hash", *REFUSED_PARTS) and not name.startswith(TOLD)
    ]
    changed_names = [
        name
        for name in names
        if name not in same_names and old_leaves.get(name) != new_leaves.get(name)
    ]
    counts = Counter(map(_leaf, names))
    return [
        f"{_leaf(name) if counts[_leaf(name)] == 1 and not name.startswith('asked.') else name}: "
        f"{_shorten(old_leaves.get(name))} there, {_shorten(new_leaves.get(name))} now"
        for name in sorted(changed_names, key=lambda name: not name.startswith("protocol."))
    ]


def _make_comparable(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What has to be the same of two identities: the name, else the address and the server.

    A name that is given now says that it is the same one as before. What servers say is compared
    where it is known of both.
    """
    if "name" in new and "name" not in old:
        return {}, {}
    names = ["address"]
    if "name" in old:
        names = ["name"]
    elif "served" in old and "served" in new:
        names = ["address", "served"]
    old, new = (
        {name: identity[name] for name in names if name in identity} for identity in (old, new)
    )
    return old, new


def _find_same_content(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Names of settings that may differ: what a policy is called, where its content is known.

    A recording is compared item by item, since it may grow.
    """
    if old.get(_CONTENT) is None or new.get(_CONTENT) is None:
        return set()
    grows = old.get(_BACKEND) == new.get(_BACKEND) == "recorded"
    return {_POLICY, _CONTENT} if grows else {_POLICY}


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    leaves: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            leaves |= _flatten(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _shorten(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


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
    if form := _find_form(result.completion):
        line["form"] = form
    return line if result.episode is None else line | {"episode": asdict(result.episode)}


def _find_form(completion: str | None) -> str | None:
    """What an answer is that is no plain text."""
    if isinstance(completion, Code):
        return "code"
    return "lost" if isinstance(completion, LostAnswer) else None


def _restore_answer(entry: Mapping[str, Any]) -> str | None:
    """The answer as it was taken: code as code, and what could not be had as that."""
    text = entry["completion"]
    if text is None:
        return None
    is_old = entry["status"] == "harness_error" and str(entry["error"]).startswith(LOST)
    form = entry.get("form", "lost" if is_old and text.startswith(LOST) else None)
    return Code(text) if form == "code" else LostAnswer(text) if form == "lost" else text


def from_json(entry: Mapping[str, Any]) -> SampleResult:
    """The reverse of :func:`to_json`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is no such line.
    """
    if entry["status"] not in STATUSES or not isinstance(entry["sample_id"], str):
        raise ValueError("no sample's line")
    scores = {
        name: Score(fields["value"], {k: v for k, v in fields.items() if k != "value"})
        for name, fields in entry["scores"].items()
    }
    return SampleResult(
        sample_id=entry["sample_id"],
        status=entry["status"],
        error=entry["error"],
        seconds=entry["seconds"],
        scores=scores,
        code=entry["code"],
        completion=_restore_answer(entry),
        pictures=entry["pictures"],
        other_mode=entry["other_mode"],
        tags=entry["tags"],
        episode=_read_episode(entry["episode"]) if "episode" in entry else None,
    )


def _read_episode(entry: Mapping[str, Any]) -> EpisodeResult:
    turns = entry["by_turn"]
    return EpisodeResult(
        stop_reason=entry["stop_reason"],
        n_turns=entry["n_turns"],
        teacher=entry["teacher"],
        by_turn=None if turns is None else tuple(TurnScores(**turn) for turn in turns),
    )


def read_results(path: Path) -> tuple[dict[str, SampleResult], dict[str, object]]:
    """The results of a run by sample, and the keys of what they were made from.

    Args:
        path: Its folder; of several lines of a sample the last whole one counts.
    """
    raw = (path / RESULTS).read_bytes() if (path / RESULTS).exists() else b""
    entries = [(result, key) for result, key in map(_parse, raw.split(b"\n")) if result is not None]
    keys = {result.sample_id: key for result, key in entries}
    return {result.sample_id: result for result, _ in entries}, keys


def read_summary(path: Path) -> dict[str, Any]:
    """The contents of a run's ``summary.json``."""
    return json.loads((path / SUMMARY).read_bytes())
