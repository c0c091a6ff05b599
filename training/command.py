"""What the training commands share: how they begin, and how they tell a mistake."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from rrvf.errors import RrvfError


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


def prepare_backend() -> None:
    """Let DeepSpeed run where there is no GPU, before anything asks it for a backend."""
    import torch

    if torch.cuda.is_available():
        return
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
