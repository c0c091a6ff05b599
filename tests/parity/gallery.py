"""Fetch the example scripts of matplotlib's gallery: ``make gallery`` calls this.

They are part of matplotlib's source distribution, which a lock file of uv names with its hash::

    PYTHON tests/parity/gallery.py pylock.toml FOLDER
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tomllib
import urllib.request
from pathlib import Path, PurePosixPath


def source_distribution(lock: Path) -> bytes:
    """The archive that the lock file names, checked against its hash."""
    [package] = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    archive = package["sdist"]
    with urllib.request.urlopen(archive["url"], timeout=300) as response:
        data: bytes = response.read()
    if hashlib.sha256(data).hexdigest() != archive["hashes"]["sha256"]:
        sys.exit("the source distribution of matplotlib is not the one that was locked; try again")
    return data


def unpack(data: bytes, folder: Path) -> int:
    """Write the scripts below ``folder``; how many there are."""
    count = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if path.parts[1:3] != ("galleries", "examples") or path.suffix != ".py":
                continue
            script = archive.extractfile(member)
            target = folder.joinpath(*path.parts[2:])
            if script is not None and ".." not in path.parts:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(script.read())
                count += 1
    return count


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    print(f"{unpack(source_distribution(Path(sys.argv[1])), folder)} scripts in {folder}")
