"""The pictures of the runs: put into the page, or linked from it."""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rrvf.report.episodes import episode_pictures
from rrvf.report.reading import Run
from rrvf.report.values import count_of, mapping

_PICTURE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}\.png")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = 24
"""Bytes up to the end of a PNG's width and height."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """File name -> source of an ``img``, its size, and what the page must say about it."""

    sources: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]
    linked: bool
    notes: tuple[str, ...]


def collect_pictures(runs: Sequence[Run], out: Path, embed_limit: int) -> Pictures:
    """Find every picture once: names are content hashes, so runs share their references."""
    names_by_folder = [(run.folder / "renderings", _picture_names(run)) for run in runs]
    return collect_from(names_by_folder, out, embed_limit)


def collect_from(
    names_by_folder: Iterable[tuple[Path, Iterable[str]]], out: Path, embed_limit: int
) -> Pictures:
    """As above, for folders and the names of the pictures that are wanted from each."""
    paths: dict[str, Path] = {}
    sizes: dict[str, tuple[int, int]] = {}
    missing_names: set[str] = set()
    for folder, names in names_by_folder:
        for name in names:
            path = folder / name
            if name in paths:
                continue
            head = _png_head(path) if _PICTURE_NAME.fullmatch(name) else None
            if head is not None:
                paths[name] = path
                sizes |= {name: size} if (size := _size(head)) else {}
            else:
                missing_names.add(name)
    n_missing = len(missing_names - paths.keys())
    notes = [f"{count_of(n_missing, 'picture')} not found below renderings/."] if n_missing else []
    n_bytes = sum(path.stat().st_size for path in paths.values())
    if n_bytes <= embed_limit:
        sources = {name: _data_uri(path) for name, path in paths.items()}
        return Pictures(sources, sizes, False, (*notes,))
    notes.append(
        f"The pictures ({n_bytes / 2**20:.0f} MB) are linked, not embedded: "
        "keep renderings/ where it is relative to this page."
    )
    sources = {name: _link(path, out) for name, path in paths.items()}
    return Pictures(sources, sizes, True, (*notes,))


def _picture_names(run: Run) -> Iterable[str]:
    for line in run.lines:
        for side in ("reference", "rendering"):
            name = mapping(line.get("pictures")).get(side)
            if isinstance(name, str):
                yield name
        episode = run.episodes.get(line["sample_id"])
        yield from episode_pictures(episode or {})


def _png_head(path: Path) -> bytes | None:
    """The first bytes of a PNG, ``None`` of anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_HEAD)
    except OSError:
        return None
    return head if head.startswith(_PNG_SIGNATURE) else None


def _size(head: bytes) -> tuple[int, int] | None:
    """Width and height as a PNG's head tells them."""
    if len(head) < _PNG_HEAD or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if width and height else None


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _link(path: Path, out: Path) -> str:
    # pathlib's relative_to cannot climb on Python 3.11. quote() also hides a colon, which would
    # read as the scheme of an address.
    return quote(os.path.relpath(path.resolve(), out.resolve()))
