"""The GPUs of this machine, and their assignment to servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rrvf.reproduce.job import Job, Role
from rrvf.reproduce.recipe import ModelPart

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card, as ``nvidia-smi`` tells it."""

    index: str
    uuid: str
    gib: float


def list_gpus() -> list[Gpu] | None:
    """The cards that ``CUDA_VISIBLE_DEVICES`` leaves; ``None`` where nobody can tell."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=_SECONDS, check=True, errors="replace"
        )
        rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
        gpus = [Gpu(index, uuid, float(mib) / 1024) for index, uuid, mib in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return gpus
    names = [name.strip() for name in visible.split(",")]
    return [gpu for name in names for gpu in gpus if name in (gpu.index, gpu.uuid)]


def assign_gpus(job: Job) -> Mapping[Role, Sequence[str]]:
    """Indices of the cards for each server that is started here, as far as they suffice.

    Whoever needs the largest cards is given some first.
    """
    parts: dict[Role, ModelPart] = {
        role: part for role, part in job.models().items() if job.is_started_here(role)
    }
    rest = list(list_gpus() or ()) if parts else []
    assigned: dict[Role, Sequence[str]] = {}
    by_size = sorted(parts.items(), key=lambda entry: -(entry[1].gpu_gib or 0.0))
    for role, part in by_size:
        least, n = part.gpu_gib or 0.0, part.gpus
        fitting = [gpu for gpu in rest if gpu.gib >= least][:n]
        if len(fitting) == n:
            assigned[role] = [gpu.index for gpu in fitting]
            rest = [gpu for gpu in rest if gpu not in fitting]
    return assigned
