"""The surroundings of a script: a working folder, a home, ``/tmp``, shared memory, a name.

With namespaces, all of them are on the script's own tmpfs, at the usual places. Without namespaces,
they are folders on disk, which only ``HOME`` and ``TMPDIR`` point to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import confine

SCRATCH, SETTINGS = "scratch", "matplotlib"
NAME = "user"
PASSING = 0o111
"""A folder that may be passed and not listed: its owner is no exception."""
GROUNDS = ("/mnt", "/media", "/srv", "/opt", "/home", "/usr/local/src")
PRIVATE = {"tmp": "/tmp", "var_tmp": "/var/tmp", "shm": "/dev/shm"}
"""Folder of a script's own -> the place of the machine's that it covers."""
SECRETIVE = confine.MS_NOSUID | confine.MS_NODEV | confine.MS_NOEXEC


@dataclass(frozen=True)
class Place:
    """The folders of one execution.

    Attributes:
        root: What holds them all.
        work: The working folder.
        home: The home folder.
        tmp: Where temporary files go.
        more: Other folders that can be written.
        names: The list of users, where the script can have one of its own.
    """

    root: str
    work: str
    home: str
    tmp: str
    more: tuple[str, ...] = ()
    names: str | None = None

    def writable(self) -> list[str]:
        """Everything but the working folder."""
        return [self.home, self.tmp, *self.more]

    def announce(self) -> None:
        """Let this process, which is to run the script, know its home, name and ``/tmp``."""
        os.environ.update({"HOME": self.home, "USER": NAME, "LOGNAME": NAME})
        if self.tmp == PRIVATE["tmp"]:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = self.tmp


# ------------------------------------------------------------------------------- on disk


def find_folders(root: str) -> Place:
    """The folders of an execution below ``root``."""
    work, home, tmp = (str(Path(root, name)) for name in ("work", "home", "tmp"))
    return Place(root, work, home, tmp)


def make_folders(root: str, owner: int | None) -> Place:
    """Make :func:`find_folders`, and ``root`` itself, on disk."""
    place = find_folders(root)
    for folder in (root, place.work, place.home, place.tmp):
        Path(folder).mkdir(mode=0o700)
        if owner is not None:
            os.chown(folder, owner, owner)
    return place


# ------------------------------------------------------------------------ with namespaces


def find_ground(visible_paths: Iterable[str]) -> str | None:
    """A folder of the machine's that can be covered: nothing of ``visible_paths`` lies in it."""
    contents = [Path(path) for path in visible_paths]
    folders = [folder for folder in map(Path, GROUNDS) if folder.is_dir()]
    free_folders = [
        folder
        for folder in folders
        if not folder.is_symlink() and not any(path.is_relative_to(folder) for path in contents)
    ]
    return str(free_folders[0]) if free_folders else None


def mount_ground(folder: str) -> None:
    """Mount a tmpfs on ``folder`` that holds the mount point of the scripts' own, and settings.

    Raises:
        OSError: The kernel refuses.
    """
    confine.mount("tmpfs", folder, "tmpfs", SECRETIVE, "size=16m,nr_inodes=64,mode=0755")
    Path(folder, SCRATCH).mkdir()
    Path(folder, SETTINGS).mkdir()


def freeze_ground(folder: str) -> None:
    """Make the ground read-only; who passes it cannot list it.

    Raises:
        OSError: The kernel refuses.
    """
    Path(folder).chmod(PASSING)
    flags = SECRETIVE | confine.MS_REMOUNT | confine.MS_RDONLY
    confine.mount(None, folder, None, flags, None)


def list_private_places(libraries: Iterable[str]) -> dict[str, str]:
    """What of :data:`PRIVATE` a script gets: no place that holds libraries.

    All below such a place would be the script's own, to read and to change.
    """
    paths = [Path(path) for path in libraries]
    return {
        name: place
        for name, place in PRIVATE.items()
        if Path(place).is_dir() and not any(path.is_relative_to(place) for path in paths)
    }


def mount_place(ground: str, limits: confine.Limits, owner: int, libraries: Iterable[str]) -> Place:
    """Give the calling process its folders, on a tmpfs of bounded size, and a name for its user.

    Args:
        ground: A folder after :func:`freeze_ground`.
        limits: How much they may hold.
        owner: The user they belong to.
        libraries: Folders of libraries; a place that holds one is not covered.

    Raises:
        OSError: The kernel refuses.
    """
    root = str(Path(ground, SCRATCH))
    confine.unshare_mounts()
    options = f"size={limits.scratch_size},nr_inodes={limits.scratch_files + 16},mode=0111"
    confine.mount("tmpfs", root, "tmpfs", SECRETIVE, options)
    for name in ("work", "home", *PRIVATE):
        folder = Path(root, name)
        folder.mkdir(mode=0o700)
        if owner != os.getuid():
            os.chown(folder, owner, owner)
    covers = list_private_places(libraries)
    names = _name_user(root, owner)
    for name, place in covers.items():
        bind(str(Path(root, name)), place)
    more = tuple(place for name, place in covers.items() if name != "tmp")
    tmp = PRIVATE["tmp"] if "tmp" in covers else str(Path(root, "tmp"))
    return Place(root, str(Path(root, "work")), str(Path(root, "home")), tmp, more, names)


def _name_user(root: str, owner: int) -> str | None:
    """Give ``owner`` a name, in place of the machine's list of users."""
    users = Path(root, "passwd")
    home = Path(root, "home")
    users.write_text(f"{NAME}:x:{owner}:{owner}::{home}:/bin/sh\n")
    users.chmod(0o444)
    with contextlib.suppress(OSError):
        bind(str(users), "/etc/passwd")
        return "/etc/passwd"
    return None


def bind(source: str, target: str) -> None:
    """Show ``source`` at ``target`` as well.

    Raises:
        OSError: The kernel refuses.
    """
    confine.mount(source, target, None, confine.MS_BIND | confine.MS_REC, None)


def cover(folder: str, hide: Callable[[], None], visible_paths: Iterable[str]) -> None:
    """Hide ``folder`` by a mount, and show again those of ``visible_paths`` that lie in it.

    Raises:
        OSError: The kernel refuses.
    """
    paths_below = [
        path for path in visible_paths if Path(path).is_relative_to(folder) and Path(path).exists()
    ]
    descriptors = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths_below}
    hide()
    for path, descriptor in descriptors.items():
        source = f"/proc/self/fd/{descriptor}"
        _make_mount_point(Path(path), Path(folder), is_folder=Path(source).is_dir())
        bind(source, path)
        os.close(descriptor)


def _make_mount_point(path: Path, top: Path, *, is_folder: bool) -> None:
    parents = [parent for parent in path.parents if parent.is_relative_to(top) and parent != top]
    for folder in reversed(parents):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(PASSING)
    if is_folder:
        path.mkdir()
    else:
        path.touch()


# ---------------------------------------------------------------------- closed to strangers


def list_library_folders() -> list[str]:
    """Where the interpreter and its packages lie, by name and, behind links, in fact."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, *map(sysconfig.get_path, keys)}
    paths |= {path for path in sys.path if Path(path).is_dir()}
    folders = sorted(paths | {os.path.realpath(path) for path in paths})
    return [
        path
        for path in folders
        if not any(path != other and Path(path).is_relative_to(other) for other in folders)
    ]


def find_closed_folder(path: str) -> str | None:
    """The highest folder above ``path`` that a stranger cannot pass, if there is one."""
    for parent in reversed(Path(path).parents):
        if not parent.stat().st_mode & 0o001:
            return str(parent)
    return None


def open_closed_folders(visible_paths: list[str]) -> list[str]:
    """Let a stranger reach some paths: each closed folder above one of them shows those alone.

    Returns:
        The folders that are covered now; :func:`confine.unmount` takes that back.

    Raises:
        OSError: The kernel refuses.
    """
    closed_folders = sorted(
        {folder for path in visible_paths if (folder := find_closed_folder(path)) is not None}
    )
    for folder in closed_folders:
        cover(folder, lambda folder=folder: _hide(folder), visible_paths)
    return closed_folders


def _hide(folder: str) -> None:
    confine.mount("tmpfs", folder, "tmpfs", SECRETIVE, "size=64k,nr_inodes=256,mode=0111")


# --------------------------------------------------------------------- matplotlib's settings


def copy_files(source: str, target: str) -> None:
    """Copy the plain files of one folder that the other lacks; what cannot be read is left out."""
    with contextlib.suppress(OSError):
        for path in Path(source).iterdir():
            copy = Path(target, path.name)
            if path.is_file() and not copy.exists():
                with contextlib.suppress(OSError):
                    shutil.copyfile(path, copy)
