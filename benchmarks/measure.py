"""Wall time, CPU time and peak memory of a command with all its descendants, daemons included."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took; ``peak`` is the largest sum of proportional set sizes seen, in bytes."""

    wall: float
    cpu: float
    peak: int


def measure(command: Sequence[str], **options: object) -> Cost:
    """Run a command to its end and to that of everything it left behind.

    Orphans become children of this process and are waited for, so that their CPU time counts.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cpu_before = _children_cpu()
    start = time.perf_counter()
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    watcher = _Watcher(os.getpid())
    code = process.wait()
    _reap_orphans()
    wall = time.perf_counter() - start
    peak = watcher.stop()
    if code != 0:
        raise subprocess.CalledProcessError(code, list(command))
    return Cost(wall, _children_cpu() - cpu_before, peak)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _reap_orphans() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class _Watcher:
    """Samples the memory of all descendants of a process, itself excluded."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(map(proportional_size, descendants(self._root))))


def descendants(root: int) -> list[int]:
    """Process ids below ``root``."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    processes: list[int] = []
    pending = [root]
    while pending:
        children = parents.get(pending.pop(), [])
        processes += children
        pending += children
    return processes


def proportional_size(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that is gone or is not ours to look at."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def own_cpu(pid: int) -> float:
    """CPU seconds of one process, its children not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
