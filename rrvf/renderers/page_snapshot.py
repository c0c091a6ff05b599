"""From Chromium's ``DOMSnapshot`` of a page to the visible texts.

The browser itself takes the snapshot, out of reach of the page's own scripts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.types import TextBlock

STYLES = ["color", "visibility", "opacity"]
"""Computed styles to ask the browser for, in this order."""

TEXT_NODE = 3
MIN_OPACITY = 0.02
_RGB = re.compile(r"rgba?\(\s*([\d.]+)[,\s]+([\d.]+)[,\s]+([\d.]+)(?:[,/\s]+([\d.]+))?\s*\)")

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class LaidOutText:
    """A text as it was laid out.

    Attributes:
        text: Blanks collapsed.
        box: Around all lines, as far as they lie on the picture.
        color: As the browser says it, which may be in any colour space.
        lines: The box of each line.
        n_signs: How many are laid out, blanks included.
        node: The browser's own number of it.
    """

    text: str
    box: Box
    color: str
    lines: tuple[Box, ...]
    n_signs: int
    node: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a page in the order of the document."""

    blocks: tuple[LaidOutText, ...]

    def list_unusual_colors(self) -> list[str]:
        """Colours that are not ``rgb()``; the browser can convert them."""
        return sorted({block.color for block in self.blocks if _RGB.fullmatch(block.color) is None})

    def to_blocks(self, conversions: Mapping[str, str]) -> tuple[TextBlock, ...]:
        """The blocks, each colour as ``#RRGGBB``; what cannot be converted is black."""
        return tuple(
            TextBlock(
                block.text,
                *block.box,
                to_hexadecimal(block.color) or conversions.get(block.color, "#000000"),
            )
            for block in self.blocks
        )


def to_hexadecimal(color: str) -> str | None:
    """``rgb(...)`` or ``rgba(...)`` as ``#RRGGBB``."""
    match = _RGB.fullmatch(color)
    if match is None:
        return None
    parts = (min(255, round(float(part))) for part in match.groups()[:3])
    return "#" + "".join(f"{part:02X}" for part in parts)


def read_texts(snapshot: Mapping[str, Any], width: float, height: float) -> Texts:
    """Text nodes of the main document that lie on the picture and that no style hides.

    Generated content, form values and documents in frames are left out. Whether paint of a text
    reaches the picture is for :mod:`rrvf.renderers.page_visibility` to say.

    Args:
        snapshot: The answer to ``DOMSnapshot.captureSnapshot``.
        width: Of the picture, in CSS pixels.
        height: Likewise.
    """
    tree = _Tree(snapshot["documents"][0], snapshot["strings"])
    blocks: list[LaidOutText] = []
    n_signs = tree.count_signs()
    for place, boxes in tree.lines().items():
        node, text = tree.node_of[place], " ".join(tree.text(place).split())
        box = _clip(_unite(boxes), width, height)
        if text and box is not None and tree.shows(node):
            lines = tuple((left, top, wide, high) for left, top, wide, high in boxes)
            color, number = tree.style(node, 0), tree.numbers[node]
            blocks.append(LaidOutText(text, box, color, lines, n_signs[place], number))
    return Texts(tuple(blocks))


class _Tree:
    """One document of a snapshot; its tables refer to each other by index."""

    def __init__(self, document: Mapping[str, Any], strings: Sequence[str]) -> None:
        self._strings = strings
        nodes, layout = document["nodes"], document["layout"]
        self._parent: list[int] = nodes["parentIndex"]
        self._kind: list[int] = nodes["nodeType"]
        self._hidden_nodes = {
            *nodes["pseudoType"]["index"],
            *_find_user_agent_roots(nodes, strings),
        }
        self.numbers: list[int] = nodes["backendNodeId"]
        self.node_of: list[int] = layout["nodeIndex"]
        self._text: list[int] = layout["text"]
        styles: list[list[int]] = layout["styles"]
        self._styles = {
            node: style for node, style in zip(self.node_of, styles, strict=True) if style
        }
        self._boxes = document["textBoxes"]
        self._opacity: dict[int, float] = {-1: 1.0}

    def lines(self) -> dict[int, list[Sequence[float]]]:
        """Place in the layout -> the boxes of its lines."""
        boxes: dict[int, list[Sequence[float]]] = {}
        for place, bounds in zip(self._boxes["layoutIndex"], self._boxes["bounds"], strict=True):
            boxes.setdefault(place, []).append(bounds)
        return boxes

    def count_signs(self) -> Counter[int]:
        """Place in the layout -> how many signs are laid out there, in all lines."""
        counts: Counter[int] = Counter()
        for place, length in zip(self._boxes["layoutIndex"], self._boxes["length"], strict=True):
            counts[place] += length
        return counts

    def text(self, place: int) -> str:
        """What is laid out at a place."""
        index = self._text[place]
        return self._strings[index] if index >= 0 else ""

    def style(self, node: int, number: int) -> str:
        """A computed style of the node, or of the nearest node above that has one."""
        while node >= 0 and node not in self._styles:
            node = self._parent[node]
        return self._strings[self._styles[node][number]] if node >= 0 else ""

    def shows(self, node: int) -> bool:
        """Whether it is a text of the page itself and not made invisible."""
        if self._kind[node] != TEXT_NODE or self.style(node, 1) in ("hidden", "collapse"):
            return False
        return self._compute_opacity(node) >= MIN_OPACITY

    def _compute_opacity(self, node: int) -> float:
        """The product of all opacities from the root to the node; 0 below a hidden one."""
        path: list[int] = []
        while node not in self._opacity:
            path.append(node)
            node = self._parent[node]
        value = self._opacity[node]
        for step in reversed(path):
            style = self._styles.get(step)
            value *= float(self._strings[style[2]] or 1) if style else 1.0
            value = 0.0 if step in self._hidden_nodes else value
            self._opacity[step] = value
        return value


def _find_user_agent_roots(nodes: Mapping[str, Any], strings: Sequence[str]) -> set[int]:
    """The shadow roots that the browser puts into form controls."""
    roots = nodes["shadowRootType"]
    kinds = zip(roots["index"], roots["value"], strict=True)
    return {node for node, kind in kinds if strings[kind] == "user-agent"}


def _unite(boxes: Sequence[Sequence[float]]) -> Box:
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top


def _clip(box: Box, width: float, height: float) -> Box | None:
    """The part that lies on the picture."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(width, box[0] + box[2]), min(height, box[1] + box[3])
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top
