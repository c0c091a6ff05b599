"""Scoring with the loop in front: an episode gives the answer, which is scored like any other.

``trajectories.jsonl`` grows line by line beside ``results.jsonl``. A recorded episode is not played
again. If an interruption left its sample unscored, scoring resumes from the recording.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from rrvf.agent import AgentSettings, run_episode
from rrvf.bench import Bench, Scoring
from rrvf.benchmarks.benchmark import Benchmark
from rrvf.by_turn import score_turns
from rrvf.chat import Chat
from rrvf.errors import HarnessError
from rrvf.policies import EndpointPolicy, Policy, RecordedPolicy
from rrvf.renderers.cache import write_atomically
from rrvf.repeats import repeat_of
from rrvf.run_folder import PICTURES, picture_name
from rrvf.scorers.judge import Judge
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scoring import (
    Item,
    Outcome,
    add_hash,
    content_key,
    item_key,
    make_unscored,
    tell_n_thoughts,
)
from rrvf.teacher import ModelTeacher, Teacher
from rrvf.trajectories import TeacherPart, Trajectory, from_json, to_json
from rrvf.types import EpisodeResult, Sample, SampleResult

TRAJECTORIES = "trajectories.jsonl"


@dataclass(frozen=True)
class LoopScoring:
    """Plays an episode for each sample, then scores its answer.

    Attributes:
        bench: How answers are scored, and where code is drawn meanwhile.
        policy: Who plays.
        teacher: Who comments.
        settings: The rules of an episode.
        trajectories: Where they are kept.
        concurrency: Episodes that may wait for the policy or the teacher at the same time.
        score_turns: Score the code of every turn as well, by all scorers but a judge that is paid.
    """

    bench: Bench
    policy: Policy
    teacher: Teacher
    settings: AgentSettings
    trajectories: Trajectories
    concurrency: int = 16
    score_turns: bool = True
    _closed: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def benchmark(self) -> Benchmark:
        """Whose answers."""
        return self.bench.benchmark

    @property
    def judge(self) -> Judge | None:
        """Who looks at the pictures at the end, if anybody does."""
        return self.bench.judge

    def names(self) -> tuple[str, ...]:
        """Every score that a result has."""
        return self.bench.names()

    def count_waiting(self) -> int:
        """Episodes wait for more than a judge."""
        return self.bench.count_waiting() + self.concurrency

    def protocol(self) -> dict[str, Any]:
        """What moves scores: the inner protocol, and who plays by which rules."""
        inner = {name: value for name, value in self.bench.protocol().items() if name != "hash"}
        loop = {
            "policy": dict(self.policy.protocol()),
            "loop": {**self.settings.protocol(), "score_turns": self.score_turns},
            "teacher": dict(self.teacher.protocol()),
        }
        return add_hash({**inner, **loop})

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score."""
        return self.bench.environment()

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the table."""
        return self.bench.metrics(results)

    def lacks(self) -> Sequence[str]:
        """What this machine lacks."""
        return self.bench.lacks()

    def close(self) -> None:
        """End what is under way; an episode that fails by it was not played and is not kept."""
        self._closed.set()
        self.bench.close()

    def score(self, item: Item) -> Outcome:
        """Play, then score what came of it.

        Where the episode failed through no fault of the policy's, its sample is left unscored.

        Raises:
            HarnessError: The answer cannot be scored.
        """
        sample, _ = item
        key = self.key(sample)
        trajectory = self.trajectories.find(sample.id, key) or self._play(sample, key)
        if trajectory.failed:
            error = HarnessError(trajectory.error or trajectory.stop_reason)
            outcome = Outcome(make_unscored((sample, None), self.names(), error))
        else:
            outcome = self.bench.score((sample, trajectory.completion))
        episode = self._describe(sample, trajectory, outcome.result)
        return replace(outcome, result=replace(outcome.result, episode=episode))

    def key(self, sample: Sample, *, use_recording: bool = True) -> str:
        """Identifies what an episode is made from: the sample, and what is recorded of it.

        Args:
            sample: To be answered.
            use_recording: Look at the recording; else as if there were nothing of the sample in it.
        """
        recording = ""
        if use_recording and isinstance(self.policy, RecordedPolicy):
            recording = self.policy.key(sample.id)
        return item_key_of_episode(sample, recording)

    def _play(self, sample: Sample, key: str) -> Trajectory:
        trajectory = run_episode(
            *(self.policy, sample, self.bench, self.teacher, self.settings), repeat_of(sample)
        )
        if trajectory.failed and self._closed.is_set():
            raise HarnessError("the run was stopped")
        self.trajectories.add(trajectory, key)
        return trajectory

    def _describe(
        self,
        sample: Sample,
        trajectory: Trajectory,
        final: SampleResult,
    ) -> EpisodeResult:
        parts = {part: trajectory.n_teacher(part) for part in get_args(TeacherPart)}
        is_scored = self.score_turns and not trajectory.failed
        return EpisodeResult(
            stop_reason=trajectory.stop_reason,
            n_turns=len(trajectory.turns),
            teacher={part: number for part, number in parts.items() if number},
            by_turn=score_turns(self.bench, sample, trajectory, final) if is_scored else None,
        )


def item_key_of_episode(sample: Sample, recording: str = "") -> str:
    """Identifies what an episode is made from: the sample, and what is recorded of it."""
    return content_key(item_key((sample, None)), sample.prompt, _hash_picture(sample), recording)


def _hash_picture(sample: Sample) -> str:
    try:
        return hashlib.sha256(sample.image.read_bytes()).hexdigest() if sample.image else ""
    except OSError:
        return "none that can be read"


def chats_in(scoring: Scoring) -> dict[str, Chat]:
    """Who is asked over the network in a run: ``policy``, ``teacher``, ``judge``."""
    chats: dict[str, Chat] = {}
    if isinstance(scoring, LoopScoring):
        if isinstance(scoring.policy, EndpointPolicy):
            chats["policy"] = scoring.policy.chat
        if isinstance(scoring.teacher, ModelTeacher):
            chats["teacher"] = scoring.teacher.chat
    if isinstance(scoring.judge, ModelJudge):
        chats["judge"] = scoring.judge.chat
    return chats


def list_remarks(folder: Path) -> Iterator[str]:
    """Remarks on a run's replies, one line each: thoughts, and answers among them."""
    turns = [turn for turns in _read_last_turns(folder / TRAJECTORIES).values() for turn in turns]
    if line := tell_n_thoughts(sum(_answers_after_thoughts(turn) for turn in turns)):
        yield line
    notes = Counter(turn["note"] for turn in turns if turn.get("note"))
    for note, number in notes.items():
        yield f"{number} of {len(turns)} replies: {note}"


def _read_last_turns(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Sample -> the turns of its last episode, as they are recorded."""
    turns_by_sample: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(ValueError, KeyError, TypeError):
            entry: Any = json.loads(line)
            turns_by_sample[str(entry["sample_id"])] = [dict(turn) for turn in entry["turns"]]
    return turns_by_sample


def _answers_after_thoughts(turn: Mapping[str, Any]) -> bool:
    return turn.get("action") == "answer" and bool(turn.get("thought"))


@dataclass
class Trajectories:
    """The trajectories of one run, on disk.

    Attributes:
        folder: Of the run.
    """

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _places: dict[str, int] = field(default_factory=dict[str, int])
    """Sample -> where its last line begins; a line and its pictures are read when asked for."""

    def __post_init__(self) -> None:
        path, place = self.folder / TRAJECTORIES, 0
        if not path.exists():
            return
        with path.open("rb") as lines:
            for line in lines:
                with suppress(ValueError, KeyError, TypeError):  # a torn line
                    self._places[str(json.loads(line)["sample_id"])] = place
                place += len(line)

    def ids(self) -> set[str]:
        """Samples of which there is a line."""
        return set(self._places)

    def find(self, sample_id: str, key: str | None) -> Trajectory | None:
        """A finished episode made from what ``key`` identifies, from whatever without one.

        One that failed through our fault, or whose pictures are gone, is played again.
        """
        if sample_id not in self._places:
            return None
        with suppress(ValueError, KeyError, TypeError, AttributeError, OSError):
            with (self.folder / TRAJECTORIES).open("rb") as lines:
                lines.seek(self._places[sample_id])
                entry = json.loads(lines.readline())
            if key is None or entry["key"] == key:
                trajectory = from_json(entry, self._read_picture)
                return None if trajectory.failed else trajectory
        return None

    def add(self, trajectory: Trajectory, key: str) -> None:
        """Write one line, whole."""
        line = json.dumps({**to_json(trajectory, self._keep), "key": key}) + "\n"
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / TRAJECTORIES
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                size = os.fstat(handle).st_size
                is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, (("\n" if is_torn else "") + line).encode())
            finally:
                os.close(handle)

    def _keep(self, png: bytes) -> str:
        name = picture_name(png)
        path = self.folder / PICTURES / name
        if not path.exists():
            write_atomically(path, png)
        return name

    def _read_picture(self, name: str) -> bytes:
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no picture's name")
        return (self.folder / PICTURES / name).read_bytes()
