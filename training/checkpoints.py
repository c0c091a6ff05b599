"""Checkpoints that are whole: one torn by a kill is passed over when a run goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

_NAME = re.compile(r"checkpoint-(\d+)")
_MARK = "whole"


class MarkWhole(TrainerCallback):
    """Marks a checkpoint once everything in it is written."""

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """TRL and transformers have written it."""
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _MARK).touch()


def last_whole(out: Path) -> Path | None:
    """The last checkpoint that was written to its end, ``None`` without any."""
    found = [
        (int(match[1]), path)
        for path in out.glob("checkpoint-*")
        if (match := _NAME.fullmatch(path.name)) and (path / _MARK).exists()
    ]
    return max(found)[1] if found else None
