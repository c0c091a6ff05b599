"""The real command ``rrvf serve`` in a process of its own, on a port that was free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrvf.serving.client import EnvironmentClient

_SECONDS = 60

PYTHON = os.environ.get("RRVF_SERVE_PYTHON", sys.executable)
"""Of the environment that draws, where this one cannot."""


@dataclass
class Served:
    """A service that runs."""

    process: subprocess.Popen[str]
    url: str

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@contextmanager
def serving(
    *arguments: object, port: object = 0, env: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """The service, ready, until the context ends."""
    process = subprocess.Popen(
        [PYTHON, "-m", "rrvf", "serve", *map(str, arguments), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), f"rrvf serve did not start: exit {process.poll()}"
        yield Served(process, url)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_SECONDS)
        process.stdout.close()


@contextmanager
def served(*arguments: object, **options: Any) -> Iterator[EnvironmentClient]:
    """A client of a service that runs until the context ends."""
    with serving(*arguments) as service, EnvironmentClient(service.url, **options) as client:
        yield client


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Files of a data set, by name; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
