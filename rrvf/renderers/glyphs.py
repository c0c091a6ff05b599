"""Scripts (writing systems) for which this machine has no font.

A character without a glyph is drawn as a box, like every other such character. Two pictures with
different Chinese texts are then equal for any comparison of pictures. Texts that are read from the
drawing or the page are not affected.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from rrvf.renderers.browser import FONT_FOLDERS

Medium = Literal["chart", "page"]

SCRIPTS: dict[str, tuple[str, str]] = {
    "Chinese": (r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af", "\u4e2d"),
    "Japanese": (r"\u3041-\u30ff", "\u3042"),
    "Korean": (r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3", "\ud55c"),
    "Thai": (r"\u0e01-\u0e5b", "\u0e01"),
    "Devanagari": (r"\u0900-\u097f", "\u0915"),
    "Bengali": (r"\u0980-\u09ff", "\u0995"),
    "Tamil": (r"\u0b80-\u0bff", "\u0b95"),
    "Arabic": (r"\u0600-\u06ff", "\u0639"),
    "Hebrew": (r"\u0590-\u05ff", "\u05d0"),
    "Armenian": (r"\u0531-\u058f", "\u0531"),
    "Georgian": (r"\u10a0-\u10ff", "\u10d0"),
    "emoji": (r"\U0001f300-\U0001faff", "\U0001f680"),
}
"""Name -> its characters, as the inside of a character class, and one that stands for all."""

SIZE = 20
COLOR_SIZE = 109
"""Pixels; fonts of coloured pictures, such as Noto's emoji, come in this size alone."""
NO_CHARACTER = "\U0010fffe"
FONT_FILES = frozenset({".ttf", ".otf", ".ttc", ".otc", ".pfb"})
CONSEQUENCE = (
    "the pictures show boxes there, and CLIP, judges and likeness cannot tell such texts apart; "
    "install fonts (Debian: fonts-noto-cjk, fonts-noto-core, fonts-noto-color-emoji)"
)

_CLASSES = {name: re.compile(f"[{inside}]") for name, (inside, _) in SCRIPTS.items()}


def find_unwritable(texts: Iterable[str], medium: Medium) -> tuple[str, ...]:
    """The scripts in some texts that no font can write here, in the order of ``SCRIPTS``.

    Args:
        texts: As they stand in a chart or on a page.
        medium: Which of the two; they do not see the same fonts.
    """
    text = "\n".join(texts)
    if text.isascii():
        return ()
    scripts = [name for name, characters in _CLASSES.items() if characters.search(text)]
    return tuple(name for name in scripts if not has_glyphs(name, medium))


def list_unwritable(medium: Medium) -> tuple[str, ...]:
    """Every script of ``SCRIPTS`` that no font can write here."""
    return tuple(name for name in SCRIPTS if not has_glyphs(name, medium))


@functools.cache
def has_glyphs(script: str, medium: Medium) -> bool:
    """Whether some font here can write a script of ``SCRIPTS``."""
    character = SCRIPTS[script][1]
    return any(_draws(path, character, medium) for path in _list_font_files(medium))


def _list_font_files(medium: Medium) -> Iterator[Path]:
    folders = [Path(folder) for folder in FONT_FOLDERS]
    if medium == "chart":
        spec = importlib.util.find_spec("matplotlib")
        places = spec.submodule_search_locations if spec else None
        folders += [Path(place) / "mpl-data" / "fonts" for place in places or ()]
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.suffix.lower() in FONT_FILES)


def _draws(path: Path, character: str, medium: Medium) -> bool:
    """Whether a font draws a character otherwise than one that it cannot have.

    matplotlib does not take fonts of coloured pictures, browsers do.
    """
    for size in (SIZE, COLOR_SIZE) if medium == "page" else (SIZE,):
        try:
            font = ImageFont.truetype(str(path), size)
            return _draw_ink(font, character) != _draw_ink(font, NO_CHARACTER)
        except (OSError, ValueError):
            continue
    return False


def _draw_ink(font: ImageFont.FreeTypeFont, character: str) -> bytes:
    width, height = (max(1, round(side)) for side in font.getbbox(character)[2:])
    paper = Image.new("L", (width, height))
    ImageDraw.Draw(paper).text((0, 0), character, 255, font)
    return bytes((width % 256, height % 256)) + paper.tobytes()
