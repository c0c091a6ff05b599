"""The loop of the chart server: requests in, one confined fork an execution, answers out.

One thread, one selector. The server runs no script itself: it has imported the plotting packages,
and its forks inherit them. They inherit all of its memory, so nothing that a script must not see
passes through it: host and child exchange scripts and answers through descriptors of their own,
which the server only hands on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import confine, wire

WATCH_SECONDS = 0.2
CONFINED = b"C"
"""Written first of all into an answer; without it, the failure is ours."""
GROUND, SCRATCH = "ground", "scratch"
GC_THRESHOLDS = (50_000, 20, 20)
"""Rarer than Python's own: drawing makes many objects, and few of them live long."""
DESCRIPTORS = 2
"""Sent with every request: what to run is read from the first, the answer goes to the second."""


@dataclass
class Job:
    """One execution under way."""

    id: int
    pid: int
    pidfd: int
    scratch: str
    deadline: float
    started: float
    limits: confine.Limits
    ended_by: str | None = None


@dataclass
class Waiting:
    """A request that has not been started."""

    header: dict[str, Any]
    asked: int
    answer: int


@dataclass(frozen=True)
class Ground:
    """What this machine lets the server do; found out once, at the start."""

    level: str
    user: int | None
    folder: str
    readable: list[int]
    tasks: int = 0
    ruleset: int | None = None


def main(arguments: list[str]) -> int:
    """Serve the host: descriptor of the socket, level of confinement, an empty folder."""
    host = socket.socket(fileno=int(arguments[0]))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for every library folder
    wanted = arguments[1]
    folder = arguments[2]
    os.environ.setdefault("MPLCONFIGDIR", folder)
    try:
        entered = _enter(wanted)
        versions = _import_plotting()
        ground = _survey(wanted, entered, folder)
        check_descriptors({host.fileno(), ground.ruleset, *ground.readable})
        hello = {"hello": True, "level": ground.level, "user": _user_name(ground), **versions}
        host.sendall(wire.encode(hello))
        Server(host, ground).serve()
    finally:
        confine.unmount(str(Path(folder, GROUND)))
        remove_tree(folder)
    return 0


# ------------------------------------------------------------------------------- starting


def _enter(wanted: str) -> bool:
    """Enter namespaces where that is wanted and allowed; only before anything starts threads."""
    if wanted not in ("auto", "namespaces"):
        return False
    try:
        confine.enter_namespaces()
    except OSError:
        return False
    return True


def _import_plotting() -> dict[str, Any]:
    """Import what scripts use, and prepare the recorder; returns the versions."""
    from . import preload

    return preload.load()


def _survey(wanted: str, entered: bool, folder: str) -> Ground:
    """The best level that holds here, tried out in a fork."""
    Path(folder).chmod(0o711)
    readable = confine.open_readable(readable_paths())
    levels = list(confine.LEVELS if wanted == "auto" else [wanted])
    if "namespaces" in levels and not (entered and _has_ground(folder)):
        levels.remove("namespaces")
    users = [confine.NOBODY, None] if os.getuid() == 0 else [None]
    for level in levels:
        for user in users:
            tasks = confine.tasks_of(os.getuid() if user is None else user)
            ground = Ground(level, user, folder, readable, tasks)
            if level == "namespaces":
                ground = _with_ruleset(ground)
            if _holds(ground):
                return ground
            if ground.ruleset is not None:
                os.close(ground.ruleset)
    return Ground("none", None, folder, readable)


def _has_ground(folder: str) -> bool:
    """Prepare the one place that every fork mounts its own scratch on."""
    ground = Path(folder, GROUND)
    try:
        ground.mkdir(mode=0o711)
        confine.mount_ground(str(ground), SCRATCH)
    except OSError:
        return False
    return True


def _with_ruleset(ground: Ground) -> Ground:
    """One Landlock ruleset for all: each fork finds its own tmpfs in the one place it may write."""
    with contextlib.suppress(OSError):
        ruleset = confine.make_ruleset(
            ground.readable, str(Path(ground.folder, GROUND)), confine.DEVICES
        )
        return replace(ground, readable=[], ruleset=ruleset)
    return ground


def _library_samples() -> list[Path]:
    """A file of the standard library, of the packages and of the fonts.

    Scripts import what the server has not; an unprivileged user may be kept from it by a folder
    above, such as a home that only its owner enters.
    """
    import matplotlib
    from matplotlib import font_manager

    font = font_manager.findfont("DejaVu Sans")
    return [Path(str(path)) for path in (os.__file__, matplotlib.__file__, font)]


def _user_name(ground: Ground) -> str:
    if ground.user is not None:
        return f"uid {ground.user}"
    return "uid 0 without capabilities" if os.getuid() == 0 else "the user who started it"


def _holds(ground: Ground) -> bool:
    """Whether a fork can be confined like this and still reach the libraries."""
    scratch = make_scratch(ground, 0)
    pid = os.fork()
    if pid == 0:
        try:
            _confine(ground, confine.Limits(), scratch, os.getppid())
            Path("probe").write_text("x")
            for path in _library_samples():
                path.read_bytes()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    remove_scratch(ground, scratch)
    return status == 0


def readable_paths() -> list[str]:
    """The interpreter, its libraries, shared libraries, fonts and time zones; nothing of ours.

    Every entry of the library folders is listed by itself, so that packages which hold data to be
    kept from a script stay closed.
    """
    paths = [
        *("/etc/ld.so.cache",),
        *("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/zoneinfo", "/etc/localtime"),
        os.environ.get("MPLCONFIGDIR", ""),
    ]
    closed = ("rrvf", "_rrvf", "__editable__", "vlmeval", "training", "site-packages", "dist-p")
    folders = {sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib", "platstdlib")}
    for folder in sorted(folders):
        paths += [e.path for e in os.scandir(folder) if not e.name.lower().startswith(closed)]
    for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"):
        if Path(folder).is_dir():  # interpreters and their packages lie here as well
            paths += [e.path for e in os.scandir(folder) if not e.name.startswith("python")]
    for prefix in {sys.prefix, sys.base_prefix}:  # shared libraries of a conda environment
        paths += [str(path) for path in Path(prefix, "lib").glob("*.so*")]
    return list(dict.fromkeys(path for path in paths if path))


# -------------------------------------------------------------------------------- scratch


def make_scratch(ground: Ground, job: int) -> str:
    """The folder an execution may write to: one mount point for all, or one folder each."""
    if ground.level == "namespaces":
        return str(Path(ground.folder, GROUND, SCRATCH))
    folder = str(Path(ground.folder, f"scratch-{job}-{secrets.token_hex(8)}"))
    Path(folder).mkdir(mode=0o700)
    if ground.user is not None:
        os.chown(folder, ground.user, ground.user)
    return folder


def _room(ground: Ground, limits: confine.Limits) -> bool:
    """Whether a script on disk could use what it is promised; a tmpfs of its own always can."""
    if ground.level == "namespaces":
        return True
    disk = os.statvfs(ground.folder)
    return disk.f_bavail * disk.f_frsize >= limits.scratch_size


def remove_scratch(ground: Ground, folder: str) -> None:
    """Remove what an execution left behind."""
    if ground.level != "namespaces":
        remove_tree(folder)


def remove_tree(folder: str) -> None:
    """Remove a folder that a script has filled: deeper than recursion goes, or locked."""
    for command in (["/bin/chmod", "-R", "u+rwx", folder], ["/bin/rm", "-rf", "--", folder]):
        if os.path.lexists(folder):
            subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def overfull(folder: str, limits: confine.Limits) -> bool:
    """Whether a scratch folder on disk holds more than it may; looks no further than that."""
    files = size = 0
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        # What lies on disk, not how long the file says it is.
                        size += 512 * entry.stat(follow_symlinks=False).st_blocks
                    if files > limits.scratch_files or size > limits.scratch_size:
                        return True
        except FileNotFoundError:
            continue
        except PermissionError:
            if not _unlocked(here):
                return True
            pending.append(here)
        except OSError:  # a path too long to look at
            return True
    return False


def _unlocked(folder: str) -> bool:
    """Open a folder that its script has locked."""
    try:
        locked = Path(folder).stat().st_mode & 0o700 != 0o700
        Path(folder).chmod(0o700)
    except OSError:
        return False
    return locked


def _confine(ground: Ground, limits: confine.Limits, scratch: str, parent: int) -> None:
    limits = replace(limits, tasks=limits.tasks + ground.tasks)
    confine.confine(
        *(ground.level, limits, scratch, ground.readable, ground.user, parent, ground.ruleset)
    )


# --------------------------------------------------------------------------------- serving


class Server:
    """Forks for requests, and answers each exactly once."""

    def __init__(self, host: socket.socket, ground: Ground) -> None:
        self._host = host
        self._ground = ground
        self._decoder = wire.Decoder()
        self._selector = selectors.DefaultSelector()
        self._jobs: dict[int, Job] = {}
        self._descriptors: deque[int] = deque()
        self._waiting: deque[Waiting] = deque()
        self._workers = 1
        self._count = 0

    def serve(self) -> None:
        """Until the host hangs up."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._selector.register(self._host, selectors.EVENT_READ, None)
        try:
            while self._step():
                pass
        finally:
            for job in self._jobs.values():
                os.kill(job.pid, signal.SIGKILL)
            for job in self._jobs.values():
                os.waitpid(job.pid, 0)

    def _step(self) -> bool:
        """Wait for something to happen and deal with it; ``False`` when the host is gone."""
        for key, _ in self._selector.select(WATCH_SECONDS if self._jobs else None):
            if key.data is None:
                if not self._hear():
                    return False
            else:
                self._finish(key.data)
        self._watch()
        while self._waiting and len(self._jobs) < self._workers:
            self._start(self._waiting.popleft())
        return True

    def _hear(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._host, 1 << 16, 64 * DESCRIPTORS)
        if not data:
            return False
        self._descriptors += descriptors
        for header, _ in self._decoder.feed(data):
            self._workers = header["workers"]
            asked, answer = self._descriptors.popleft(), self._descriptors.popleft()
            self._waiting.append(Waiting(header, asked, answer))
        return True

    def _start(self, request: Waiting) -> None:
        limits = confine.Limits(**request.header["limits"])
        self._count += 1
        try:
            if not _room(self._ground, limits):
                raise OSError("no space left")
            scratch = make_scratch(self._ground, self._count)
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._be_child(request, limits, scratch, parent)
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            refused = {"outcome": "not_started", "reason": str(error)}
            self._reply(request.header["id"], refused)
            return
        finally:
            os.close(request.asked)
            os.close(request.answer)
        now = time.monotonic()
        deadline = now + limits.wall_seconds
        job = Job(request.header["id"], pid, pidfd, scratch, deadline, now, limits)
        self._jobs[pid] = job
        self._selector.register(pidfd, selectors.EVENT_READ, job)

    def _be_child(
        self, request: Waiting, limits: confine.Limits, scratch: str, parent: int
    ) -> None:
        """In the fork: confine, execute, answer, end. Never returns."""
        code = 1
        try:
            # Where memory runs out, a script goes before its host does.
            Path("/proc/self/oom_score_adj").write_text("1000")
            kept = {request.asked, request.answer, *self._ground.readable}
            _quiet_descriptors(kept | {self._ground.ruleset})
            _confine(self._ground, limits, scratch, parent)
            os.write(request.answer, CONFINED)
        except BaseException:
            os._exit(1)
        try:
            from . import preload

            preload.execute(request.asked, request.answer, scratch)
            code = 0
        finally:
            os._exit(code)

    def _watch(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if now > job.deadline:
                self._kill(job, "time")
            elif self._ground.level != "namespaces" and overfull(job.scratch, job.limits):
                self._kill(job, "files")

    def _kill(self, job: Job, reason: str) -> None:
        if job.ended_by is None:
            job.ended_by = reason
            os.kill(job.pid, signal.SIGKILL)

    def _finish(self, job: Job) -> None:
        self._selector.unregister(job.pidfd)
        os.close(job.pidfd)
        _, status, usage = os.wait4(job.pid, 0)
        del self._jobs[job.pid]
        remove_scratch(self._ground, job.scratch)
        header: dict[str, Any] = {
            "outcome": "ended",
            "seconds": round(time.monotonic() - job.started, 4),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 4),
            "exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "ended_by": job.ended_by,
        }
        self._reply(job.id, header)

    def _reply(self, job_id: int, header: dict[str, Any]) -> None:
        self._host.sendall(wire.encode({"id": job_id, **header}))


def open_files() -> dict[int, str]:
    """Descriptor -> what it is open on, beyond the three standard streams."""
    found: dict[int, str] = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # the listing's own
            found[int(entry.name)] = str(entry.readlink())
    return {number: target for number, target in found.items() if number > 2}


def check_descriptors(known: set[int | None]) -> None:
    """Refuse to serve with a file open that a fork would share, or close under its owner.

    Raises:
        RuntimeError: A package has left a file open.
    """
    unknown = {number: name for number, name in open_files().items() if number not in known}
    if unknown:
        listed = ", ".join(sorted(set(unknown.values())))
        raise RuntimeError(f"files left open before the first script would run: {listed}")


def _quiet_descriptors(kept: set[int | None]) -> None:
    """Nothing inherited but what is to be kept."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for entry in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(entry.name)
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                continue
