"""The loop of the chart server: requests in, one confined fork per execution, answers out.

It has one thread and one selector. The server itself runs no script: it imports the plotting
packages, and its forks inherit them. Forks inherit all of its memory, so the server's memory must
never contain a script or an answer. Host and child exchange them directly, through descriptors that
the server only passes on.
"""

from __future__ import annotations

import contextlib
import gc
import mimetypes
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
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import confine, explain, memory, surroundings, usage, wire
from .modules import Shelf, Store

Execute = Callable[[int, int, str], None]
"""In a fork: request's descriptor, answer's descriptor, scratch folder."""
WATCH_SECONDS = 0.2
COUNT_SECONDS = 0.05
"""Between two looks where the server has to count threads."""
CONFINED = b"C"
"""Written first of all into an answer; without it, the failure is ours."""
SPARE_TASKS = 1024
"""Threads that others of the same user may start where the kernel counts all of them together."""
DESCRIPTORS = 2
"""Sent with every request: what to run is read from the first, the answer goes to the second."""


@dataclass
class Job:
    """One execution under way."""

    id: int
    pid: int
    pidfd: int
    scratch: str | None
    deadline: float
    start: float
    limits: confine.Limits
    user: int | None
    most_tasks: int
    ended_by: str | None = None


@dataclass
class WaitingRequest:
    """A request that has not been started."""

    header: dict[str, Any]
    request_fd: int
    answer_fd: int


@dataclass(frozen=True)
class Identities:
    """Whom scripts run as, one after the other.

    Attributes:
        users: Users of which each script gets one of its own; empty where all keep the server's.
        capability: What such a user keeps of root's powers.
        own_namespace: Each script runs in a user namespace of its own.
    """

    users: range = range(0)
    capability: int | None = None
    own_namespace: bool = False

    def pick(self) -> confine.Identity:
        """One for the next script; two scripts, be it of two servers, hardly ever get the same."""
        user = secrets.choice(self.users) if self.users else None
        return confine.Identity(user, self.capability, self.own_namespace)

    def are_counted_apart(self) -> bool:
        """Whether the kernel counts the threads of each script by themselves."""
        return bool(self.users) or self.own_namespace

    def name(self) -> str:
        """For a person."""
        if self.users:
            reading_right = "" if self.capability is None else ", which may read what root may"
            return f"a uid of its own for each, {self.users[0]} or above{reading_right}"
        return "uid 0 without capabilities" if os.getuid() == 0 else "the user who started it"


@dataclass(frozen=True)
class Ground:
    """What this machine lets the server do; found out once, at the start.

    Attributes:
        level: One of ``confine.LEVELS``, or ``none``.
        folder: The server's own, on disk.
        identities: Whom scripts run as.
        readable: Descriptors of what they may read.
        tmpfs: Where their tmpfs is mounted; ``None`` where they get folders on disk.
        libraries: Folders of libraries, which stay visible where something above is covered.
        covered_folders: Closed folders that are covered, for the sake of the libraries below them.
    """

    level: str
    folder: str
    identities: Identities
    readable: list[int]
    tmpfs: str | None = None
    libraries: tuple[str, ...] = ()
    covered_folders: tuple[str, ...] = ()


def main(arguments: list[str], shelf: Shelf) -> int:
    """Serve the host.

    Args:
        arguments: Descriptor of the socket, level of confinement, an empty folder.
        shelf: Notes what is loaded, and puts it away before the first script.
    """
    gc.disable()  # what is loaded is there to stay; the garbage of it goes at once, in preload
    host = socket.socket(fileno=int(arguments[0]))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for every library folder
    choice = arguments[1]
    folder = arguments[2]
    cache_folder = os.environ.get("MPLCONFIGDIR", folder)
    os.environ["MPLCONFIGDIR"] = cache_folder
    ground: Ground | None = None
    tmpfs: str | None = None
    try:
        tmpfs = _enter(choice, folder)
        with _move_settings(tmpfs, cache_folder):
            versions, execute = _import_plotting()
        explain.list_host_folders()
        ground = _survey(choice, tmpfs, folder)
        check_descriptors({host.fileno(), *ground.readable})
        host.sendall(wire.encode({"hello": True, **_describe(ground), **versions}))
        store = shelf.put_away(__package__ or "")
        Server(host, ground, execute, store).serve()
    finally:
        mount_points = (*(ground.covered_folders if ground else ()), *([tmpfs] if tmpfs else ()))
        for mount_point in mount_points:
            confine.unmount(mount_point)
        remove_tree(folder)
    return 0


# ------------------------------------------------------------------------------- starting


def _enter(choice: str, folder: str) -> str | None:
    """Enter namespaces where that is wanted and allowed; only before anything starts threads.

    Returns:
        The place for the scripts' folders, ``None`` where they get none there.
    """
    if choice not in ("auto", "namespaces") or not confine.works(confine.enter_namespaces):
        return None
    try:
        confine.enter_namespaces()
        ground = surroundings.find_ground([*surroundings.list_library_folders(), folder])
        if ground is not None:
            surroundings.mount_ground(ground)
    except OSError:
        return None
    return ground


@contextlib.contextmanager
def _move_settings(tmpfs: str | None, cache_folder: str) -> Generator[None]:
    """Have matplotlib keep its list of fonts where scripts find it and learn nothing of the host.

    Args:
        tmpfs: The ground; without one the host's own folder is used.
        cache_folder: The host's folder, where the list comes from and goes to.
    """
    if tmpfs is None:
        yield
        return
    settings = str(Path(tmpfs, surroundings.SETTINGS))
    surroundings.copy_files(cache_folder, settings)
    os.environ["MPLCONFIGDIR"] = settings
    yield
    surroundings.copy_files(settings, cache_folder)
    surroundings.freeze_ground(tmpfs)


def _import_plotting() -> tuple[dict[str, Any], Execute]:
    """Import what scripts use, and prepare the recorder.

    Returns:
        Versions of the packages, and what a fork does with a request.
    """
    from . import packages

    packages.load()

    from . import preload

    return preload.load(), preload.execute


def _describe(ground: Ground) -> dict[str, Any]:
    places = surroundings.list_private_places(ground.libraries) if ground.tmpfs else {}
    return {
        "level": ground.level,
        "user": ground.identities.name(),
        "threads": "kernel" if ground.identities.are_counted_apart() else "server",
        "private": sorted(places.values()),
    }


def _survey(choice: str, tmpfs: str | None, folder: str) -> Ground:
    """The best level that holds here, tried out in a fork."""
    Path(folder).chmod(0o711)
    readable = confine.open_readable(list_readable_paths())
    levels = list(confine.LEVELS if choice == "auto" else [choice])
    if "namespaces" in levels and tmpfs is None:
        levels.remove("namespaces")
    libraries = tuple(surroundings.list_library_folders())
    for level in levels:
        for identities in _list_identities(level):
            ground = Ground(level, folder, identities, readable)
            if level == "namespaces":
                ground = _open_libraries(replace(ground, tmpfs=tmpfs, libraries=libraries))
            if _holds(ground):
                return ground
            for mount_point in ground.covered_folders:
                confine.unmount(mount_point)
    return Ground("none", folder, Identities(), readable)


def _list_identities(level: str) -> list[Identities]:
    """Whom scripts may run as, the safest first."""
    if os.getuid() != 0:
        return [Identities(own_namespace=confine.works(confine.count_threads_apart)), Identities()]
    users = confine.unused_users()
    identities = [Identities(users)] if users else []
    if users and level in ("namespaces", "landlock"):
        # Without Landlock these could read everything.
        powers = (confine.CAP_DAC_READ_SEARCH, confine.CAP_DAC_OVERRIDE)
        identities += [Identities(users, power) for power in powers]
    return [*identities, Identities()]


def _open_libraries(ground: Ground) -> Ground:
    """Let another user reach the libraries, be it in root's private home."""
    if not ground.identities.users or ground.identities.capability is not None:
        return ground
    with contextlib.suppress(OSError):
        return replace(
            ground, covered_folders=tuple(surroundings.open_closed_folders(list(ground.libraries)))
        )
    return ground


def _list_library_samples() -> list[Path]:
    """A file of the standard library, of the packages and of the fonts.

    Scripts import what the server has not; an unprivileged user may be kept from it by a folder
    above, such as a home that only its owner enters.
    """
    import matplotlib
    from matplotlib import font_manager

    font = font_manager.findfont("DejaVu Sans")
    return [Path(str(path)) for path in (os.__file__, matplotlib.__file__, font)]


def _holds(ground: Ground) -> bool:
    """Whether a fork can be confined like this and still reach the libraries."""
    identity = ground.identities.pick()
    root = make_scratch(ground, identity, 0)
    pid = os.fork()
    if pid == 0:
        try:
            place = _confine(ground, confine.Limits(), identity, root, os.getppid())
            for folder in (place.work, *place.writable()):
                Path(folder, "probe").write_text("x")
            for path in _list_library_samples():
                path.read_bytes()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    remove_scratch(root)
    return status == 0


def list_readable_paths() -> list[str]:
    """The interpreter, its libraries, shared libraries, fonts and time zones; nothing of ours.

    Every entry of the library folders is listed by itself, so that packages which hold data to be
    kept from a script stay closed.
    """
    paths: list[str] = [
        *("/etc/ld.so.cache", *map(str, mimetypes.knownfiles)),
        *("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/zoneinfo", "/etc/localtime"),
        os.environ.get("MPLCONFIGDIR", ""),
    ]
    prefixes = ("rrvf", "_rrvf", "__editable__", "vlmeval", "training", "site-packages", "dist-p")
    folders = {sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib", "platstdlib")}
    for folder in sorted(folders):
        paths += [e.path for e in os.scandir(folder) if not e.name.lower().startswith(prefixes)]
    for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"):
        if Path(folder).is_dir():  # interpreters and their packages lie here as well
            paths += [e.path for e in os.scandir(folder) if not e.name.startswith("python")]
    for prefix in {sys.prefix, sys.base_prefix}:  # shared libraries of a conda environment
        paths += [str(path) for path in Path(prefix, "lib").glob("*.so*")]
    return list(dict.fromkeys(path for path in paths if path))


# -------------------------------------------------------------------------------- scratch


def make_scratch(ground: Ground, identity: confine.Identity, job: int) -> str | None:
    """The folder on disk that holds an execution's own; ``None`` where it mounts them itself."""
    if ground.tmpfs is not None:
        return None
    root = str(Path(ground.folder, f"scratch-{job}-{secrets.token_hex(8)}"))
    surroundings.make_folders(root, identity.user)
    return root


def _has_disk_room(ground: Ground, limits: confine.Limits) -> bool:
    """Whether a script on disk could use what it is promised; a tmpfs of its own always can."""
    if ground.tmpfs is not None:
        return True
    disk = os.statvfs(ground.folder)
    return disk.f_bavail * disk.f_frsize >= limits.scratch_size


def remove_scratch(root: str | None) -> None:
    """Remove what an execution left behind on disk."""
    if root is not None:
        remove_tree(root)


def remove_tree(folder: str) -> None:
    """Remove a folder that a script has filled: deeper than recursion goes, or locked."""
    for command in (["/bin/chmod", "-R", "u+rwx", folder], ["/bin/rm", "-rf", "--", folder]):
        if os.path.lexists(folder):
            subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def _confine(
    ground: Ground,
    limits: confine.Limits,
    identity: confine.Identity,
    root: str | None,
    parent: int,
) -> surroundings.Place:
    """Confine this process to the folders of its own; returns them."""
    readable = ground.readable
    if root is None:
        owner = os.getuid() if identity.user is None else identity.user
        place = surroundings.mount_place(str(ground.tmpfs), limits, owner, ground.libraries)
        readable = [*readable, *confine.open_readable([place.names] if place.names else [])]
    else:
        place = surroundings.find_folders(root)
    confine.confine(
        *(ground.level, limits, place.work, readable, identity, parent, place.writable())
    )
    place.announce()
    return place


# --------------------------------------------------------------------------------- serving


class Server:
    """Forks for requests, and answers each exactly once."""

    def __init__(self, host: socket.socket, ground: Ground, execute: Execute, store: Store) -> None:
        self._host = host
        self._execute = execute
        self._store = store
        self._ground = ground
        self._decoder = wire.Decoder()
        self._selector = selectors.DefaultSelector()
        self._jobs: dict[int, Job] = {}
        self._descriptors: deque[int] = deque()
        self._waiting: deque[WaitingRequest] = deque()
        self._workers = 1
        is_counted = ground.identities.are_counted_apart()
        self._pause = WATCH_SECONDS if is_counted else COUNT_SECONDS
        self._count = 0

    def serve(self) -> None:
        """Until the host hangs up."""
        memory.fill_gaps()
        gc.freeze()
        gc.enable()
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
        for key, _ in self._selector.select(self._pause if self._jobs else None):
            if key.data is None:
                if not self._hear():
                    return False
            else:
                self._finish(key.data)
        self._watch()
        while self._waiting and len(self._jobs) < self._workers and self._has_room():
            self._start(self._waiting.popleft())
        return True

    def _has_room(self) -> bool:
        """Whether the next can be started; if not, those that run leave room when they end."""
        limits = confine.Limits(**self._waiting[0].header["limits"])
        return not self._jobs or _has_disk_room(self._ground, limits)

    def _hear(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._host, 1 << 16, 64 * DESCRIPTORS)
        if not data:
            return False
        self._descriptors += descriptors
        for header, _ in self._decoder.feed(data):
            self._workers = header["workers"]
            request_fd, answer_fd = self._descriptors.popleft(), self._descriptors.popleft()
            self._waiting.append(WaitingRequest(header, request_fd, answer_fd))
        return True

    def _start(self, request: WaitingRequest) -> None:
        limits = confine.Limits(**request.header["limits"])
        most_tasks = limits.tasks
        if not self._ground.identities.are_counted_apart():
            most_tasks += confine.tasks_of(os.getuid()) + SPARE_TASKS
        self._count += 1
        identity = self._ground.identities.pick()
        try:
            if not _has_disk_room(self._ground, limits):
                raise OSError("no space left")
            scratch = make_scratch(self._ground, identity, self._count)
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                own_limits = replace(limits, tasks=most_tasks)
                self._be_child(request, own_limits, identity, scratch, parent)
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            refusal = {"outcome": "not_started", "reason": str(error)}
            self._reply(request.header["id"], refusal)
            return
        finally:
            os.close(request.request_fd)
            os.close(request.answer_fd)
        now = time.monotonic()
        deadline = now + limits.wall_seconds
        job = Job(
            *(request.header["id"], pid, pidfd, scratch, deadline, now),
            *(limits, identity.user, most_tasks),
        )
        self._jobs[pid] = job
        self._selector.register(pidfd, selectors.EVENT_READ, job)

    def _be_child(
        self,
        request: WaitingRequest,
        limits: confine.Limits,
        identity: confine.Identity,
        scratch: str | None,
        parent: int,
    ) -> None:
        """In the fork: confine, execute, answer, end. Never returns."""
        code = 1
        try:
            # Where memory runs out, a script goes before its host does.
            Path("/proc/self/oom_score_adj").write_text("1000")
            kept_descriptors = {request.request_fd, request.answer_fd, *self._ground.readable}
            _close_descriptors(kept_descriptors)
            place = _confine(self._ground, limits, identity, scratch, parent)
            os.write(request.answer_fd, CONFINED)
        except BaseException:
            os._exit(1)
        try:
            self._store.take_back()
            self._execute(request.request_fd, request.answer_fd, place.work)
            code = 0
        finally:
            os._exit(code)

    def _watch(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if now > job.deadline:
                self._kill(job, "time")
            elif usage.count_threads(job.pid) > job.limits.tasks:
                self._kill(job, "threads")
            elif job.scratch is not None and usage.is_overfull(
                job.scratch, job.pid, job.user, job.limits
            ):
                self._kill(job, "files")

    def _kill(self, job: Job, reason: str) -> None:
        if job.ended_by is None:
            job.ended_by = reason
            os.kill(job.pid, signal.SIGKILL)

    def _finish(self, job: Job) -> None:
        self._selector.unregister(job.pidfd)
        os.close(job.pidfd)
        _, status, resources = os.wait4(job.pid, 0)
        del self._jobs[job.pid]
        remove_scratch(job.scratch)
        header: dict[str, Any] = {
            "outcome": "ended",
            "seconds": round(time.monotonic() - job.start, 4),
            "cpu_seconds": round(resources.ru_utime + resources.ru_stime, 4),
            "exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "ended_by": job.ended_by,
            "crowded": self._is_crowded(job),
        }
        self._reply(job.id, header)

    def _is_crowded(self, job: Job) -> bool:
        """Whether other programs of the same user left this one no threads."""
        if self._ground.identities.are_counted_apart():
            return False
        return confine.tasks_of(os.getuid()) + job.limits.tasks > job.most_tasks

    def _reply(self, job_id: int, header: dict[str, Any]) -> None:
        self._host.sendall(wire.encode({"id": job_id, **header}))


def list_open_files() -> dict[int, str]:
    """Descriptor -> what it is open on, beyond the three standard streams."""
    targets: dict[int, str] = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # the listing's own
            targets[int(entry.name)] = str(entry.readlink())
    return {number: target for number, target in targets.items() if number > 2}


def check_descriptors(known_descriptors: set[int]) -> None:
    """Refuse to serve with a file open that a fork would share, or close under its owner.

    Raises:
        RuntimeError: A package has left a file open.
    """
    strays = {
        number: name
        for number, name in list_open_files().items()
        if number not in known_descriptors
    }
    if strays:
        names = ", ".join(sorted(set(strays.values())))
        raise RuntimeError(f"files left open before the first script would run: {names}")


def _close_descriptors(kept_descriptors: set[int]) -> None:
    """Nothing inherited but what is to be kept."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    with os.scandir("/proc/self/fd") as entries:
        descriptors = {int(entry.name) for entry in entries}
    for descriptor in descriptors - kept_descriptors - {0, 1, 2}:
        with contextlib.suppress(OSError):  # the listing's own
            os.close(descriptor)
