"""Scoring with the loop in front: an episode gives the answer, which is then scored as any other.

``trajectories.jsonl`` grows line by line beside ``results.jsonl``. An episode that is there is not
played again; where its sample was not scored before an interruption, scoring goes on from it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrvf.agent import AgentSettings, run_episode
from rrvf.canvases import Canvas
from rrvf.errors import HarnessError
from rrvf.policies import Policy
from rrvf.renderers.cache import write_atomically
from rrvf.run_folder import PICTURES, picture_name
from rrvf.scorers.judge import Judge
from rrvf.scoring import Item, Outcome, Scoring, with_hash
from rrvf.teacher import Teacher
from rrvf.trajectories import Trajectory, from_json, to_json
from rrvf.types import Sample, SampleResult

TRAJECTORIES = "trajectories.jsonl"


@dataclass(frozen=True)
class LoopScoring:
    """Plays an episode for each sample, then scores its answer.

    Attributes:
        inner: How answers are scored.
        policy: Who plays.
        canvas: Where its code is drawn meanwhile.
        teacher: Who comments.
        settings: The rules of an episode.
        kept: Where trajectories are kept.
        concurrency: Episodes that may wait for the policy or the teacher at the same time.
    """

    inner: Scoring
    policy: Policy
    canvas: Canvas
    teacher: Teacher
    settings: AgentSettings
    kept: Trajectories
    concurrency: int = 16

    @property
    def benchmark(self) -> str:
        """Name of the benchmark."""
        return self.inner.benchmark

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names or dotted paths."""
        return self.inner.scorers

    @property
    def judge(self) -> Judge | None:
        """Who looks at the pictures at the end, if anybody does."""
        return self.inner.judge

    def waiting(self) -> int:
        """Episodes wait for more than a judge."""
        return self.inner.waiting() + self.concurrency

    def protocol(self) -> dict[str, Any]:
        """What moves scores: the inner protocol, and who plays by which rules."""
        inner = {name: value for name, value in self.inner.protocol().items() if name != "hash"}
        loop = {
            "policy": dict(self.policy.protocol()),
            "loop": dict(self.settings.protocol()),
            "teacher": dict(self.teacher.protocol()),
        }
        return with_hash({**inner, **loop})

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score."""
        return self.inner.environment()

    def find_scorers(self) -> Mapping[str, Any]:
        """The functions behind the names."""
        return self.inner.find_scorers()

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the table."""
        return self.inner.metrics(results)

    def lacks(self) -> Sequence[str]:
        """What this machine lacks."""
        return self.inner.lacks()

    def close(self) -> None:
        """End what is under way."""
        self.inner.close()

    def score(self, item: Item, scorers: Mapping[str, Any]) -> Outcome:
        """Play, then score what came of it.

        Raises:
            HarnessError: The episode failed through no fault of the policy's.
        """
        sample, _ = item
        trajectory = self.kept.find(sample.id) or self._played(sample)
        if trajectory.failed:
            raise HarnessError(trajectory.error or trajectory.stop_reason)
        return self.inner.score((sample, trajectory.completion), scorers)

    def _played(self, sample: Sample) -> Trajectory:
        trajectory = run_episode(self.policy, sample, self.canvas, self.teacher, self.settings)
        self.kept.add(trajectory)
        return trajectory


@dataclass
class Trajectories:
    """The trajectories of one run, on disk.

    Attributes:
        folder: Of the run.
    """

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _found: dict[str, Trajectory] = field(default_factory=dict[str, Trajectory])

    def __post_init__(self) -> None:
        path = self.folder / TRAJECTORIES
        lines = path.read_bytes().splitlines() if path.exists() else []
        for line in lines:
            # A torn line, or one whose pictures are gone, is an episode to be played again.
            with suppress(ValueError, KeyError, TypeError, AttributeError, OSError):
                trajectory = from_json(json.loads(line), self._picture)
                self._found[trajectory.sample_id] = trajectory

    def find(self, sample_id: str) -> Trajectory | None:
        """A finished episode; one that failed through our fault is played again."""
        found = self._found.get(sample_id)
        return None if found is None or found.failed else found

    def add(self, trajectory: Trajectory) -> None:
        """Write one line, whole."""
        line = json.dumps(to_json(trajectory, self._keep)) + "\n"
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / TRAJECTORIES
            torn = path.exists() and not path.read_bytes().endswith(b"\n")
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, (("\n" if torn else "") + line).encode())
            finally:
                os.close(handle)

    def _keep(self, png: bytes) -> str:
        name = picture_name(png)
        path = self.folder / PICTURES / name
        if not path.exists():
            write_atomically(path, png)
        return name

    def _picture(self, name: str) -> bytes:
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no picture's name")
        return (self.folder / PICTURES / name).read_bytes()
