"""Pictures as PNG, and what a PNG's header says before it is decoded.

A picture from untrusted code may have few bytes and very many pixels, and decoding it costs time
and memory for every pixel.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

from rrvf.errors import HarnessError, TooLargeError

MOST_PIXELS = 64 * 2**20
"""Of a picture that code has drawn; a quarter of a GiB when it is decoded with its opacity. A
judge's picture at 350 dpi has 60 million at most."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def require_drawable(png: bytes) -> bytes:
    """The picture, unless it has too many pixels.

    Raises:
        TooLargeError: It has more than :data:`MOST_PIXELS`.
        ValueError: It is no PNG with one size, ahead of its pixels.
    """
    width, height = size_of_png(png)
    if width * height > MOST_PIXELS:
        raise TooLargeError(
            f"its picture has {width} x {height} pixels; at most {MOST_PIXELS} in all are looked at"
        )
    return png


def size_of_png(png: bytes) -> tuple[int, int]:
    """Width and height in pixels.

    Decoders believe the last size that stands ahead of the pixels, so there may be only one.

    Raises:
        ValueError: It is no PNG with one size, ahead of its pixels.
    """
    if not png.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    sizes: list[tuple[int, int]] = []
    at = len(_SIGNATURE)
    try:
        kind = b""
        while kind != b"IDAT":
            length, kind = struct.unpack_from(">I4s", png, at)
            if kind == b"IHDR":
                sizes.append(struct.unpack_from(">II", png, at + 8))
            at += length + 12
    except struct.error as error:
        raise ValueError("a PNG without pixels") from error
    if len(sizes) != 1 or min(sizes[0]) < 1:
        raise ValueError("a PNG without a size, or with several")
    return sizes[0]


def read_png(picture: Path | None) -> bytes | None:
    """A picture of a data set's as PNG, whatever its format.

    Raises:
        HarnessError: It cannot be read.
    """
    if picture is None:
        return None
    from PIL import Image

    try:
        data = picture.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "PNG":
                return data
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "PNG")
            return buffer.getvalue()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise HarnessError(f"{picture}: not a picture that can be read: {error}") from error
