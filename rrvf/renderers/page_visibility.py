"""The visible texts of a page: those whose place changes when no text is painted.

A text may be laid out and still be invisible: transparent, in the colour of its background,
covered, cut off, one pixel high. Computed styles cannot tell all of these cases apart, so the page
is photographed twice, unchanged and with its texts transparent. Whatever is behind or above a text
looks the same in both, so only texts make a difference. Only edges count in this difference,
because letters have edges, while a smear or the inside of a blot has none.

If a text lies among others, the difference may come from them. Such a text is checked alone: it is
hidden while the others are shown.

Texts are made transparent by a highlight and a style sheet, which change only paint: no layout
moves, no transition starts, no attribute appears that a selector of the page could match, and no
rule of the page can know the highlight's name. This reaches into open shadow roots; texts in closed
ones are left out.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rrvf.renderers.page_snapshot import LaidOutText

Pixels = NDArray[np.uint8]

VISIBLE_CHANGE = 10
"""Of 255, in any channel: less is not seen as a difference."""

VISIBLE_SHARE = 0.005
"""Share of the pixels of a text's lines that are edges at least; a full stop alone has 0.03."""

READABLE_HEIGHT = 5.0
"""CSS pixels: in lower lines letters are no longer told apart."""

READABLE_ADVANCE = 1.5
"""CSS pixels a sign, on average: as above, in narrower ones."""

READABLE_EXTENT, READABLE_DEPTH = 0.25, 0.15
"""Shares of the lines' columns and of their rows that have edges at least, the larger and the
smaller; of a text that is cut to less nobody reads two letters."""

BLUR = 0.15
"""Of the height of a line: the standard deviation from which letters run into one another."""

MAX_LAYERS = 4
"""Texts in one place that are looked at; the others count as unseen."""

MAX_SIDE = 256
"""Pixels of a line that are looked at, in height; a larger one is looked at in steps."""

MAX_AREA = 2**25
"""Pixels of all lines that are looked at; texts beyond them count as unseen."""

HIDE_TEXTS = """((name) => {
  const not = ':not(#rrvf-no-such-element)';
  const rules = `::highlight(${name}) { color: transparent !important;
      -webkit-text-fill-color: transparent !important;
      -webkit-text-stroke-color: transparent !important; }
    *${not}, ${not}::before, ${not}::after { transition: none !important }
    *${not} { text-shadow: none !important }
    :is(text, tspan, textPath, text a)${not} {
      fill: transparent !important; stroke: transparent !important }`;
  const locate = element => {
    const parent = element.parentNode;
    const above = parent instanceof Element ? locate(parent)
      : parent instanceof ShadowRoot ? ':host' : '';
    const place = 1 + Array.prototype.indexOf.call(Reflect.get(
      Object.getPrototypeOf(parent) === ShadowRoot.prototype ? DocumentFragment.prototype
        : parent instanceof Element ? Element.prototype : Document.prototype,
      'children', parent), element);
    return `${above ? above + ' > ' : ''}:nth-child(${place})`;
  };
  const isCutOut = element => getComputedStyle(element).backgroundClip.split(',')
    .every(layer => layer.trim() === 'text');
  const adopt = (root, rules) => {
    const sheet = new CSSStyleSheet(), own = Object.getPrototypeOf(root) === ShadowRoot.prototype;
    const prototype = own ? ShadowRoot.prototype : Document.prototype;
    const sheets = Reflect.get(prototype, 'adoptedStyleSheets', root);
    sheet.replaceSync(rules);
    Reflect.set(prototype, 'adoptedStyleSheets', [...sheets, sheet], root);
  };
  const highlight = new Highlight();
  highlight.priority = 2147483647;
  const roots = [document], shown = NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT;
  const sheets = [];
  for (const root of roots) {
    const places = [];
    const walker = Document.prototype.createTreeWalker.call(document, root, shown);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node instanceof Text) {
        const range = new Range();
        range.selectNodeContents(node);
        highlight.add(range);
      } else {
        if (node.shadowRoot instanceof ShadowRoot) roots.push(node.shadowRoot);
        if (isCutOut(node)) places.push(locate(node) + not);
      }
    }
    sheets.push([root, places.map(place =>
      `${place} { background-image: none !important; background-color: transparent !important }`
    )]);
  }
  for (const [root, places] of sheets) adopt(root, rules + places.join(' '));
  CSS.highlights.set(name, highlight);
  return true;
})"""
"""Given a name, gives ``true``. What a highlight does not reach are shadows, SVG, and backgrounds
cut out by the text. Prototypes are asked where elements of a page could take the place of a
property."""

HIDE_ONLY = """function(name, ...nodes) {
  const highlight = CSS.highlights.get(name);
  highlight.clear();
  for (const node of nodes) {
    const range = new Range();
    range.selectNodeContents(node);
    highlight.add(range);
  }
}"""
"""Given the name and text nodes: the texts under the highlight."""


def read_pixels(png: bytes) -> Pixels:
    """Of a picture, red, green and blue."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def find_change(png: bytes, bare_png: bytes) -> Pixels:
    """How much each channel of each pixel changes between two pictures of the same size."""
    first, second = read_pixels(png), read_pixels(bare_png)
    return np.maximum(first, second) - np.minimum(first, second)


def find_visible(texts: Sequence[LaidOutText], change: Pixels) -> list[bool]:
    """Whether each text can be seen, as far as the change is its own.

    Args:
        texts: As laid out.
        change: Of the page, when the texts are not painted; see :func:`find_change`.
    """
    areas = [sum(_measure(part) for part in _list_slices(text, change)) for text in texts]
    return [
        area <= MAX_AREA and _is_visible(text, change)
        for text, area in zip(texts, itertools.accumulate(areas), strict=True)
    ]


def find_layers(texts: Sequence[LaidOutText], change: Pixels) -> list[list[int]]:
    """Texts that lie among others: nothing that is theirs alone can be seen.

    Args:
        texts: Those that can be seen, or that others make seem so.
        change: As above.

    Returns:
        Places in ``texts``; no two in the same list lie upon each other, but in the last of more
        than ``MAX_LAYERS``, whose texts found no room in those before.
    """
    crowd = np.zeros(change.shape[:2], np.uint16)
    for text in texts:
        for part in _list_slices(text, change):
            crowd[part] += 1
    alone = crowd <= 1
    layers: list[list[int]] = []
    taken_by: list[NDArray[np.bool_]] = []
    for place, text in enumerate(texts):
        if _is_visible(text, change, alone):
            continue
        parts = _list_slices(text, change)
        number = next((n for n, taken in enumerate(taken_by) if not _touches(taken, parts)), None)
        if number is None:
            number = min(len(layers), MAX_LAYERS)
            if number == len(layers):
                layers.append([])
            if number < MAX_LAYERS:
                taken_by.append(np.zeros(alone.shape, np.bool_))
        layers[number].append(place)
        if number < MAX_LAYERS:
            for part in parts:
                taken_by[number][part] = True
    return layers


def _touches(taken: NDArray[np.bool_], parts: Sequence[tuple[slice, slice]]) -> bool:
    return any(taken[part].any() for part in parts)


def _is_visible(text: LaidOutText, change: Pixels, where: NDArray[np.bool_] | None = None) -> bool:
    """Whether enough edges of letters are in the lines, all of them long enough for their signs."""
    if (
        sum(max(width, height) for *_, width, height in text.lines)
        < READABLE_ADVANCE * text.n_signs
    ):
        return False
    n_edges = area = 0
    seen, sides = np.zeros(2), np.zeros(2)
    for part in _list_slices(text, change):
        steps = _choose_steps(part)
        pixels = change[part][steps]
        if where is not None:
            pixels = pixels * where[part][steps][:, :, np.newaxis]
        edges = _find_edges(pixels)
        n_edges += int(edges.sum())
        seen += edges.any(axis=1).sum(), edges.any(axis=0).sum()
        sides += edges.shape
        area += edges.size
    depth, extent = sorted(seen / np.maximum(1, sides))
    share = len("".join(text.text.split())) / max(1, text.n_signs)
    return (
        n_edges > VISIBLE_SHARE * area
        and extent >= READABLE_EXTENT * share
        and (depth >= READABLE_DEPTH * share or sum(map(str.isalnum, text.text)) < 2)
    )


def _find_edges(change: Pixels) -> NDArray[np.bool_]:
    """Pixels that change more than a neighbour, as sharply as at the edge of a letter."""
    edges = np.zeros(change.shape[:2], np.bool_)
    peak = int(change.max(initial=0))
    if peak <= VISIBLE_CHANGE:
        return edges
    # The steepest place of an edge that is blurred so much.
    slope = min(0.25, 1 / (np.sqrt(2 * np.pi) * BLUR * min(edges.shape))) * peak
    signed = change.astype(np.int16)
    across, down = np.diff(signed, axis=1), np.diff(signed, axis=0)
    edges[:, 1:] |= (across > slope).any(axis=2)
    edges[:, :-1] |= (across < -slope).any(axis=2)
    edges[1:] |= (down > slope).any(axis=2)
    edges[:-1] |= (down < -slope).any(axis=2)
    return edges


def _list_slices(text: LaidOutText, change: Pixels) -> list[tuple[slice, slice]]:
    """Rows and columns of each line that is high enough; every pixel that it touches."""
    height, width = change.shape[:2]
    return [
        (_to_slice(top, top + high, height), _to_slice(left, left + wide, width))
        for left, top, wide, high in text.lines
        if high >= READABLE_HEIGHT
    ]


def _to_slice(start: float, end: float, most: int) -> slice:
    first, last = (min(most, max(0, int(bound))) for bound in (np.floor(start), np.ceil(end)))
    return slice(first, last)


def _choose_steps(part: tuple[slice, slice]) -> tuple[slice, slice]:
    """Every pixel of an ordinary line."""
    rows, columns = part
    return (
        slice(None, None, 1 + (rows.stop - rows.start) // MAX_SIDE),
        slice(None, None, 1 + (columns.stop - columns.start) // (16 * MAX_SIDE)),
    )


def _measure(part: tuple[slice, slice]) -> int:
    """Pixels that are looked at."""
    return int(
        np.prod(
            [
                (side.stop - side.start) // step.step
                for side, step in zip(part, _choose_steps(part), strict=True)
            ]
        )
    )
