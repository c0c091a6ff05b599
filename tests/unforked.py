"""Execute one request of the chart server in an interpreter of its own: no server, no fork.

Called as ``PYTHON tests/unforked.py REQUEST ANSWER`` in the working folder of the script. The
recorder is the server's; nothing was drawn before, no module is hidden, no font file was closed.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parents[1] / "rrvf" / "renderers" / "chart_server" / "__main__.py"
TOKEN = "00" * 32
ENDED = {
    "outcome": "ended",
    "seconds": 0.0,
    "cpu_seconds": 0.0,
    "exit": 0,
    "signal": None,
    "ended_by": None,
    "crowded": False,
    "confined": True,
}


def execute(request: Path, answer: Path) -> None:
    """Run what ``request`` holds, and write what a fork would send back."""
    runpy.run_path(str(SERVER))["load_package"]()
    preload: Any = importlib.import_module("rrvf_chart_server.preload")
    preload._warm_up = preload._release_fonts = lambda: None
    preload.load()
    asked = os.open(request, os.O_RDONLY)
    answers = os.open(answer, os.O_WRONLY | os.O_CREAT)
    preload.execute(asked, answers, str(Path.cwd()))
    os._exit(0)  # as a fork ends: the threads of a script are left behind


def ask_unforked(
    python: Path, environment: Mapping[str, str], request: Mapping[str, Any]
) -> tuple[dict[str, Any], bytes | None]:
    """What ``_Server.ask`` returns, from a fresh interpreter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work, asked, answer = folder / "work", folder / "asked", folder / "answer"
        work.mkdir()
        asked.write_text(json.dumps({**request, "token": TOKEN}), encoding="utf-8")
        done = subprocess.run(
            [str(python), "-s", "-P", __file__, str(asked), str(answer)],
            cwd=work,
            env={**environment, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            return {**ENDED, "exit": None, "signal": -done.returncode}, None
        return {**ENDED}, answer.read_bytes()[len(bytes.fromhex(TOKEN)) :]


Ask = Callable[[dict[str, Any], int, Any], tuple[dict[str, Any], bytes | None]]


def unforked(python: Path, environment: Mapping[str, str]) -> Ask:
    """An ``ask`` for the renderer's server."""
    return lambda request, _workers, _limits: ask_unforked(python, environment, request)


if __name__ == "__main__":
    execute(Path(sys.argv[1]), Path(sys.argv[2]))
