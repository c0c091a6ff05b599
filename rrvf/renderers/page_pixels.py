"""The pixels of a page that are text, by Design2Code's rule: from three pictures to text blocks.

Source: Design2Code (https://github.com/NoviScl/Design2Code, commit 7a575e4,
``metrics/ocr_free_utils.py``); the same blocks, found several hundred times faster.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rrvf.renderers.page_document import OFFSET, ColoredText
from rrvf.types import TextBlock

PAIR_TOLERANCE = 8
"""Between the two sets of colours, once the offset is taken off."""
COLOR_TOLERANCE = 4
"""Between a pixel and the colour of its element."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Ink:
    """Text pixels, those of one colour together.

    Attributes:
        colors: Each colour once; shape (colours, 3).
        boxes: Left, top, right and bottom pixel of each; shape (colours, 4).
        sums: Of the page's own channels at these pixels; shape (colours, 3).
        counts: How many pixels.
    """

    colors: NDArray[np.int64]
    boxes: NDArray[np.int64]
    sums: NDArray[np.int64]
    counts: NDArray[np.int64]


def find_blocks(
    png: bytes, first_png: bytes, second_png: bytes, texts: Sequence[ColoredText]
) -> tuple[TextBlock, ...]:
    """The blocks, one a text that left a pixel, in the order of the document.

    Args:
        png: The page as it is, as PNG.
        first_png: In the first set of colours.
        second_png: In the second.
        texts: What is written on it.
    """
    page, first, second = (_read_pixels(data) for data in (png, first_png, second_png))
    if first.shape != second.shape:
        return ()
    is_text = np.abs((first + np.uint8(OFFSET)).astype(np.int16) - second).max(axis=2)
    ys, xs = np.nonzero(is_text <= PAIR_TOLERANCE)
    if len(ys) == 0:
        return ()
    ink = _collect_ink(first[ys, xs], page, ys, xs)
    blocks: list[TextBlock] = []
    for text in texts:
        places = _find_color(ink, text.color)
        if len(places) == 0:
            continue
        boxes = ink.boxes[places]
        left, top = boxes[:, :2].min(axis=0)
        right, bottom = boxes[:, 2:].max(axis=0)
        if bottom >= page.shape[0] or right >= page.shape[1]:
            return ()  # the page's own picture is smaller: theirs fails there, and finds none
        blocks.append(_make_block(text.text, ink, places, (left, top, right, bottom)))
    return tuple(blocks)


def _read_pixels(png: bytes) -> Pixels:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _collect_ink(colors: Pixels, page: Pixels, ys: NDArray[np.intp], xs: NDArray[np.intp]) -> _Ink:
    """Text pixels by colour; what lies outside of the page's own picture adds nothing to sums."""
    packed = colors.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    order = np.argsort(packed, kind="stable")
    packed, ys, xs = packed[order], ys[order], xs[order]
    starts = np.flatnonzero(np.diff(packed, prepend=-1))
    inside = (ys < page.shape[0]) & (xs < page.shape[1])
    own = np.zeros((len(ys), 3), np.int64)
    own[inside] = page[ys[inside], xs[inside]]
    boxes = [
        reduce.reduceat(values, starts)
        for reduce, values in (
            *((np.minimum, xs), (np.minimum, ys)),
            *((np.maximum, xs), (np.maximum, ys)),
        )
    ]
    unique = packed[starts]
    return _Ink(
        np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1),
        np.stack(boxes, axis=1),
        np.add.reduceat(own, starts, axis=0),
        np.diff(starts, append=len(packed)),
    )


def _find_color(ink: _Ink, color: tuple[int, int, int]) -> NDArray[np.intp]:
    """Which of the ink's colours are a text's; none near 0 and 255, where 8 bits wrap around."""
    center = np.array(color)
    if center.min() < COLOR_TOLERANCE or center.max() > 255 - COLOR_TOLERANCE:
        return np.array([], np.intp)
    return np.flatnonzero(np.abs(ink.colors - center).max(axis=1) <= COLOR_TOLERANCE)


def _make_block(
    text: str, ink: _Ink, places: NDArray[np.intp], box: tuple[int, int, int, int]
) -> TextBlock:
    """Its colour is the mean of the page's own pixels, each channel cut to a whole number."""
    left, top, right, bottom = map(int, box)
    red, green, blue = (ink.sums[places].sum(axis=0) / ink.counts[places].sum()).astype(int)
    color = f"#{red:02X}{green:02X}{blue:02X}"
    return TextBlock(text, left, top, right - left + 1, bottom - top + 1, color)
