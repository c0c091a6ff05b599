"""Kept episodes of a training run: those of some steps, in groups of the same sample."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rrvf.replies import extract_code
from rrvf.report.episodes import episode_payload, episode_pictures
from rrvf.report.values import MAX_CODE, MAX_ERROR, Json, clip, count_of, mapping, number
from rrvf.types import Language

MAX_STEPS = {"train": 20, "eval": 10}
"""Steps that the page shows, spread over the run; the first and the last are among them."""
MAX_ROLLOUTS = 64
MAX_STEP_BYTES = 2_000_000
"""Of JSON, about; whole groups are left out above it."""

_NAME = re.compile(r"(train|eval)_(\d{1,9})_rank_(\d{1,6})\.jsonl")

_PARTS = ("total", "vision", "format", "tool")


@dataclass(frozen=True, slots=True)
class KeptStep:
    """What was kept of one step.

    Attributes:
        mode: ``train``, or ``eval`` for held-out samples.
        step: Updates before it.
        lines: Of all ranks' files, those of a sample one after the other.
        n_rollouts: On file; more than lines where some are left out.
    """

    mode: str
    step: int
    lines: tuple[Json, ...]
    n_rollouts: int


def read_rollouts(folder: Path) -> tuple[list[KeptStep], list[str]]:
    """Read what a run kept, as far as the page shows it.

    Args:
        folder: ``rollouts/`` of a run; may be missing.

    Returns:
        The steps in their order, and what the page must say of the files.
    """
    files: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        if match := _NAME.fullmatch(path.name):
            files.setdefault((match[1], int(match[2])), []).append(path)
    steps: list[KeptStep] = []
    n_torn: Counter[str] = Counter()
    for mode, limit in MAX_STEPS.items():
        numbers = sorted(step for its_mode, step in files if its_mode == mode)
        steps += [
            _read_step(mode, step, files[mode, step], n_torn) for step in _spread(numbers, limit)
        ]
    counts = sorted(n_torn.items())[:10]
    notes = [f"{count_of(n, 'line')} of rollouts/{name} torn and left out." for name, n in counts]
    if len(files) > len(steps):
        notes.append(f"Rollouts of {len(steps)} steps are shown, out of {len(files)} kept.")
    return steps, notes


def step_pictures(step: KeptStep) -> Iterator[str]:
    """Names of the pictures that the page shows of a step."""
    for line in step.lines:
        yield from (name for name in _pictures(line).values() if name is not None)
        yield from episode_pictures(line)


def step_payload(step: KeptStep, language: Language, sources: Mapping[str, str]) -> Json:
    """One step: its groups with their rollouts.

    Args:
        step: As read.
        language: Of its code.
        sources: The pictures that the page has.
    """
    return {
        "mode": "held_out" if step.mode == "eval" else step.mode,
        "step": step.step,
        "n_rollouts": step.n_rollouts,
        "groups": [
            {
                "id": clip(sample_id),
                "rollouts": [_rollout(line, language, sources) for line in lines],
            }
            for sample_id, lines in groupby(step.lines, key=_sample_id)
        ],
    }


# --- reading ------------------------------------------------------------------------------------


def _spread(steps: Sequence[int], limit: int) -> list[int]:
    """At most so many of them, evenly, with both ends."""
    if len(steps) <= limit:
        return list(steps)
    return [steps[round(place * (len(steps) - 1) / (limit - 1))] for place in range(limit)]


def _read_step(mode: str, step: int, paths: Sequence[Path], n_torn: Counter[str]) -> KeptStep:
    """A run that goes on from a checkpoint plays some steps again: the last line counts."""
    by_key: dict[tuple[str, int, str], Json] = {}
    sizes: dict[tuple[str, int, str], int] = {}
    for rank, path in enumerate(paths):
        for raw in path.read_bytes().split(b"\n"):
            if not raw.strip():
                continue
            line = _parse(raw)
            if line is None:
                n_torn[path.name] += 1
                continue
            key = (_sample_id(line), rank, str(line.get("repeat")))
            by_key[key], sizes[key] = line, len(raw)
    keys = sorted(by_key, key=lambda key: key[0])  # stable: ranks and repeats stay in order
    lines: list[Json] = []
    n_bytes = 0
    for _, group in groupby(keys, key=lambda key: key[0]):
        members = list(group)
        n_bytes += sum(sizes[key] for key in members)
        if lines and (len(lines) + len(members) > MAX_ROLLOUTS or n_bytes > MAX_STEP_BYTES):
            break
        lines += [by_key[key] for key in members[:MAX_ROLLOUTS]]
    return KeptStep(mode, step, tuple(lines), len(by_key))


def _parse(raw: bytes) -> Json | None:
    try:
        line = mapping(json.loads(raw))
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line.get("sample_id"), str) else None


def _sample_id(line: Mapping[str, Any]) -> str:
    return str(line.get("sample_id"))


# --- for the page -------------------------------------------------------------------------------


def _rollout(line: Mapping[str, Any], language: Language, sources: Mapping[str, str]) -> Json:
    reward = mapping(line.get("reward"))
    scores = {str(name): number(value) for name, value in mapping(line.get("scores")).items()}
    completion = line.get("completion")
    code = extract_code(completion, language) if isinstance(completion, str) else None
    rollout: Json = {
        "id": clip(line.get("sample_id")),
        "repeat": number(line.get("repeat")),
        "status": clip(str(line.get("status"))),
        "code": clip(code, text=MAX_CODE),
        "reward": {part: number(reward.get(part)) for part in _PARTS},
        "reason": clip(reward.get("reason"), text=MAX_ERROR),
        "episode": episode_payload(line, _scores_of_answer(line, scores), language, sources),
    }  # fmt: skip
    for side, name in _pictures(line).items():
        rollout[side] = name if name in sources else None
        rollout[f"{side}_lost"] = name is not None and name not in sources
    return rollout


def _scores_of_answer(line: Mapping[str, Any], scores: Json) -> Json:
    """As ``results.jsonl`` has them by turn; training scores the answer alone."""
    turns = line.get("turns")
    n_turns = len(turns) if isinstance(turns, list) else 0  # pyright: ignore[reportUnknownArgumentType]
    numbers = {name: value for name, value in scores.items() if value is not None}
    return (
        {"episode": {"by_turn": [{"turn": n_turns, "call": None, "scores": scores}]}}
        if numbers
        else {}
    )


def _pictures(line: Mapping[str, Any]) -> dict[str, str | None]:
    pictures = mapping(line.get("pictures"))
    names = {side: pictures.get(side) for side in ("reference", "rendering")}
    return {side: name if isinstance(name, str) else None for side, name in names.items()}
