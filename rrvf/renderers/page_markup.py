"""What Design2Code does to a page's markup before a browser shows it.

Its scorer finds the texts of a page by colour. Every element that may hold text gets its own
colour, the page is shown in two such sets of colours, and pixels that differ by exactly the
distance of the two sets are text. An answer is repaired first, a reference is not.

Source: Design2Code (https://github.com/NoviScl/Design2Code, commit 7a575e4,
``metrics/visual_score.py``, ``metrics/ocr_free_utils.py``, ``data_utils/dedup_post_gen.py``). The
rules are theirs, quirks included, for trees that Beautiful Soup builds with ``html.parser``. Where
their code would end the whole run, this code continues: elements after the 4096th keep their
colour, and a colour declaration without a value is skipped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, Tag
from numpy.typing import NDArray
from PIL import ImageColor

from rrvf.renderers.page_document import OFFSET, ColoredText

CHUNK = 100
"""Characters of text that are compared with those before them."""
MIN_SIMILARITY = 0.8
MAX_REPETITIONS = 5
MAX_CHUNKS = 3000
"""Text after so many chunks is not looked at: theirs has no such limit, and takes hours."""
MAX_EQUAL_ELEMENTS = 50
TEXT_TAGS = (
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "div", "span", "a", "b", "li"),
    *("table", "td", "th", "button", "footer", "header", "figcaption"),
)

_TAG = re.compile(r"<.*?>")
_ROOT = re.compile(r"<html[^>]*>", re.IGNORECASE)
_LEVELS = range(250, 9, -16)
_COLORS = [(red, green, blue) for red in _LEVELS for green in _LEVELS for blue in _LEVELS]


@dataclass(frozen=True, slots=True)
class Recolored:
    """A document in two sets of colours.

    Attributes:
        first, second: Markup.
        texts: What is written in it.
    """

    first: str
    second: str
    texts: tuple[ColoredText, ...]


# ------------------------------------------------------------------------------- mending answers


def repair_markup(html: str) -> str:
    """An answer as it is shown: wrapped where it has no root, written anew.

    Args:
        html: Up to its :func:`find_repetition`.
    """
    if not _ROOT.search(html):
        html = f"<html><body><p>{html}</p></body></html>"
    tree = _parse(html)
    _remove_equal_elements(tree)
    return str(tree)


def find_repetition(html: str) -> int | None:
    """Where a document begins to repeat itself; ``None`` where it does not.

    The place in the markup is compared with one in the text without tags, as officially.
    """
    text = _TAG.sub("", html)
    start = len(text)
    places: list[int] = []
    for first_chunk in _find_repeated_chunks(text):
        places = places or [*_map_to_markup(text, html), len(html)]
        clean_start = min(start, first_chunk * CHUNK)
        start = min(start, places[min(clean_start, len(text))])
    return None if start == len(text) else start


def _find_repeated_chunks(text: str) -> Iterator[int]:
    """For every chunk with enough repetitions before it, the number of the first one like it."""
    chunks = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)][:MAX_CHUNKS]
    counts = _count_characters(chunks)
    kept: list[int] = []
    repetitions: Counter[int] = Counter()
    for i, chunk in enumerate(chunks):
        first = next((k for k in _list_near(counts, kept, i) if _is_like(chunk, chunks[k])), None)
        if first is None:
            kept.append(i)
            continue
        repetitions[first] += 1
        if repetitions[first] + 1 >= MAX_REPETITIONS:
            yield first


def _count_characters(chunks: list[str]) -> NDArray[np.int16]:
    """How often each character comes; shape (chunks, characters)."""
    places = {char: k for k, char in enumerate(sorted(set("".join(chunks))))}
    counts = np.zeros((len(chunks), len(places)), np.int16)
    for row, chunk in zip(counts, chunks, strict=True):
        for char, number in Counter(chunk).items():
            row[places[char]] = number
    return counts


def _list_near(counts: NDArray[np.int16], kept: list[int], i: int) -> list[int]:
    """The kept chunks that share enough characters with chunk ``i``, whatever their order."""
    if not kept:
        return []
    common = np.minimum(counts[kept], counts[i]).sum(axis=1)
    lengths = counts[kept].sum(axis=1) + counts[i].sum()
    return [k for k, near in zip(kept, 2 * common >= MIN_SIMILARITY * lengths, strict=True) if near]


def _is_like(chunk: str, other: str) -> bool:
    """Whether ``difflib`` finds them similar; a longest common subsequence bounds what it finds."""
    most = 2 * _measure_common_subsequence(chunk, other)
    if most < MIN_SIMILARITY * (len(chunk) + len(other)):
        return False
    return SequenceMatcher(None, chunk, other).ratio() >= MIN_SIMILARITY


def _measure_common_subsequence(first: str, second: str) -> int:
    """Length of the longest one, by the bits of an integer (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for j, char in enumerate(second):
        places[char] = places.get(char, 0) | 1 << j
    full = (1 << len(second)) - 1
    bits = full
    for char in first:
        matches = bits & places.get(char, 0)
        bits = ((bits + matches) | (bits - matches)) & full
    return len(second) - bits.bit_count()


def _map_to_markup(text: str, html: str) -> Iterator[int]:
    """For each character of the text the first place in the markup that it can have."""
    at = -1
    for char in text:
        at = html.index(char, at + 1)
        yield at


def _remove_equal_elements(tree: BeautifulSoup) -> None:
    """Remove the 51st and later elements with the same markup, in the order of the document."""
    elements = tree.find_all(True)
    keys = _sketch_elements(elements)
    sizes = Counter(keys)
    counts: Counter[str] = Counter()
    for element, key in zip(elements, keys, strict=True):
        if sizes[key] <= MAX_EQUAL_ELEMENTS or element.decomposed:
            continue
        markup = str(element)
        counts[markup] += 1
        if counts[markup] > MAX_EQUAL_ELEMENTS:
            element.decompose()


def _sketch_elements(elements: Sequence[Tag]) -> list[tuple[Any, ...]]:
    """What elements with the same markup have in common, found without writing it.

    The size of all that is in them is part of it: of nested elements no two are the same.
    """
    sizes: dict[int, int] = {}
    for element in reversed(elements):
        inner_sizes = (
            sizes[id(child)] if isinstance(child, Tag) else len(str(child))
            for child in element.contents
        )
        sizes[id(element)] = 1 + sum(inner_sizes)
    return [(element.name, repr(element.attrs), sizes[id(element)]) for element in elements]


# ---------------------------------------------------------------------------------- recolouring


def recolor_markup(html: str) -> Recolored:
    """A document in two sets of colours, with the colours of its texts in the first."""
    tree = _parse(html)
    for element in tree.find_all(True):
        _set_style(element, "background-color", "rgba(255, 255, 255, 0.0)")
    elements = tree.find_all(TEXT_TAGS)[: len(_COLORS)]
    _color_elements(elements, 0)
    first = str(tree)
    _color_elements(elements, OFFSET)
    return Recolored(first, str(tree), tuple(_list_texts(_parse(first))))


def _parse(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def _color_elements(elements: list[Tag], offset: int) -> None:
    for element, color in zip(elements, _COLORS, strict=False):
        channels = ((channel + offset) % 256 for channel in color)
        _set_style(element, "color", "#" + "".join(f"{channel:02X}" for channel in channels))
        _set_style(element, "opacity", "1.0")


def _set_style(element: Tag, name: str, value: str) -> None:
    """Declare a property inline; what begins with its name goes, `color-scheme` with `color`."""
    declarations = [part for part in str(element.get("style", "")).split(";") if part.strip()]
    kept = [part for part in declarations if not part.strip().startswith(name)]
    element["style"] = "; ".join([*kept, f"{name}: {value} !important"]).strip()


# ---------------------------------------------------------------------------------------- items


def _list_texts(tree: BeautifulSoup) -> Iterator[ColoredText]:
    """Strings of the body but comments, each in the colour of the nearest element that has one."""
    if tree.body is None:
        return
    stack: list[tuple[Any, str]] = [(tree.body, "#000000")]
    while stack:
        node, color = stack.pop()
        if isinstance(node, Tag):
            own_color = _read_color(node) or color
            stack.extend((child, own_color) for child in reversed(node.contents))
        elif isinstance(node, NavigableString) and not isinstance(node, Comment):
            text, channels = node.strip(), _read_channels(color)
            if text and channels is not None:
                yield ColoredText(text.lower(), channels)


def _read_color(element: Tag) -> str | None:
    """The inline colour: the last declaration that speaks of one and not of the background."""
    declarations = str(element.get("style", "")).split(";")
    colors = [part for part in declarations if "color" in part and "background-color" not in part]
    _, _, value = colors[-1].partition(":") if colors else ("", "", "")
    color = value.split(":")[0].strip().replace(" !important", "")
    if not color or color.startswith("#"):
        return color or None
    try:
        if color.startswith("rgb"):
            channels = tuple(map(int, color[4:-1].split(",")))
        else:
            channels = ImageColor.getrgb(color)
        return "#{:02x}{:02x}{:02x}".format(*channels)
    except (ValueError, IndexError):
        return None


def _read_channels(color: str) -> tuple[int, int, int] | None:
    """Of a hexadecimal colour with six digits at least; ``None`` where it is none."""
    digits = color.lstrip("#")
    try:
        red, green, blue = (int(digits[i : i + 2], 16) for i in (0, 2, 4))
    except ValueError:
        return None
    return red, green, blue
