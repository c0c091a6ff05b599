"""Framing on the socket between host and server, and on the pipe between child and server.

A frame is a 4-byte big-endian length, a JSON object of that many bytes, then the blobs that the
object's ``blobs`` key lists as ``[[name, length], ...]``, in that order. Nothing is executed or
unpickled.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, cast

MAX_HEADER = 32 * 2**20
MAX_BLOBS = 256 * 2**20
MAX_VALUES = 4_000_000
"""Signs that begin or part values of JSON: each value takes up to thirty times its text's size."""
MAX_NAME = 1000
"""Characters of a name in a record."""
MAX_COLORS = 20_000
"""Of one list; whoever compares them thins out far fewer, in the order of drawing."""


class WireError(Exception):
    """The bytes are no frame."""


def encode(header: dict[str, Any], blobs: dict[str, bytes] | None = None) -> bytes:
    """One frame."""
    blobs = blobs or {}
    frame_header = {**header, "blobs": [[name, len(data)] for name, data in blobs.items()]}
    text = json.dumps(frame_header).encode("ascii")
    return b"".join([struct.pack(">I", len(text)), text, *blobs.values()])


class Decoder:
    """Collects bytes and gives frames back as they become whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
        """Add bytes; return the frames that are complete by now.

        Raises:
            WireError: The bytes cannot be the start of a frame.
        """
        self._buffer += data
        frames: list[tuple[dict[str, Any], dict[str, bytes]]] = []
        while (frame := self._take_frame()) is not None:
            frames.append(frame)
        return frames

    def is_unfinished(self) -> bool:
        """Whether bytes are left that make no whole frame."""
        return bool(self._buffer)

    def _take_frame(self) -> tuple[dict[str, Any], dict[str, bytes]] | None:
        if len(self._buffer) < 4:
            return None
        (size,) = struct.unpack_from(">I", self._buffer)
        if size > MAX_HEADER:
            raise WireError("header too large")
        if len(self._buffer) < 4 + size:
            return None
        header = parse_header(bytes(self._buffer[4 : 4 + size]))
        total = sum(length for _, length in header["blobs"])
        if len(self._buffer) < 4 + size + total:
            return None
        blobs: dict[str, bytes] = {}
        start = 4 + size
        for name, length in header["blobs"]:
            blobs[name] = bytes(self._buffer[start : start + length])
            start += length
        del self._buffer[:start]
        return header, blobs


def parse_header(text: bytes) -> dict[str, Any]:
    """The JSON object of a frame, its ``blobs`` checked.

    Raises:
        WireError: It is no JSON object, or its blobs are no list of names and sane lengths.
    """
    if sum(text.count(sign) for sign in (b"[", b"{", b",")) > MAX_VALUES:
        raise WireError("too many values")
    try:
        header: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("header is no JSON") from error
    match header:
        case {"blobs": [*entries]}:
            if sum(_read_length(entry) for entry in entries) > MAX_BLOBS:
                raise WireError("blobs too large")
            return cast("dict[str, Any]", header)
        case _:
            raise WireError("header is no frame")


def _read_length(entry: Any) -> int:
    match entry:
        case [str(), int(length)] if 0 <= length <= MAX_BLOBS:
            return length
        case _:
            raise WireError("a blob without name or length")


def write_all(fd: int, data: bytes) -> None:
    """Write everything to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
