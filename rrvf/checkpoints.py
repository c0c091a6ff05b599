"""Checkpoints identified by their content, because a folder's content may change."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rrvf.errors import DataError

EDGE = 2**20
"""Bytes that are read at each end of a file of weights, after its header."""

_TEXTS = ("*config.json", "*.index.json", "chat_template*", "tokenizer*", "vocab*", "merges.txt")
"""What shapes answers beside the weights: architecture, sampling, tokens, pictures, template."""

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_NOT_WEIGHTS = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"})
_MOST_HEADER = 100 * 2**20


def checkpoint_key(folder: Path) -> str:
    """A hash that tells checkpoints apart without reading all of their weights.

    It covers configuration, tokenizer and index files whole, and of each file of weights its name,
    size, safetensors header, and first and last MiB. Weights that differ within a file of equal
    size and header and nowhere near its ends are not told apart; training changes all of them.
    Where the folder lies, and when its files were written, does not count.

    Raises:
        DataError: A file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for part in _read_parts(folder):
            digest.update(struct.pack(">Q", len(part)) + part)
    except OSError as error:
        raise DataError(f"{error.filename}: no checkpoint to read: {error.strerror}") from error
    return digest.hexdigest()[:24]


def local_checkpoint(model: str) -> Path | None:
    """The folder of a checkpoint: the one that is named, or where the hub's copy lies here."""
    if Path(model).is_dir():
        return Path(model)
    try:
        hub: Any = importlib.import_module("huggingface_hub")
        return Path(hub.snapshot_download(model, local_files_only=True))
    except (ImportError, OSError, ValueError):
        return None


def _read_parts(folder: Path) -> Iterator[bytes]:
    for path in sorted(_find_files(folder, _TEXTS)):
        yield os.fsencode(path.name)
        yield path.read_bytes()
    for path in sorted(_find_files(folder, _WEIGHTS)):
        if path.name not in _NOT_WEIGHTS:
            yield os.fsencode(path.name)
            with path.open("rb") as file:
                yield from _read_weights(path, file)


def _find_files(folder: Path, patterns: tuple[str, ...]) -> set[Path]:
    return {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}


def _read_weights(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Size, header and both ends of a file of weights."""
    size = os.fstat(file.fileno()).st_size
    yield struct.pack(">Q", size)
    if path.suffix == ".safetensors":
        yield _read_header(file, size)
    yield file.read(EDGE)
    file.seek(max(0, size - EDGE))
    yield file.read(EDGE)


def _read_header(file: BinaryIO, size: int) -> bytes:
    """The names, types and places of tensors, however the file spells them.

    The weights begin behind it. What is no header is left to be read as weights.
    """
    head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) == 8 and length <= min(size, _MOST_HEADER):
        try:
            header = json.loads(file.read(length))
            return json.dumps(header, sort_keys=True).encode("utf-8")
        except (ValueError, RecursionError):
            pass
    file.seek(0)
    return b""
