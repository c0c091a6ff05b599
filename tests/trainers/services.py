"""Shared by the tests of trainers: ``rrvf serve`` as a process, and data for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.runs import RRVF, environment

STOP_SECONDS = 60


@dataclass
class Served:
    """A service that was started.

    Attributes:
        url: Where it answers.
        process: Its process.
    """

    url: str
    process: subprocess.Popen[str]


@contextmanager
def served(*words: object, **env: str) -> Iterator[Served]:
    """``rrvf serve`` with these words, until the end of the context."""
    command = [RRVF, "serve", *map(str, words), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(**env)
    )
    assert process.stdout is not None
    told: list[str] = []
    try:
        for line in process.stdout:
            told.append(line)
            if line.startswith("http://"):
                yield Served(line.strip(), process)
                return
        raise AssertionError(f"it did not start: {''.join(told)}")
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Files of a data set, by name; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
