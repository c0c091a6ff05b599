"""The texts that Plot2Code reads from a drawn figure.

The rule is that of the benchmark's ``eval/text_match_score.py`` (github.com/TencentARC/Plot2Code):
the texts are read after the figure has been saved as a PNG and closed, and after matplotlib's
defaults have been restored. The last step matters if a script changes font sizes: the number of
ticks is computed again when the texts are read, so drawn labels may be missing.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import io
import math
from collections.abc import Generator
from typing import Any

MAX_TEXTS = 20_000
WHITE = 255


def is_all_white(picture: io.BytesIO) -> bool:
    """Whether every channel of every pixel of a PNG is at its full, opacity included."""
    from PIL import Image

    with Image.open(picture) as image:
        bands = [image.getchannel(name).getextrema() for name in image.getbands()]
    return all(lowest == WHITE for lowest, _ in bands)


def forget(figure: Any) -> None:
    """Close the drawn figure and what lies below it, and restore matplotlib's defaults."""
    import matplotlib
    from matplotlib import pyplot

    pyplot.close()
    matplotlib.rcdefaults()
    pyplot.clf()  # the figure before this one, whose axes may share theirs with it
    pyplot.close("all")


def read_inches(figure: Any) -> list[float]:
    """Width and height."""
    width, height = figure.get_size_inches()
    return [float(width), float(height)]


def read_texts(figure: Any) -> list[list[Any]]:
    """``[text, x, y]`` of every visible text that is not empty, a parent before its children.

    ``x`` and ``y`` are both ``None`` where the position is no pair of finite numbers. A text is
    read whether or not what it belongs to is visible.

    Raises:
        ValueError: There are too many.
    """
    rows: list[list[Any]] = []
    for text, position in _walk_texts(figure):
        rows.append([text, *(position or (None, None))])
        if len(rows) > MAX_TEXTS:
            raise ValueError(f"more than {MAX_TEXTS} texts in one figure")
    return rows


def _walk_texts(artist: Any) -> Generator[tuple[str, tuple[float, float] | None]]:
    from matplotlib.text import Text

    if isinstance(artist, Text) and artist.get_visible():
        text = artist.get_text().strip().lower()
        if text:
            yield text, _read_numbers(artist.get_position())
    for child in artist.get_children():
        yield from _walk_texts(child)


def _read_numbers(position: Any) -> tuple[float, float] | None:
    """Both coordinates; an array of one number, which matplotlib takes for that number, is one."""
    import numpy as np

    try:
        array = np.array(position)
    except (TypeError, ValueError):  # a date beside a number
        return None
    if array.dtype.kind not in "biuf" or array.size != 2:
        return None
    x, y = (float(number) for number in array.ravel())
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None
