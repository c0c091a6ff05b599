"""Which texts of a page can be seen: those whose place changes when no text is painted.

A text may be laid out and yet be no part of the picture: transparent, in the colour of what lies
behind it, covered, cut off, one pixel high. There are more ways to do it than computed styles can
tell, so the page is photographed twice, as it is and with its texts transparent. Whatever lies
behind or above a text looks the same on both, so only the text itself makes a difference.

Texts are made transparent by a highlight, which changes paint alone: no layout moves, no
transition starts, and no style of the page's own comes before it. It reaches into open shadow
roots; texts in closed ones are left out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[float, float, float, float]

VISIBLE_CHANGE = 10
"""Of 255, in any channel: less is not seen as a difference."""

VISIBLE_SHARE = 0.005
"""Share of the pixels of a text's lines that change at least; a full stop alone changes 0.03."""

READABLE_HEIGHT = 5.0
"""CSS pixels: in lower lines letters are no longer told apart."""

HIDE_TEXTS = """(() => {
  const name = 'rrvf-no-text';
  const rule = `::highlight(${name}) { color: transparent !important;
    -webkit-text-fill-color: transparent !important;
    -webkit-text-stroke-color: transparent !important; }`;
  const set = (element, styles) => {
    for (const [property, value] of Object.entries({transition: 'none', ...styles}))
      element.style.setProperty(property, value, 'important');
  };
  const hideOtherPaint = element => {
    const {backgroundClip, textShadow} = getComputedStyle(element);
    if (element instanceof SVGTextContentElement)
      set(element, {fill: 'transparent', stroke: 'transparent'});
    if (textShadow !== 'none') set(element, {'text-shadow': 'none'});
    if (backgroundClip.split(',').every(layer => layer.trim() === 'text'))
      set(element, {'background-image': 'none', 'background-color': 'transparent'});
  };
  const highlight = new Highlight();
  highlight.priority = 2147483647;
  const adopt = root => {
    const sheet = new CSSStyleSheet(), own = Object.getPrototypeOf(root) === ShadowRoot.prototype;
    const prototype = own ? ShadowRoot.prototype : Document.prototype;
    const sheets = Reflect.get(prototype, 'adoptedStyleSheets', root);
    sheet.replaceSync(rule);
    Reflect.set(prototype, 'adoptedStyleSheets', [...sheets, sheet], root);
  };
  const roots = [document], shown = NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT;
  for (const root of roots) {
    adopt(root);
    const walker = Document.prototype.createTreeWalker.call(document, root, shown);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node instanceof Text) {
        const range = new Range();
        range.selectNodeContents(node);
        highlight.add(range);
      } else {
        if (node.shadowRoot instanceof ShadowRoot) roots.push(node.shadowRoot);
        if (node.style instanceof CSSStyleDeclaration) hideOtherPaint(node);
      }
    }
  }
  CSS.highlights.set(name, highlight);
  return true;
})()"""
"""Gives ``true``. What a highlight does not reach are shadows, SVG, and backgrounds cut out by the
text. Prototypes are asked where elements of a page could take the place of a property."""


def find_visible(lines: Sequence[Sequence[Box]], png: bytes, bare_png: bytes) -> list[bool]:
    """Whether each text can be seen.

    Args:
        lines: For each text the boxes of its lines: left, top, width and height in pixels.
        png: The page as PNG.
        bare_png: The same page as PNG, without the paint of its texts.
    """
    with Image.open(io.BytesIO(png)) as first, Image.open(io.BytesIO(bare_png)) as second:
        pixels, bare_pixels = (np.asarray(image.convert("RGB")) for image in (first, second))
    change = np.maximum(pixels, bare_pixels) - np.minimum(pixels, bare_pixels)
    mask = np.any(change > VISIBLE_CHANGE, axis=2)
    return [_is_visible(boxes, mask) for boxes in lines]


def _is_visible(boxes: Sequence[Box], mask: NDArray[np.bool_]) -> bool:
    area = count = 0
    for left, top, width, height in boxes:
        if height < READABLE_HEIGHT:
            continue
        right, bottom = left + width, top + height
        part = mask[_to_slice(top, bottom), _to_slice(left, right)]
        area += part.size
        count += int(part.sum())
    return count > VISIBLE_SHARE * area


def _to_slice(start: float, end: float) -> slice:
    """Every pixel that the stretch touches."""
    return slice(max(0, int(np.floor(start))), max(0, int(np.ceil(end))))
