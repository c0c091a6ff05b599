"""Download ChartMimic from the Hugging Face hub and unpack it safely inside its folder.

``python -m rrvf.benchmarks.chartmimic_download DIR`` writes ``DIR/v2/direct_600/<id>.py`` and so
on, the layout that VLMEvalKit expects under ``$LMUData/images/ChartMimic``. An interrupted download
resumes. A folder gets its name only when it is complete.
"""

from __future__ import annotations

import argparse
import errno
import gzip
import shutil
import sys
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

from rrvf.errors import DataError, HarnessError, SetupError, UserError, boundary

REPOSITORY = "ChartMimic/ChartMimic"
REVISION = "0c46ca5103b03fea520fb6e5b2d87c8a0372aaf1"
"""Commit of the data set's repository that is fetched unless another one is named."""

Version = Literal["v1", "v2"]
ARCHIVES: dict[Version, str] = {"v1": "dataset-old.tar.gz", "v2": "dataset-iclr.tar.gz"}

MAX_BYTES = 8 * 2**30
"""Of a whole archive, unpacked; version 2 takes about 1.3 GB."""

_MAX_MEMBERS = 100_000
_MAX_READ = 64 * 2**20
"""Of one read: only a crafted header asks for more, and it would be held in memory."""

_SOURCE = ".source"
"""File in a finished folder that says what it was made from."""


def download(
    into: Path,
    *,
    version: Version = "v2",
    revision: str = REVISION,
    archive: Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Fetch and unpack one version of the data set; does nothing where that has been done.

    Args:
        into: Where the version's folder is made. One download at a time may use it.
        version: ``v1`` (subsets of 500) or ``v2`` (600 and 1800).
        revision: Branch, tag or commit of the hub's repository.
        archive: An archive fetched by other means, which is unpacked instead.
        max_bytes: Refuse an archive that unpacks to more.

    Returns:
        The folder that holds the subsets, ``into/<version>``.

    Raises:
        SetupError: Where the hub cannot be reached or knows no such file; says what to do.
        DataError: On an archive that is damaged, too large or unsafe, and on a folder in the way.
    """
    target = into / version
    source = f"{ARCHIVES[version]} {revision if archive is None else archive.name}"
    if _is_finished(target, source):
        return target
    path = _fetch(ARCHIVES[version], revision) if archive is None else archive
    partial = into / f".{version}.partial"
    with boundary(f"unpacking {path} into {into}"):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            unpack(path, partial, max_bytes=max_bytes)
            (partial / _SOURCE).write_text(source + "\n", encoding="utf-8")
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _is_finished(target: Path, source: str) -> bool:
    if not target.exists():
        return False
    note = target / _SOURCE
    origin = note.read_text(encoding="utf-8").strip() if note.is_file() else "files of other origin"
    if origin == source:
        return True
    raise DataError(f"{target}: holds {origin}, not {source}; move it away or name another folder")


def _fetch(name: str, revision: str) -> Path:
    """Path of the archive in the hub's own cache."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise SetupError(
            "downloading needs huggingface_hub: pip install huggingface_hub"
        ) from error
    not_found = (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError)
    try:
        with boundary(f"downloading {name}"):
            # The package's own annotations are incomplete.
            fetch = cast("Any", huggingface_hub).hf_hub_download
            return Path(fetch(REPOSITORY, name, repo_type="dataset", revision=revision))
    except HarnessError as error:
        cause = error.__cause__
        # "Not in the local cache" is a kind of "not found" too, but it means that the hub is away.
        is_absent = isinstance(cause, not_found) and not isinstance(cause, LocalEntryNotFoundError)
        if not is_absent:
            raise SetupError(_explain_offline(name, revision)) from error
        raise SetupError(
            f"the Hugging Face hub has no {name} in {REPOSITORY} at {revision}; "
            "name another --revision, for instance main"
        ) from error


def _explain_offline(name: str, revision: str) -> str:
    url = f"https://huggingface.co/datasets/{REPOSITORY}/resolve/{revision}/{name}"
    return (
        f"cannot fetch {name} from the Hugging Face hub: check the network and HF_HUB_OFFLINE, or "
        f"set HF_ENDPOINT to a mirror, or fetch {url} elsewhere and run this with --archive FILE"
    )


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a ``.tar.gz`` whose every entry must stay inside the folder.

    Only files and folders are made, with ordinary permissions; a link to a file that was unpacked
    before becomes a copy, so that nothing in the folder points anywhere.

    Args:
        archive: A gzipped tar file.
        folder: Must not exist yet; what an archive held before it was refused is left in it.
        max_bytes: Of all files together.

    Raises:
        DataError: On a damaged archive, too much data, a path or link that leads out, a link to no
            file, a device or pipe, and where the folder cannot be written.
        OSError: Where no space is left.
    """
    try:
        with gzip.open(archive, "rb") as stream:
            guarded_file = cast("IO[bytes]", _GuardedFile(stream, archive, max_bytes))
            with tarfile.open(fileobj=guarded_file, mode="r:") as tar:
                _unpack_members(tar, archive, folder, max_bytes)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: damaged ({error}); delete it and fetch it again") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"{archive}: cannot be unpacked: {error}") from error


class _GuardedFile:
    """A readable file that refuses to be read in huge pieces, or much further than is allowed."""

    def __init__(self, stream: gzip.GzipFile, archive: Path, max_bytes: int) -> None:
        self._stream = stream
        self._archive = archive
        # Headers and padding take at most a few blocks of 512 bytes an entry.
        self._end = max_bytes + _MAX_MEMBERS * 4096

    def read(self, size: int) -> bytes:
        if size > _MAX_READ or self._stream.tell() + size > self._end:
            raise DataError(f"{self._archive}: refused, it holds an oversized entry")
        return self._stream.read(size)

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def _unpack_members(tar: tarfile.TarFile, archive: Path, folder: Path, max_bytes: int) -> None:
    bytes_left = max_bytes
    folder.mkdir(parents=True)
    for number, member in enumerate(tar, start=1):
        if number > _MAX_MEMBERS:
            raise DataError(f"{archive}: refused, more than {_MAX_MEMBERS} entries")
        path = folder / _resolve(archive, member.name, PurePosixPath())
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        with _open_content(tar, member, archive, folder) as content:
            path.parent.mkdir(parents=True, exist_ok=True)
            bytes_left -= _copy(content, path, bytes_left)
        if bytes_left < 0:
            raise DataError(f"{archive}: refused, it unpacks to more than {max_bytes} bytes")


def _resolve(archive: Path, name: str, start: PurePosixPath) -> PurePosixPath:
    """Where ``name``, seen from the folder ``start``, lies; refused if that is outside."""
    parts: list[str] = list(start.parts)
    for part in PurePosixPath(name).parts:
        if part == "/" or "\0" in part or (part == ".." and not parts):
            raise DataError(f"{archive}: refused, its entry {name!r} leads out of the folder")
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _open_content(
    tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, folder: Path
) -> IO[bytes]:
    if member.issym() or member.islnk():
        # A symbolic link starts from its own folder, a hard link from the archive's.
        start = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        return (folder / _resolve(archive, member.linkname, start)).open("rb")
    stream = tar.extractfile(member) if member.isfile() else None
    if stream is None:
        raise DataError(f"{archive}: refused, its entry {member.name!r} is no file, folder or link")
    return stream


def _copy(content: IO[bytes], path: Path, limit: int) -> int:
    """Copy until the limit is passed; return how much was copied."""
    n_copied = 0
    with path.open("wb") as file:
        while n_copied <= limit and (piece := content.read(2**20)):
            file.write(piece)
            n_copied += len(piece)
    return n_copied


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rrvf.benchmarks.chartmimic_download", description=__doc__
    )
    parser.add_argument("into", type=Path, metavar="DIR", help="where to put the data")
    parser.add_argument("--version", choices=sorted(ARCHIVES), default="v2")
    parser.add_argument("--revision", default=REVISION, help="of the data set's repository")
    parser.add_argument("--archive", type=Path, help="unpack this file instead of downloading")
    options = parser.parse_args(arguments)
    try:
        folder = download(
            options.into,
            version=options.version,
            revision=options.revision,
            archive=options.archive,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
