"""Episodes of training, kept for reading: ``rollouts/step_N.jsonl`` with pictures beside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rrvf.files import write_atomically
from rrvf.rewards import Rewarded
from rrvf.run_folder import PICTURES, picture_name
from rrvf.trajectories import to_json


class RolloutLog:
    """Writes the episodes of a batch every so many steps.

    Args:
        out: Of the run.
        every: Steps between; evaluations are always written.
        rank: Each writes files of its own.
    """

    def __init__(self, out: Path, interval: int, rank: int) -> None:
        self._folder, self._interval, self._rank = out / "rollouts", max(1, interval), rank
        self._paths: set[Path] = set()

    def __call__(self, rewarded: Sequence[Rewarded], step: int, mode: str) -> None:
        """One batch of this rank."""
        if mode == "train" and step % self._interval != 0:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{mode}_{step:06d}_rank_{self._rank}.jsonl"
        # A run that goes on plays a step again: what it wrote before it was killed is replaced.
        is_begun = path in self._paths
        self._paths.add(path)
        with path.open("a" if is_begun else "w", encoding="utf-8") as file:
            for episode in rewarded:
                file.write(json.dumps(self._line(episode, step), default=str) + "\n")

    def _line(self, episode: Rewarded, step: int) -> dict[str, Any]:
        result, reward = episode.outcome.result, episode.reward
        pictures = {kind: self._keep(png) for kind, png in episode.outcome.pictures.items()}
        return {
            **to_json(episode.trajectory, self._keep),
            "step": step,
            "status": result.status,
            "scores": {name: score.value for name, score in result.scores.items()},
            "pictures": pictures,
            "reward": {
                "total": reward.total,
                "vision": reward.vision,
                "format": reward.format,
                "tool": reward.tool,
                **({"terms": dict(reward.terms)} if reward.terms else {}),
                "reason": reward.reason,
            },
        }

    def _keep(self, png: bytes) -> str:
        name = picture_name(png)
        path = self._folder / PICTURES / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, png)
        return name
