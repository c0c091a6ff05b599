"""The texts of a page in the order of its source, for prompts that list them.

The rule is that of Design2Code's own scripts: declarations, comments and styles are removed, and
every remaining string counts except scripts, with blanks collapsed. Hidden texts and the page's
title are included. (``extract_text_from_html`` in Design2Code/prompting/gpt4v_utils.py, 7a575e4.)
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_DECLARATION = re.compile(r"<!.*?>", re.DOTALL)
_LEFT_OF_DOCTYPE = "html"
_EMPTY = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source")
) | {"track", "wbr"}
"""Elements that hold nothing."""


def list_texts(html: str) -> list[str]:
    """Every text of a page, a line each."""
    reader = _TextReader()
    reader.feed(_DECLARATION.sub("", html))
    reader.close()
    reader.end_text()
    return reader.texts


class _TextReader(HTMLParser):
    """Collects strings: a tag ends one, unless it is a style's, or closes what is not open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._open_tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "style":
            self.end_text()
        if tag not in _EMPTY:
            self._open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end_text()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._open_tags:
            return
        if tag != "style":
            self.end_text()
        while self._open_tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open_tags[-1:] not in (["script"], ["style"]):
            self._parts.append(data)

    def end_text(self) -> None:
        """Close the string that is being read."""
        text = " ".join("".join(self._parts).split())
        self._parts.clear()
        if text and text != _LEFT_OF_DOCTYPE:
            self.texts.append(text)
