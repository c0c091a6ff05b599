"""A vLLM server on this machine's CPU, for as long as a check needs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

NAME = "tiny"
"""Of the model at the server."""

READY_SECONDS = 600
STOP_SECONDS = 20
LOG_LINES = 40

ENVIRONMENT = {
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
OPTIONS = (
    *("--dtype", "float32", "--enforce-eager", "--max-model-len", "4096", "--max-num-seqs", "4"),
    *("--limit-mm-per-prompt", json.dumps({"image": 8, "video": 0})),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
)


class ServerError(Exception):
    """The server did not start; holds the end of its log."""


@contextmanager
def serve(python: Path, model: Path, log: Path, n_replicas: int = 1) -> Generator[str]:
    """Run a server and yield its base URL; at the end it and all its processes are gone.

    Args:
        python: Interpreter of an environment with vLLM.
        model: Folder of the model, which the server calls :data:`NAME`.
        log: Gets what the server says.
        n_replicas: Copies of the model behind the one address.

    Raises:
        ServerError: It ended or was not ready in time.
    """
    port = _free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), *OPTIONS]
    if n_replicas > 1:
        command += ["--data-parallel-size", str(n_replicas)]
    with log.open("wb") as said:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _stop(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    ends = time.monotonic() + READY_SECONDS
    while not _answers(address):
        if server.poll() is not None:
            raise _failure(f"the server ended with status {server.returncode}", log)
        if time.monotonic() > ends:
            raise _failure(f"the server was not ready in {READY_SECONDS} s", log)
        time.sleep(1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _failure(what: str, log: Path) -> ServerError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return ServerError("\n".join([f"{what}; the end of {log}:", *lines]))


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the whole session, its engine included, gently and then by force."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, sign)
        except ProcessLookupError:
            break
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    server.wait()
