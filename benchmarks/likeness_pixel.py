"""The measure that ``likeness`` replaced, kept to compare the two.

Structural similarity times likeness of colours, where either picture has something; both pictures
are brought to one width, aligned at the upper left.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.metrics import structural_similarity

WIDTH = 384
N_PIXELS = 1 << 19
WINDOW = 7
VISIBLE = 4

Pixels = NDArray[np.uint8]


def compare_by_pixel(reference: bytes, rendering: bytes) -> float:
    """How alike two PNGs are, in [0, 1], as ``--judge pixel`` said until likeness came."""
    first, second = _align(_open(reference), _open(rendering))
    structure, color = _compare(first, second)
    return structure * color


def _open(png: bytes) -> Image.Image:
    """The picture on white."""
    picture = Image.open(io.BytesIO(png))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _align(first: Image.Image, second: Image.Image) -> tuple[Pixels, Pixels]:
    """Both at one size."""
    tallest = max(picture.height / picture.width for picture in (first, second))
    widest = min(WIDTH, max(first.width, second.width), round((N_PIXELS / tallest) ** 0.5))
    width = max(WINDOW, widest)
    heights = [max(1, round(width * p.height / p.width)) for p in (first, second)]
    canvas = (width, max(WINDOW, *heights))
    papers: list[Pixels] = []
    for picture, height in zip((first, second), heights, strict=True):
        paper = Image.new("RGB", canvas, "white")
        paper.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (0, 0))
        papers.append(np.asarray(paper))
    return papers[0], papers[1]


def _compare(first: Pixels, second: Pixels) -> tuple[float, float]:
    """Structure and colour, each in [0, 1]."""
    content = _content(first) | _content(second)
    is_visible = content | _differs(first, second)
    color = _same_colors(first[is_visible], second[is_visible]) if is_visible.any() else 1.0
    structure = _same_structure(first, second, content) if content.any() else 1.0
    return structure, color


def _same_structure(first: Pixels, second: Pixels, content: NDArray[np.bool_]) -> float:
    """Mean structural similarity where there is content."""
    _, similar = structural_similarity(
        first.astype(np.float32),
        second.astype(np.float32),
        win_size=WINDOW,
        data_range=255,
        channel_axis=2,
        full=True,
    )
    structure = float(similar[content].mean(dtype=np.float64))
    return min(1.0, max(0.0, structure))


def _content(picture: Pixels) -> NDArray[np.bool_]:
    """Where something is within reach of a window: values that are not all the same."""
    window = (WINDOW, WINDOW, 1)
    high = ndimage.maximum_filter(picture, size=window, mode="nearest")
    low = ndimage.minimum_filter(picture, size=window, mode="nearest")
    return np.any(high - low > VISIBLE, axis=2)


def _differs(first: Pixels, second: Pixels) -> NDArray[np.bool_]:
    return np.asarray(np.any(np.abs(first.astype(np.int16) - second) > VISIBLE, axis=2))


def _same_colors(first: Pixels, second: Pixels) -> float:
    """Likeness of the colours of two equally many pixels, each of shape (n, 3)."""
    distances = [
        np.abs(_cumulative(first[:, channel]) - _cumulative(second[:, channel])).sum() / 255
        for channel in range(3)
    ]
    return float(1 - np.mean(distances))


def _cumulative(values: Pixels) -> NDArray[np.float64]:
    return np.cumsum(np.bincount(values, minlength=256)) / len(values)
