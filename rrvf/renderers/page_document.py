"""What a session shows: a page, and for the official rules its two recoloured copies."""

from __future__ import annotations

from dataclasses import dataclass

OFFSET = 50
"""Between the two sets of colours, in every channel."""


@dataclass(frozen=True, slots=True)
class ColoredText:
    """A string of the document, and the colour that its text has in the first set.

    Attributes:
        text: Stripped, in lower case; blanks inside stay.
        color: Red, green and blue.
    """

    text: str
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A page ready to be shown, as UTF-8.

    Attributes:
        page: As it is.
        first, second: In two sets of colours; empty where nobody looks at them.
        texts: What is written on it, with the colours of the first.
        remarks: What was done to it, for a reader.
    """

    page: bytes
    first: bytes = b""
    second: bytes = b""
    texts: tuple[ColoredText, ...] = ()
    remarks: tuple[str, ...] = ()
