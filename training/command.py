"""What the training commands share: how they start, and how they report a mistake."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rrvf.errors import RrvfError, UserError


def run_as_command(main: Callable[[], None]) -> None:
    """Run a command; a user's mistake is a line, not a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Threads that spin while they wait take many times as long on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    prepare_backend()
    try:
        main()
    except RrvfError as error:
        print(f"training: {error}", file=sys.stderr)
        sys.exit(2)


def read_arguments(classes: Sequence[type], **defaults: Any) -> tuple[Any, ...]:
    """Read the flags and the file that ``--config`` names.

    Args:
        classes: Dataclasses whose fields are the flags. What is read is pickled with every
            checkpoint, so a class must stand in a module, not in a function.
        defaults: Of ours, by field, in place of a class's own.

    Returns:
        An instance of each class.

    Raises:
        UserError: A flag, a key or the file cannot be used.
    """
    trl: Any = importlib.import_module("trl")
    yaml: Any = importlib.import_module("yaml")
    parser = trl.TrlParser(classes)
    parser.set_defaults(**defaults)
    try:
        *read, file_words, flag_words = parser.parse_args_and_config(
            return_remaining_strings=True, separate_remaining_strings=True
        )
    except IndexError as error:  # TRL takes the word after --config, whether there is one or not
        raise UserError("--config names no file; give a recipe's") from error
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise UserError(" ".join(str(error).split())) from error
    _refuse_unknown([*file_words, *flag_words])
    return tuple(read)


def _refuse_unknown(words: Sequence[str]) -> None:
    """Refuse what no class has a field for; GRPO's keys in supervised training, too.

    Raises:
        UserError: There are such words; names them.
    """
    names = [word.removeprefix("--") for word in words if word.startswith("--")] or words
    if names:
        raise UserError(
            f"this command has no option {', '.join(names)}: "
            "leave it out, or spell it as --help does"
        )


def prepare_backend() -> None:
    """Let several processes run where there is no GPU, before anything else asks for a backend."""
    torch: Any = importlib.import_module("torch")
    if torch.cuda.is_available():
        return
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    # DeepSpeed would wait for oneCCL, which is rarely there; its ZeRO-3 needs a backend of its own
    # before the model is made.
    deepspeed: Any = importlib.import_module("deepspeed")
    deepspeed.init_distributed(dist_backend="gloo")


def tell_ranks() -> None:
    """Let accelerate know of the ranks; without a GPU it counts one under DeepSpeed (1.15)."""
    torch: Any = importlib.import_module("torch")
    ranks: Any = torch.distributed
    if torch.cuda.is_available() or not ranks.is_initialized():
        return
    accelerate: Any = importlib.import_module("accelerate")
    state = accelerate.PartialState()
    if state.num_processes < ranks.get_world_size():
        state.num_processes = ranks.get_world_size()
        state.process_index = ranks.get_rank()
        state.local_process_index = int(os.environ.get("LOCAL_RANK", "0"))
        state.backend = ranks.get_backend()
