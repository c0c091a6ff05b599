"""A training run as its folder tells it: what it is, how it went, episodes that it kept.

Read as it lies on disk, under way or ended, whole or torn. What a run is stands in
``run_card.json``, its log in the ``trainer_state.json`` of the newest checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, cast

from rrvf import __version__
from rrvf.errors import DataError
from rrvf.report.columns import LABELS, shows_pages
from rrvf.report.curves import Rows, curves_payload, read_rows, tell_not_finite
from rrvf.report.pictures import Pictures, collect_from
from rrvf.report.rollouts import KeptStep, read_rollouts, step_payload, step_pictures
from rrvf.report.run_facts import reward_sentence, run_facts
from rrvf.report.table import NULL
from rrvf.report.values import Json, clip, mapping, number

_SCORING = ("results.jsonl", "summary.json")
_STATE = "trainer_state.json"
_MAX_RANKS = 16


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One folder of a training run.

    Attributes:
        folder: Where it lies.
        card: ``run_card.json``; empty where it cannot be read.
        step, max_steps: Updates on record, and those asked for; ``None`` where unknown.
        train, held_out: The log.
        kept_steps: Steps of which episodes are shown.
        notes: What the page must say about the files.
    """

    folder: Path
    card: Json
    step: int | None
    max_steps: int | None
    train: Rows
    held_out: Rows
    kept_steps: tuple[KeptStep, ...]
    notes: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """The record goes to the last step."""
        return self.step is not None and self.step >= (self.max_steps or self.step)

    @property
    def benchmark(self) -> str | None:
        """That the samples are of."""
        name = mapping(mapping(self.card.get("data")).get("train")).get("benchmark")
        name = name or mapping(self.card.get("scoring")).get("benchmark")
        return name if isinstance(name, str) else None


def is_training_run(folder: Path) -> bool:
    """Whether a folder is a training run's, by the files in it."""
    if any((folder / name).is_file() for name in _SCORING):
        return False
    return (folder / "run_card.json").is_file() or bool(_states(folder))


def read_training_run(folder: Path) -> TrainingRun:
    """Read what there is."""
    notes: list[str] = []
    card = _read_object(folder / "run_card.json", notes)
    state = _newest_state(folder, notes)
    history = state.get("log_history")
    rows = [mapping(row) for row in cast("list[Any]", history)] if isinstance(history, list) else []
    train, held_out = read_rows(rows)
    steps = [number(state.get(key)) for key in ("global_step", "max_steps")]
    step, max_steps = (None if value is None else int(value) for value in steps)
    kept_steps, torn_notes = read_rollouts(folder / "rollouts")
    return TrainingRun(
        folder, card, step, max_steps, train, held_out, tuple(kept_steps),
        (*notes, *tell_not_finite(train), *torn_notes),
    )  # fmt: skip


def training_payload(runs: Sequence[TrainingRun], out: Path, limit: int) -> tuple[Json, Pictures]:
    """Everything that the page shows, as JSON, and the pictures in it.

    Args:
        runs: As read.
        out: Folder of the page.
        limit: Bytes of pictures up to which the page carries them.
    """
    names_by_folder = [
        (
            run.folder / "rollouts" / "renderings",
            chain.from_iterable(map(step_pictures, run.kept_steps)),
        )
        for run in runs
    ]
    pictures = collect_from(names_by_folder, out, limit)
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in runs]
    payload = {
        "version": __version__,
        "labels": LABELS,
        "notes": list(pictures.notes),
        "pictures": dict(pictures.sources),
        "sizes": dict(pictures.sizes),
        "runs": [_run_payload(r, n, pictures.sources) for r, n in zip(runs, names, strict=True)],
    }
    return payload, pictures


def format_training(run: TrainingRun) -> str:
    """The last figures of a run as plain text, for readers without a script."""
    last = [rows[max(rows)] if rows else {} for rows in (run.train, run.held_out)]
    names = [name for name in ("reward", "runnable", "likeness_of_runnable", "loss") if any(
        name in row for row in last)]  # fmt: skip
    lines = [
        f"{name}: train {_format_figure(last[0], name)}, held-out {_format_figure(last[1], name)}"
        for name in names
    ]
    return "\n".join([f"{run_name(run)}, step {NULL if run.step is None else run.step}", *lines])


def run_name(run: TrainingRun) -> str:
    """What kind of run it is, for a person."""
    kind = "Supervised fine-tuning" if "sft" in run.card else "GRPO training"
    model = mapping(run.card.get("run")).get("model")
    return f"{kind} of {clip(Path(model).name)}" if isinstance(model, str) and model else kind


def _format_figure(row: Mapping[str, float | None], name: str) -> str:
    value = row.get(name)
    return NULL if value is None else f"{value:.4g}"


# --- reading ------------------------------------------------------------------------------------


def _states(folder: Path) -> list[Path]:
    return [*folder.glob(f"checkpoint-*/{_STATE}"), *folder.glob(_STATE)]


def _newest_state(folder: Path, notes: list[str]) -> Json:
    """The one that has come furthest; a checkpoint may be half written."""
    states = [_read_object(path, notes) for path in _states(folder)]
    none: Json = {}
    return max(states, key=lambda state: number(state.get("global_step")) or 0, default=none)


def _read_object(path: Path, notes: list[str]) -> Json:
    """A JSON object; a note where it is none."""
    where = "/".join(path.parts[-2:]) if path.name == _STATE else path.name
    try:
        value: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        notes.append(f"{where} is missing.")
        return {}
    except (OSError, ValueError, RecursionError):
        notes.append(f"{where} is torn or cannot be read, and was left out.")
        return {}
    if not isinstance(value, dict):
        notes.append(f"{where} is not a JSON object, and was left out.")
        return {}
    return cast("Json", value)


def _progress_notes(run: TrainingRun) -> list[str]:
    """Where an unfinished run stands."""
    if run.finished:
        return []
    if run.step is None:
        progress = "no step is on record yet. A checkpoint brings the first."
    else:
        progress = f"step {run.step} of {run.max_steps} is the last on record."
    return [f"This run is unfinished: {progress}{_ranks(run.folder / 'ranks')}"]


def _ranks(folder: Path) -> str:
    """What each rank did last."""
    phases: list[str] = []
    for path in sorted(folder.glob("rank_*.json"))[:_MAX_RANKS]:
        record = _read_object(path, [])
        since = number(record.get("since"))
        if since is None or not 0 <= since < 1e11:
            continue
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        detail = f" ({clip(record['detail'])})" if record.get("detail") else ""
        phases.append(
            f"rank {clip(record.get('rank'))} at {clip(record.get('phase'))}{detail} from {moment}"
        )
    return f" Last told by the ranks: {'; '.join(phases)}." if phases else ""


# --- for the page -------------------------------------------------------------------------------


def _run_payload(run: TrainingRun, name: str, sources: Mapping[str, str]) -> Json:
    pages = shows_pages({"benchmark": run.benchmark})
    trl = mapping(run.card.get("trl"))
    return {
        "name": name,
        "title": run_name(run),
        "pages": pages,
        "finished": run.finished,
        "step": run.step,
        "max_steps": run.max_steps,
        "notes": [*_progress_notes(run), *run.notes],
        "facts": run_facts(run.card),
        "reward": reward_sentence(run.card),
        "weights": _weights(run.card),
        "no_kl": number(trl.get("beta")) == 0,
        "lone_held_out": number(trl.get("num_generations_eval")) == 1,
        "card": clip(run.card),
        "curves": curves_payload(run.train, run.held_out, _batch(trl)),
        "kept": [step_payload(s, "html" if pages else "python", sources) for s in run.kept_steps],
    }


def _weights(card: Mapping[str, Any]) -> Json:
    rewards = mapping(card.get("rewards"))
    return {part: number(rewards.get(f"{part}_weight")) for part in ("vision", "format", "tool")}


def _batch(trl: Mapping[str, Any]) -> int | None:
    """Rollouts of a step, where every step plays one batch of them."""
    size, repeats = number(trl.get("generation_batch_size")), number(trl.get("num_iterations"))
    lengths = [trl.get(key) for key in ("steps_per_generation", "gradient_accumulation_steps")]
    if size is None or repeats != 1 or lengths[0] != lengths[1]:
        return None
    return int(size)


def require_alike(folders: Sequence[Path]) -> bool:
    """Whether all of them are training runs.

    Raises:
        DataError: Some are, some are not.
    """
    kinds = [is_training_run(folder) for folder in folders]
    if any(kinds) and not all(kinds):
        raise DataError(
            "training runs and scoring runs have reports of their own; name them apart: "
            + ", ".join(str(f) for f, kind in zip(folders, kinds, strict=True) if kind)
            + " is training"
        )
    return all(kinds)
