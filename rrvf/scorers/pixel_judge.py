"""The embedded judge: no model, no network. It stands in where there is no endpoint.

Structural similarity (Wang et al. 2004, computed by scikit-image) times likeness of colours. It
looks at pixels and knows nothing of charts: trust its order, not its figures, and never compare
them with those of a model.

How two pictures are brought together, neither being the master:

1. Both are put on white and scaled, with their proportions kept, to one width: at most 384 pixels,
   less where a picture is so high that more than about half a million would be compared.
2. The lower one gets white below, so that a white end of a page is no difference. Nothing is
   stretched.

Most of a chart or page is empty, and emptiness agrees with emptiness. So only some places count:

* ``structure``: mean structural similarity, over the three colour channels, of the places where
  either picture has something within three pixels. Even areas that differ are left to ``color``.
* ``color``: 1 - the distance between the two distributions of each channel's values (Wasserstein's,
  with 0 to 255 as 0 to 1), mean of the three, of those places and of all that differ. Where things
  stand does not move it.

The score is their product. Identical pictures get exactly 1; exchanging the two changes nothing.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rrvf.errors import SetupError, boundary
from rrvf.types import Score

WIDTH = 384
N_PIXELS = 1 << 19
WINDOW = 7
VISIBLE = 4
"""A smaller difference, of 255, is taken for none when places with content are sought."""

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3)."""


@dataclass(frozen=True, slots=True)
class PixelJudge:
    """Structural similarity and colours; its column is ``pixel``, never ``gpt``."""

    @property
    def name(self) -> str:
        """Of its score."""
        return "pixel"

    @property
    def concurrency(self) -> int:
        """More gain nothing: most of the work holds Python's lock."""
        return 2

    def protocol(self) -> Mapping[str, Any]:
        """What moves its scores.

        Raises:
            SetupError: scikit-image is missing; says how to install it.
        """
        return {
            "judge": "pixel",
            "skimage_version": str(_package("skimage").__version__),
            "width": WIDTH,
            "window": WINDOW,
        }

    def expected(self, n_pairs: int) -> None:
        """Nothing is paid for."""

    def spent(self) -> None:
        """Nothing is paid for."""

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How alike two PNGs are, in [0, 1].

        Raises:
            SetupError: scikit-image is missing.
            HarnessError: One of them is no picture.
        """
        _package("skimage")
        with boundary("comparing two pictures"):
            first, second = _together(_opened(reference), _opened(rendering))
            structure, color = _alike(first, second)
        return Score(structure * color, {"structure": structure, "color": color})


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(
            f"the pixel judge needs scikit-image: pip install 'rrvf[judge]' ({error})"
        ) from error


def _opened(png: bytes) -> Image.Image:
    """The picture on white."""
    picture = Image.open(io.BytesIO(png))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _together(first: Image.Image, second: Image.Image) -> tuple[Pixels, Pixels]:
    """Both at one size."""
    tallest = max(picture.height / picture.width for picture in (first, second))
    widest = min(WIDTH, max(first.width, second.width), round((N_PIXELS / tallest) ** 0.5))
    width = max(WINDOW, widest)
    heights = [max(1, round(width * p.height / p.width)) for p in (first, second)]
    canvas = (width, max(WINDOW, *heights))
    placed: list[Pixels] = []
    for picture, height in zip((first, second), heights, strict=True):
        paper = Image.new("RGB", canvas, "white")
        paper.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (0, 0))
        placed.append(np.asarray(paper))
    return placed[0], placed[1]


def _alike(first: Pixels, second: Pixels) -> tuple[float, float]:
    """Structure and colour, each in [0, 1]."""
    content = _content(first) | _content(second)
    seen = content | _differs(first, second)
    color = _same_colors(first[seen], second[seen]) if seen.any() else 1.0
    structure = _same_structure(first, second, content) if content.any() else 1.0
    return structure, color


def _same_structure(first: Pixels, second: Pixels, content: NDArray[np.bool_]) -> float:
    """Mean structural similarity where there is content."""
    _, similar = _package("skimage.metrics").structural_similarity(
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
    ndimage = _package("scipy.ndimage")
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
