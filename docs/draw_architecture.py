"""Draw docs/architecture.svg from docs/architecture.toml.

``python docs/draw_architecture.py`` writes the picture; ``--out FILE`` writes it elsewhere. It
needs only the standard library. The same text always gives the same bytes.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
WIDTH, MARGIN, GAP = 880, 20, 44
BOX_HEIGHT, PITCH = 48, 84
FRAME = 13

STYLE = """
.sheet { fill: #ffffff; }
.box { fill: #f6f8fa; stroke: #afb8c1; }
.line { fill: #ddf4ff; stroke: #218bff; }
.result { fill: #dafbe1; stroke: #2da44e; }
.frame { fill: none; stroke: #218bff; stroke-dasharray: 5 4; }
.arrow { fill: none; stroke: #59636e; stroke-width: 1.4; }
.head { fill: #59636e; }
.link { stroke: #afb8c1; stroke-width: 1.4; stroke-dasharray: 2 4; }
.path, .type { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.path { font-size: 13px; font-weight: 600; fill: #1f2328; }
.type { font-size: 12px; fill: #8250df; }
.note { font-family: system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; }
.note { font-size: 12px; fill: #59636e; }
@media (prefers-color-scheme: dark) {
  .sheet { fill: #0d1117; }
  .box { fill: #151b23; stroke: #656c76; }
  .line { fill: #10233f; stroke: #4493f8; }
  .result { fill: #12281c; stroke: #3fb950; }
  .frame { stroke: #4493f8; }
  .arrow { stroke: #9198a1; }
  .head { fill: #9198a1; }
  .link { stroke: #656c76; }
  .path { fill: #f0f6fc; }
  .type { fill: #d2a8ff; }
  .note { fill: #9198a1; }
}
"""


@dataclass(frozen=True)
class Box:
    """Where a box lies on the sheet, in pixels from the upper left."""

    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        """Of its width."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + BOX_HEIGHT

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def waist(self) -> float:
        """The middle of its height."""
        return self.y + BOX_HEIGHT / 2


def place(row: int, slot: str) -> Box:
    """The box of one slot, as in ``2/3``: the second of three equal ones."""
    number, count = map(int, slot.split("/"))
    gap = GAP if count == 3 else GAP / 4
    width = (WIDTH - 2 * MARGIN - (count - 1) * gap) / count
    return Box(MARGIN + (number - 1) * (width + gap), MARGIN + row * PITCH, width)


def text(css: str, x: float, y: float, content: str, anchor: str = "start") -> str:
    """One line of text."""
    return (
        f'<text class="{css}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'
    )


def draw_box(entry: Mapping[str, Any], box: Box) -> Iterator[str]:
    """A box with its path and what that does."""
    css = entry.get("style", "box")
    yield (
        f'<rect class="{css}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{BOX_HEIGHT}" rx="7"/>'
    )
    yield text("path", box.middle, box.y + 20, entry["path"], "middle")
    yield text("note", box.middle, box.y + 38, entry["text"], "middle")


def draw_frame(entry: Mapping[str, Any], first: Box, last: Box) -> Iterator[str]:
    """A dashed frame around some boxes, with the path of the module that joins them."""
    top, bottom = first.y - FRAME - 9, last.bottom + FRAME
    yield (
        f'<rect class="frame" x="{first.x - FRAME:g}" y="{top:g}" '
        f'width="{first.width + 2 * FRAME:g}" height="{bottom - top:g}" rx="9"/>'
    )
    yield text("path", first.x - 3, top + 15, entry["path"])


def draw_head(x: float, y: float, turn: int = 0) -> str:
    """The tip of an arrow, which points down unless it is turned."""
    transform = f"translate({x:g} {y:g}) rotate({turn})"
    return f'<path class="head" d="M0 0 l-5 -9 h10 z" transform="{transform}"/>'


def draw_arrow(entry: Mapping[str, Any], sources: Sequence[Box], target: Box) -> Iterator[str]:
    """From the boxes above to the one below, with the type beside the tip."""
    bend = target.y - 24
    for source in sources:
        yield (
            f'<path class="arrow" d="M{source.middle:g} {source.bottom:g} V{bend:g} '
            f'H{target.middle:g} V{target.y - 8:g}"/>'
        )
    yield draw_head(target.middle, target.y)
    yield text("type", target.middle + 10, target.y - 10, entry["type"])


def draw_back(entry: Mapping[str, Any], source: Box, target: Box) -> Iterator[str]:
    """From a box up to an earlier one, around their right side."""
    x = source.right + GAP
    yield (
        f'<path class="arrow" d="M{source.right:g} {source.waist:g} H{x:g} V{target.waist:g} '
        f'H{target.right + 8:g}"/>'
    )
    yield draw_head(target.right, target.waist, 90)
    middle = (source.waist + target.waist) / 2
    yield text("type", x + 10, middle - 12, entry["type"])
    for number, line in enumerate(entry["text"]):
        yield text("note", x + 10, middle + 6 + 16 * number, line)


def draw_link(first: Box, second: Box) -> str:
    """A dotted line between neighbours in a row, or in a column."""
    if first.y == second.y:
        start, end = (first.right, first.waist), (second.x, second.waist)
    else:
        start, end = (first.middle, first.bottom), (second.middle, second.y)
    return (
        f'<line class="link" x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}"/>'
    )


def draw(sheet: Mapping[str, Any]) -> str:
    """The picture as SVG."""
    boxes = {entry["name"]: place(entry["row"], entry["slot"]) for entry in sheet["box"]}
    height = max(box.bottom for box in boxes.values()) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img">',
        f"<title>{escape(sheet['title'])}</title>",
        f"<desc>{escape(sheet['description'])}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="sheet" width="{WIDTH}" height="{height:g}" rx="10"/>',
    ]
    parts += [draw_link(*(boxes[name] for name in entry["boxes"])) for entry in sheet["link"]]
    for entry in sheet["arrow"]:
        parts += draw_arrow(entry, [boxes[name] for name in entry["from"]], boxes[entry["to"]])
    for entry in sheet["frame"]:
        parts += draw_frame(entry, boxes[entry["first"]], boxes[entry["last"]])
    for entry in sheet["back"]:
        parts += draw_back(entry, boxes[entry["from"]], boxes[entry["to"]])
    for entry in sheet["box"]:
        parts += draw_box(entry, boxes[entry["name"]])
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="Draw the architecture.")
    parser.add_argument("--source", type=Path, default=FOLDER / "architecture.toml")
    parser.add_argument("--out", type=Path, default=FOLDER / "architecture.svg")
    arguments = parser.parse_args()
    sheet = tomllib.loads(arguments.source.read_text("utf-8"))
    arguments.out.write_text(draw(sheet), "utf-8")


if __name__ == "__main__":
    main()
