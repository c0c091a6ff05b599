"""Checkpoints: a resumed run skips one that a kill tore, and loads a complete one completely."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

_NAME = re.compile(r"checkpoint-(\d+)")
_MARK = "whole"


class MarkWhole(TrainerCallback):
    """Marks a checkpoint once everything in it is written."""

    def on_save(self, args: Any, state: Any, control: Any, **extras: Any) -> None:
        """TRL and transformers have written it, on every rank."""
        importlib.import_module("accelerate").PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _MARK).touch()


def find_checkpoint(out: Path) -> Path | None:
    """The last checkpoint that was written to its end, ``None`` without any."""
    checkpoints = [
        (int(match[1]), path)
        for path in out.glob("checkpoint-*")
        if (match := _NAME.fullmatch(path.name)) and (path / _MARK).exists()
    ]
    return max(checkpoints)[1] if checkpoints else None


def load_weights(checkpoint: Path, model: Any) -> None:
    """Give a model all of a checkpoint's weights.

    transformers 5 writes Qwen2.5-VL's weights under the names of older releases. Its
    ``from_pretrained`` knows that; its trainer does not: it warns of missing keys and goes on from
    the weights that training began with (5.23).
    """
    hub: Any = importlib.import_module("transformers")
    load = hub.AutoModelForImageTextToText.from_pretrained
    model.load_state_dict(load(checkpoint, dtype="auto").state_dict())
