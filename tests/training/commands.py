"""Shared by the tests of whole runs: training's commands as users type them, and a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "training" / "configs"
EPISODES = 4
"""Of a batch of GRPO, on each rank."""


def command_of(name: str, config: Path, **flags: object) -> list[str]:
    """``python -m training.NAME --config FILE`` with flags, less the interpreter."""
    told = [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]
    return ["-m", f"training.{name}", "--config", str(config), *told]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """One thread, so that sums come in the same order each time; nothing is downloaded."""
    fixed = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **fixed, **(more or {})}


def run_to_end(command: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed.

    Returns:
        What it wrote to both streams.
    """
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment(more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def kill_after(
    checkpoint: Path,
    command: Sequence[str],
    more: Mapping[str, str] | None = None,
) -> None:
    """Run a command, and kill it and its children by SIGKILL once a checkpoint is whole."""
    log = checkpoint.parent.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(more),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            while not (checkpoint / "whole").exists():
                assert process.poll() is None, log.read_text()[-4000:]
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]
