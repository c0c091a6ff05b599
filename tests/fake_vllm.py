"""Stands in for ``vllm serve``: a real process with a child of its own, and answers by heart.

``install(folder)`` puts it on a PATH. Files in the folder tell it what to do, and what it did:

* ``hold-start``: it answers nothing yet; ``hold-POLICY``: once that many questions are answered, it
  answers no further one; ``fail``: it ends with this text in its log.
* ``started``, ``engines``, ``asked``: a line for each start, child and answered question.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.chat_server import ChatServer, Reply, Request, answer, models

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = "FAKE_VLLM_FOLDER"
CHART = 'import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.title("{title}")\n'
PAGE = "<!DOCTYPE html><html><body><h1>{title}</h1><p>A text.</p></body></html>"


def play(request: Request) -> Reply:
    """What a policy says, and a teacher: nothing but a function of the question."""
    is_page = "html" in request.text.lower()
    language, argument = ("html", "html_code") if is_page else ("python", "python_code")
    if "teacher" in request.body["model"].lower() or "72B" in request.body["model"]:
        return answer("-**Text**- The title is another one.")
    seen = hashlib.sha256(request.pictures[0]).hexdigest()[:6]
    turn = request.text.count("<tool_response>")
    code = (PAGE if is_page else CHART).format(title=f"{seen} {turn}")
    if argument in request.text and turn == 0:
        call = {"name": f"{language}_render_and_compare_tool", "arguments": {argument: code}}
        return answer(f"<think>First.</think><tool_call>{json.dumps(call)}</tool_call>")
    return answer(f"<think>Done.</think><answer>\n```{language}\n{code}\n```\n</answer>")


def install(folder: Path, *gib: int) -> dict[str, str]:
    """A PATH with it and with an ``nvidia-smi`` that tells of cards of such sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    cards = "\n".join(f"{n}, GPU-{n}, {size * 1024}" for n, size in enumerate(gib))
    serve = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
    serve += "from tests.fake_vllm import main\nmain()\n"
    programs = {"vllm": serve, "nvidia-smi": f"print({cards!r})\n"}
    for name, text in programs.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, FOLDER: str(folder)}


def read_lines(folder: Path, name: str) -> list[Any]:
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> NoReturn:
    """``vllm serve CHECKPOINT --port N --served-model-name NAME ...``."""
    folder = Path(os.environ[FOLDER])
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("checkpoint")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    told, _ = parser.parse_known_args()
    cards = os.environ.get("CUDA_VISIBLE_DEVICES")
    started = {"pid": os.getpid(), "words": sys.argv[1:], "cards": cards, "env": [*os.environ]}
    _note(folder, "started", started)
    print("INFO: loading weights", flush=True)
    if (folder / "fail").exists():
        sys.exit((folder / "fail").read_text())
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    _note(folder, "engines", engine.pid)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _wait_while(folder / "hold-start")
    server = Server(folder, told.port)
    server.models = models({"id": told.served_model_name, "root": told.checkpoint})
    try:
        with server:
            threading.Event().wait()
    finally:
        os._exit(0)  # and its child is left behind, as an engine may be


class Server(ChatServer):
    """Notes what it has answered, and holds on where it is told to."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__(self._replied, port)

    def _replied(self, request: Request) -> Reply:
        n_asked = len(read_lines(self.folder, "asked"))
        _wait_while(self.folder / f"hold-{n_asked}")
        _note(self.folder, "asked", fingerprint(request.body))
        return play(request)


def fingerprint(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _note(folder: Path, name: str, entry: object) -> None:
    with (folder / name).open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _wait_while(path: Path) -> None:
    while path.exists():
        time.sleep(0.02)
