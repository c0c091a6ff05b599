"""What a script uses beyond the kernel's limits: its files on disk, and some threads.

The server checks this at intervals and stops a script that exceeds its share.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
from collections.abc import Generator
from pathlib import Path

from . import confine

TRIES = 20
"""Looks at a folder whose entries vanish meanwhile; nobody but an attacker needs as many."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
MAPPED = re.compile(r"^\S+ \S+ \S+ (\S+) (\d+) +(/.*) \(deleted\)$")


def count_threads(pid: int) -> int:
    """Threads of a process, 0 where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/task").stat().st_nlink - 2
    return 0


def is_overfull(root: str, pid: int, user: int | None, limits: confine.Limits) -> bool:
    """Whether a script's folders on disk hold more than they may, by name or without.

    Args:
        root: What holds its folders.
        pid: Its process.
        user: Whom it runs as, where that is not the server's user.
        limits: What it may hold.
    """
    try:
        sizes = _measure_named(root, limits)
    except OSError:  # too deep to look at, or never the same
        return True
    if len(sizes) > limits.scratch_files:
        return True
    sizes = _measure_nameless(root, pid, user, limits) | sizes
    return sum(sizes.values()) > limits.scratch_size


def _measure_named(root: str, limits: confine.Limits) -> dict[int, int]:
    """Inode -> bytes on disk; looks no further than the first file too many.

    Raises:
        OSError: A folder cannot be looked at.
    """
    for _ in range(TRIES):
        sizes: dict[int, int] = {}
        with contextlib.suppress(FileNotFoundError):
            for status in _walk(root):
                # What lies on disk, not how long the file says it is.
                sizes[status.st_ino] = 512 * status.st_blocks if stat.S_ISREG(status.st_mode) else 0
                if len(sizes) > limits.scratch_files:
                    break
            return sizes
    raise OSError("its folders change all the time")


def _walk(root: str) -> Generator[os.stat_result]:
    """Everything below a folder; by descriptors, so that renaming what is above hides nothing."""
    pending = [os.open(root, FOLDER)]
    try:
        while pending:
            folder = pending.pop()
            with _close_after(folder), os.scandir(folder) as entries:
                for entry in entries:
                    yield entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(_open_folder(entry.name, folder))
    finally:
        for folder in pending:
            os.close(folder)


@contextlib.contextmanager
def _close_after(descriptor: int) -> Generator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _open_folder(name: str, above: int) -> int:
    try:
        return os.open(name, FOLDER, dir_fd=above)
    except PermissionError:  # its script has locked it
        os.chmod(name, 0o700, dir_fd=above)
        return os.open(name, FOLDER, dir_fd=above)


def _measure_nameless(
    root: str, pid: int, user: int | None, limits: confine.Limits
) -> dict[int, int]:
    """Inode -> bytes on disk of what has lost its name and is still open, or mapped.

    How large a file is that is mapped only cannot be seen: it counts as the largest there may be.
    """
    sizes: dict[int, int] = {}
    with contextlib.suppress(OSError), _look_as(user):
        for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
            match = MAPPED.match(line)
            if match is not None and match[3].startswith(f"{root}/"):
                sizes[int(match[2])] = limits.file_size
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor).startswith(f"{root}/"):  # noqa: PTH115
                    status = descriptor.stat()
                    sizes[status.st_ino] = 512 * status.st_blocks
    return sizes


@contextlib.contextmanager
def _look_as(user: int | None) -> Generator[None]:
    """Look into processes of ``user``, where root's own power does not reach: in containers."""
    libc = ctypes.CDLL(None)
    uid, gid = (os.geteuid(), os.getegid()) if user is None else (user, user)
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    try:
        yield
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())
