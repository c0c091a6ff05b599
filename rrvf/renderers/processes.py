"""What processes use, as reported by ``/proc``: memory, children, and waiting time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

MOST_STRETCHED = 10.0
"""How many times its own time a piece of work may take on a machine that gives it little."""


class OwnTime:
    """How long some processes have been at work: wall time less what they waited for a processor.

    Others on the machine then cost no time: a page that would be drawn in 5 s is not late because
    five heavy pages are drawn beside it. Waiting of several threads adds up, and so can be more
    than was lost; work that never ends is bounded all the same: by the processor time of its
    busiest thread, and by :data:`MOST_STRETCHED` times the wall time. Where the kernel does not
    tell how long threads wait, it is the wall time.

    Args:
        root: A process; what it started counts, too, and what started it.
        others: Ids of further threads of this process that have a part in it.
    """

    def __init__(self, root: int, threads: Sequence[int] = ()) -> None:
        self._root, self._host_threads = root, threads
        self._start = time.monotonic()
        self._first_times = self._read_threads()

    def seconds(self) -> float:
        """Own seconds since the beginning."""
        wall = time.monotonic() - self._start
        wait_seconds = most_seconds = 0.0
        for thread, (run, wait) in self._read_threads().items():
            run_before, wait_before = self._first_times.get(thread, (0.0, 0.0))
            wait_seconds += wait - wait_before
            most_seconds = max(most_seconds, run - run_before)
        return max(wall - wait_seconds, most_seconds, wall / MOST_STRETCHED)

    def _read_threads(self) -> dict[int, tuple[float, float]]:
        """Thread -> seconds it ran, seconds it waited for a processor."""
        times: dict[int, tuple[float, float]] = {}
        for pid in (parent_of(self._root), self._root, *descendants(self._root)):
            with contextlib.suppress(OSError):
                for folder in Path(f"/proc/{pid}/task").iterdir():
                    times |= _read_schedule(pid, folder.name)
        for thread in self._host_threads:
            times |= _read_schedule(os.getpid(), thread)
        return times


def _read_schedule(pid: int, thread: str | int) -> dict[int, tuple[float, float]]:
    """A thread -> seconds it ran and waited; nothing where it is gone or nobody tells."""
    with contextlib.suppress(OSError, ValueError):
        numbers = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()
        run, wait, _ = (int(number) / 1e9 for number in numbers)
        return {int(thread): (run, wait)}
    return {}


def kill_tree(root: int) -> None:
    """Kill a process and all below it, from the top, so that nothing is started anew."""
    for pid in (root, *descendants(root)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def memory_of_tree(root: int) -> int:
    """Anonymous and shared memory of a process and all below it, in bytes."""
    return sum(map(_read_memory, (root, *descendants(root))))


def descendants(root: int) -> list[int]:
    """Process ids below ``root``."""
    children: dict[int, list[int]] = {}
    for pid, parent in _list_parents():
        children.setdefault(parent, []).append(pid)
    pids = list(children.get(root, []))
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def parent_of(pid: int) -> int:
    """Who started a process; 0 where it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return _read_parent(Path(f"/proc/{pid}"))
    return 0


def _list_parents() -> Iterator[tuple[int, int]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                yield int(entry.name), _read_parent(Path(entry.path))


def _read_parent(folder: Path) -> int:
    return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def _read_memory(pid: int) -> int:
    size = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                size += 1024 * int(line.split()[1])
    return size
