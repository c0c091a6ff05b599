"""vLLM servers of a row: started as child processes, awaited, and always stopped.

Each server is noted in the row's folder. If a server outlived its parent, the next start uses it if
it serves the same model, and stops it otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from rrvf.chat.faults import Endpoint
from rrvf.chat.wire import Wire
from rrvf.errors import SetupError
from rrvf.files import write_atomically
from rrvf.reproduce.gpus import assign_gpus
from rrvf.reproduce.job import NO_KEY, Job, Role

Tell = Callable[[str], None]

_SHARE = 0.9
"""Of a GPU's memory, for weights and cache."""

_POLL_SECONDS = 0.5
_LIST_SECONDS = 10.0
_END_SECONDS = 30.0
_MOST_LOG = 4096


@dataclass(frozen=True, slots=True)
class Note:
    """Who a server is.

    Attributes:
        pid: Of its process, which leads a group of its own.
        born: When that process began, in the kernel's ticks: a pid may come again.
        port: Where it listens.
        words: What it was started by, but for the port.
    """

    pid: int
    born: int
    port: int
    words: tuple[str, ...]

    def is_alive(self) -> bool:
        """The same process is still there."""
        return _read_birth(self.pid) == self.born


@contextmanager
def serve_models(job: Job, tell: Tell) -> Generator[Mapping[Role, str | None]]:
    """URLs of everybody who plays; what was started here ends with the context.

    Raises:
        SetupError: A server does not start.
    """
    end_strays(job)
    gpus = assign_gpus(job)
    urls: dict[Role, str | None] = {role: job.url(role) for role in job.models()}
    with ExitStack() as stack:
        servers: dict[Role, Note] = {
            role: stack.enter_context(_running(job, role, gpus.get(role), tell))
            for role in job.models()
            if job.is_started_here(role)
        }
        for role, note in servers.items():
            _await(job, role, note, tell)
            urls[role] = _url(note)
        yield urls


def end_strays(job: Job, *, keep: bool = True) -> None:
    """End what an earlier start left running.

    Args:
        job: Whose folder.
        keep: Leave those that this start can go on with.
    """
    for file in sorted((job.out / "servers").glob("*.json")):
        note = _read_note(file)
        role = cast("Role", file.stem)
        is_of_use = keep and role in job.models() and job.is_started_here(role)
        if note is not None and is_of_use and note.words == _words(job, role):
            continue
        if note is not None:
            _end(note)
        file.unlink(missing_ok=True)


def list_models(url: str, model: str, key_variable: str) -> list[str] | None:
    """Names of the models that a server lists; ``None`` where it has no list.

    Raises:
        SetupError: Nothing answers there.
    """
    key = os.environ.get(key_variable, "").strip() or None
    endpoint = Endpoint(url, model, key_variable, key)
    wire = Wire(endpoint)
    try:
        reply = wire.get("/models", _LIST_SECONDS)
    except Exception as error:  # of the HTTP library, whichever that is
        raise SetupError(f"nothing answers at {endpoint.name}") from error
    finally:
        wire.close()
    try:
        data: Any = json.loads(reply.body)["data"]
        return [str(entry["id"]) for entry in data] if reply.status == 200 else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


# ------------------------------------------------------------------------------ one server


@contextmanager
def _running(job: Job, role: Role, gpus: Sequence[str] | None, tell: Tell) -> Generator[Note]:
    """A server of our own, perhaps one that an earlier start left."""
    file = job.out / "servers" / f"{role}.json"
    note = _read_note(file)
    if note is not None and note.is_alive():
        tell(f"servers: {role} still runs (process {note.pid}); it is gone on with")
    else:
        note = _start(job, role, file, gpus)
        tell(f"servers: {role} starts (process {note.pid}); its log is {_log(job, role)}")
    try:
        yield note
    finally:
        _end(note)
        file.unlink(missing_ok=True)


def _start(job: Job, role: Role, file: Path, gpus: Sequence[str] | None) -> Note:
    words, port = _words(job, role), _find_port()
    keys = {job.options.key_variable, job.options.teacher_key_variable}
    keys |= {job.options.judge_key_variable}
    environment = {name: value for name, value in os.environ.items() if name not in keys}
    if gpus is not None:
        # In the order in which nvidia-smi counts them.
        environment |= {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        }
    file.parent.mkdir(parents=True, exist_ok=True)
    with _log(job, role).open("ab") as log:
        process = subprocess.Popen(
            [*words, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    note = Note(process.pid, _read_birth(process.pid) or 0, port, words)
    write_atomically(file, json.dumps(asdict(note)).encode())
    return note


def _words(job: Job, role: Role) -> tuple[str, ...]:
    """The command, but for the port."""
    part, checkpoint = job.models()[role], job.checkpoint(role)
    words = [shutil.which("vllm") or "vllm", "serve", str(checkpoint), "--host", "127.0.0.1"]
    words += ["--served-model-name", job.model_name(role)]
    words += ["--tensor-parallel-size", str(part.gpus)]
    words += ["--gpu-memory-utilization", str(_SHARE)]
    words += ["--limit-mm-per-prompt", json.dumps({"image": part.pictures})]
    if part.max_model_len is not None:
        words += ["--max-model-len", str(part.max_model_len)]
    return (*words, *part.vllm)


def _await(job: Job, role: Role, note: Note, tell: Tell) -> None:
    """Wait until a server answers.

    Raises:
        SetupError: It ended, or takes too long.
    """
    deadline = time.monotonic() + job.options.patience
    while time.monotonic() < deadline:
        with suppress(SetupError):
            if job.model_name(role) in (list_models(_url(note), "", NO_KEY) or ()):
                tell(f"servers: {role} answers at {_url(note)}")
                return
        _reap(note)
        if not note.is_alive():
            raise SetupError(
                f"the {role}'s vllm serve has ended{_quote_log(job, role)}; see {_log(job, role)}"
            )
        time.sleep(_POLL_SECONDS)
    raise SetupError(
        f"the {role}'s vllm serve does not answer after {job.options.patience:g} s; see "
        f"{_log(job, role)}, or raise --patience"
    )


def _end(note: Note) -> None:
    """End a server and whatever it started."""
    for number, seconds in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, _END_SECONDS)):
        if not note.is_alive():
            break
        with suppress(OSError):
            os.killpg(note.pid, number)
        deadline = time.monotonic() + seconds
        while note.is_alive() and time.monotonic() < deadline:
            _reap(note)
            time.sleep(0.05)
    # Its engines may outlive it; a group keeps its number as long as one of them is there.
    with suppress(OSError):
        os.killpg(note.pid, signal.SIGKILL)


def _reap(note: Note) -> None:
    """Take note of the end of a child; of one that was found running others do."""
    with suppress(OSError):
        os.waitpid(note.pid, os.WNOHANG)


def _read_note(file: Path) -> Note | None:
    try:
        entry = json.loads(file.read_bytes())
        note = Note(
            int(entry["pid"]), int(entry["born"]), int(entry["port"]), tuple(entry["words"])
        )
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return note if note.pid > 1 and note.is_alive() else None


def _read_birth(pid: int) -> int | None:
    """When a process began; ``None`` where there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _quote_log(job: Job, role: Role) -> str:
    """The last line of the log, shortened."""
    try:
        tail = _log(job, role).read_bytes()[-_MOST_LOG:].decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return f" ({lines[-1][:200]})" if lines else ""


def _log(job: Job, role: Role) -> Path:
    return job.out / "servers" / f"{role}.log"


def _url(note: Note) -> str:
    return f"http://127.0.0.1:{note.port}/v1"


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
