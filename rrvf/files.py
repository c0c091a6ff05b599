"""Files that are either complete or absent, and file names that are safe in a table."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside and rename into place, making folders where they are missing.

    Raises:
        OSError: It cannot be written; nothing is left of it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are for their owner alone, whatever the umask says.
    part = path.parent / f".part-{secrets.token_hex(8)}"
    try:
        with part.open("xb") as stream:
            stream.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def file_inside(folder: Path, name: str) -> Path | None:
    """The file of this name below ``folder``, links followed; ``None`` where there is none.

    Tables come from elsewhere: what they name must not be any file of this machine.
    """
    try:
        path = folder / name
        inside = path.resolve().is_relative_to(folder.resolve())
        return path if inside and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long a name, a NUL, a loop of links
        return None
