"""What is kept of a run beside its checkpoints: episodes, its card, and its published result.

Episodes are kept for reading: ``rollouts/step_N.jsonl`` with pictures beside it.
"""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rrvf.errors import UserError
from rrvf.files import write_atomically
from rrvf.rewards import Rewarded
from rrvf.run_folder import PICTURES, picture_name
from rrvf.trajectories import to_json

PACKAGES = ("torch", "transformers", "trl", "vllm", "deepspeed", "peft", "accelerate")
"""Whose versions a run's card tells."""


def describe_environment() -> dict[str, Any]:
    """Versions, GPU and commit: what a run stands on, as JSON."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": {name: _find_version(name) for name in PACKAGES},
        "gpu": gpu,
        "n_gpus": torch.cuda.device_count(),
        "commit": _find_commit(),
    }


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _find_commit() -> str | None:
    """Of the checkout that this code stands in; with ``-dirty`` where files differ from it."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def push_folder(folder: Path, repository: str) -> None:
    """Upload a folder to the Hugging Face hub; the token is that of ``hf auth login`` or HF_TOKEN.

    Args:
        folder: What is uploaded.
        repository: ``owner/name``; made, private, where it is missing.

    Raises:
        UserError: The hub refuses it, or cannot be reached. The folder stays as it is.
    """
    hub: Any = importlib.import_module("huggingface_hub")
    api = hub.HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Trained by RRVF")
    except Exception as error:  # whatever the hub's client and its HTTP library raise
        line = " ".join(str(error).split())[:200]
        raise UserError(
            f"{folder} is whole, but could not be pushed to {repository}: {line}; push it by hand: "
            f"hf upload {repository} {folder}"
        ) from error


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
