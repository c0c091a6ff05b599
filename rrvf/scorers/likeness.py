"""The embedded judge: how similar two pictures are, without a model or a network.

Each picture is put on white, cropped to what is not background, and scaled to one square, so
margins and resolution make no difference. The results are compared by three measures. Each is
Dice's coefficient: twice what the two pictures have in common, over the sum of both.

* ``strokes``: how much of each direction is drawn in each cell of a 32 x 32 grid (histograms of
  oriented gradients; Dalal and Triggs 2005). A gradient has more weight if its surroundings run the
  same way (coherence of the structure tensor; Bigun and Granlund 1987), so dots are no strokes.
* ``colors``: which colours are used, in Lab. Strong colours have more weight than greys, and each
  colour counts by the root of its area, so a small marker matters too.
* ``ink``: where anything is drawn.

Two more factors affect few pictures: ``paper``, the similarity of the backgrounds, and ``shape``,
the ratio of the proportions of what is drawn, if it is below ``FREE_SHAPE``.

The weighted mean is geometric, so a picture with only one thing right, such as a blank picture or
noise, gets a low score: r = (strokes^2 colors ink)^(1/4) paper shape. The score is 1 - (1 - r)^2,
which keeps the order and leaves small shifts near 1. Equal pictures get exactly 1, blank against
drawn gets 0, and the order of the two pictures does not matter.

``benchmarks/likeness.py`` measures how good this ranking is. The judge does not read texts or
numbers, and its scores are not those of a model.
"""

from __future__ import annotations

import functools
import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray
from PIL import Image, ImageChops

from rrvf.errors import SetupError, boundary
from rrvf.types import Score

NAME = "likeness"
OLD_NAME = "pixel"
"""What the embedded judge was called when it measured something else; to go in 0.3."""

RENAMED = (
    f"{OLD_NAME} is now {NAME}, another measure, whose scores do not compare with the old; "
    f"write {NAME}, as {OLD_NAME} will be refused"
)

VERSION = 1
"""Moves with every change that moves a score."""

SIDE = 192
"""Of the square in which two pictures are compared, in pixels."""
CELLS = 32
DIRECTIONS = 6
VISIBLE = 12
"""A smaller difference from the background, of 255, is taken for none."""
FULL_INK = 25.0
"""Distance from the background in Lab at which a pixel is ink through and through."""
FULL_STROKE = 10.0
"""Change of a channel of Lab a pixel from which on a gradient counts in full."""
SURROUNDINGS = 3.0
"""Standard deviation of the window in which gradients are compared, in pixels."""
STRONG_COLOR = 30.0
"""Chroma in Lab from which on a colour counts in full; grey has a fiftieth of that."""
BINS = (6, 10, 10)
BLACK_AND_WHITE = 100.0
"""How far they are apart in Lab."""
FARTHEST = 200.0
"""Distance in Lab at which two papers make everything on them worthless; strong colours alone."""
FREE_SHAPE = 0.8
KEPT = 16

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """What is compared of a picture.

    Attributes:
        strokes: Shape (directions, cells, cells).
        colors: Shares of the bins of Lab.
        ink: Shape (cells, cells).
        paper: The background in Lab.
        shape: Width over height of what is drawn.
        blank: Nothing is.
    """

    strokes: Floats
    colors: Floats
    ink: Floats
    paper: Floats
    shape: float
    blank: bool


@dataclass(frozen=True, slots=True)
class LikenessJudge:
    """Compares strokes, colours and ink; its column is ``likeness``, never ``gpt``."""

    @property
    def name(self) -> str:
        """Of its score."""
        return NAME

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
            "judge": f"{NAME} {VERSION}",
            "skimage_version": str(_import_package("skimage").__version__),
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
        _import_package("skimage")
        with boundary("comparing two pictures"):
            parts = compare_looks(look_at(reference), look_at(rendering))
        return Score(combine_parts(parts), parts)


def combine_parts(parts: Mapping[str, float]) -> float:
    """The score of five shares; see the head of this module."""
    mean = (parts["strokes"] ** 2 * parts["colors"] * parts["ink"]) ** 0.25
    return 1 - (1 - mean * parts["paper"] * parts["shape"]) ** 2


def compare_looks(first: Look, second: Look) -> dict[str, float]:
    """The five shares, each in [0, 1]."""
    return {
        "strokes": _compare_amounts(first.strokes, second.strokes),
        "colors": _compare_amounts(first.colors, second.colors),
        "ink": _compare_amounts(first.ink, second.ink),
        "paper": _compare_papers(first, second),
        "shape": _compare_shapes(first, second),
    }


def _compare_amounts(first: Floats, second: Floats) -> float:
    """Twice what both have over what each has; 1 where neither has anything."""
    total = float(first.sum(dtype=np.float64) + second.sum(dtype=np.float64))
    return 2 * float(np.minimum(first, second).sum(dtype=np.float64)) / total if total else 1.0


def _compare_papers(first: Look, second: Look) -> float:
    """Blank pictures are nothing but paper, so there black is no white at all."""
    farthest = BLACK_AND_WHITE if first.blank and second.blank else FARTHEST
    return max(0.0, 1 - float(np.linalg.norm(first.paper - second.paper)) / farthest)


def _compare_shapes(first: Look, second: Look) -> float:
    if first.blank or second.blank:
        return 1.0
    ratio = min(first.shape, second.shape) / max(first.shape, second.shape)
    return min(1.0, ratio / FREE_SHAPE)


@functools.lru_cache(maxsize=KEPT)
def look_at(png: bytes) -> Look:
    """What is compared of a picture; the latest few are remembered, as a reference comes often."""
    picture = _put_on_white(png)
    background = _find_background(picture)
    paper = _to_lab(np.array([[background]], dtype=np.uint8))[0, 0]
    box = _find_drawn_part(picture, background)
    if box is None:
        return _make_blank_look(paper)
    left, top, right, bottom = box
    is_small = min(right - left, bottom - top) < SIDE
    method = Image.Resampling.BILINEAR if is_small else Image.Resampling.BOX
    lab = _to_lab(np.asarray(picture.crop(box).resize((SIDE, SIDE), method)))
    ink = np.clip(np.linalg.norm(lab - paper, axis=2) / FULL_INK, 0, 1)
    return Look(
        strokes=_measure_strokes(lab),
        colors=_measure_colors(lab, ink),
        ink=_soften(_average_cells(ink)),
        paper=paper,
        shape=(right - left) / (bottom - top),
        blank=False,
    )


def _make_blank_look(paper: Floats) -> Look:
    cells = np.zeros((CELLS, CELLS), dtype=np.float32)
    strokes = np.zeros((DIRECTIONS, CELLS, CELLS), dtype=np.float32)
    return Look(strokes, np.zeros(BINS, dtype=np.float32), cells, paper, shape=1.0, blank=True)


def _import_package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(
            f"the judge {NAME} needs scikit-image: pip install 'rrvf[judge]' ({error})"
        ) from error


def _to_lab(pixels: Pixels) -> Floats:
    return _import_package("skimage.color").rgb2lab(pixels.astype(np.float32) / 255)


# --------------------------------------------------------------------------- what is drawn


def _put_on_white(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _find_background(picture: Image.Image) -> Rgb:
    """The commonest colour of the border."""
    width, height = picture.size
    edges = [(0, 0, width, 1), (0, height - 1, width, height)]
    edges += [(0, 0, 1, height), (width - 1, 0, width, height)]
    border = np.concatenate([np.asarray(picture.crop(edge)).reshape(-1, 3) for edge in edges])
    colors, counts = np.unique(border, axis=0, return_counts=True)
    red, green, blue = colors[counts.argmax()].tolist()
    return red, green, blue


def _find_drawn_part(picture: Image.Image, background: Rgb) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is not background; ``None`` where all is."""
    paper = Image.new("RGB", picture.size, background)
    difference = ImageChops.difference(picture, paper)
    return difference.point([255 * (value > VISIBLE) for value in range(256)] * 3).getbbox()


# --------------------------------------------------------------------------- what is compared


def _measure_strokes(lab: Floats) -> Floats:
    """How much of each direction runs through each cell."""
    across, down = _measure_gradient(lab)
    strength = (
        np.minimum(np.hypot(across, down) / FULL_STROKE, 1) * _measure_coherence(across, down) ** 2
    )
    place = np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS
    lower = np.floor(place).astype(np.intp)
    share = place - lower
    grid = np.zeros((DIRECTIONS, CELLS, CELLS), dtype=np.float32)
    for direction in range(DIRECTIONS):
        shares = np.where(lower % DIRECTIONS == direction, 1 - share, 0)
        shares += np.where((lower + 1) % DIRECTIONS == direction, share, 0)
        grid[direction] = _soften(_average_cells(strength * shares))
    return grid


def _measure_gradient(lab: Floats) -> tuple[Floats, Floats]:
    """Of the channel that changes most at each place, rightwards and downwards."""
    across, down = (scipy.ndimage.sobel(lab, axis=axis) / 8 for axis in (1, 0))
    most = (across**2 + down**2).argmax(axis=2)[..., None]
    return (
        np.take_along_axis(across, most, axis=2)[..., 0],
        np.take_along_axis(down, most, axis=2)[..., 0],
    )


def _measure_coherence(across: Floats, down: Floats) -> Floats:
    """1 where the gradients around a place are parallel, 0 where they point everywhere."""
    xx, yy, xy = (
        scipy.ndimage.gaussian_filter(product, SURROUNDINGS)
        for product in (across * across, down * down, across * down)
    )
    return np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-3)


def _measure_colors(lab: Floats, ink: Floats) -> Floats:
    """Shares of soft bins of Lab, by the root of the area that each colour takes."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    weights = ink * np.clip(chroma / STRONG_COLOR, 0.02, 1)
    counts, _ = np.histogramdd(
        lab.reshape(-1, 3),
        bins=BINS,
        range=[(0, 100.001), (-100, 100), (-100, 100)],
        weights=weights.ravel(),
    )
    roots = np.sqrt(scipy.ndimage.gaussian_filter(counts, 0.8, mode="nearest"))
    total = roots.sum()
    return (roots / total if total else roots).astype(np.float32)


def _average_cells(values: Floats) -> Floats:
    size = SIDE // CELLS
    return values.reshape(CELLS, size, CELLS, size).mean(axis=(1, 3))


def _soften(grid: Floats) -> Floats:
    """Neighbouring cells share a little, so that a line may stand beside a border."""
    return scipy.ndimage.gaussian_filter(grid, 0.6, mode="constant")
