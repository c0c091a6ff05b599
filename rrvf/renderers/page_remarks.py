"""Where Design2Code's rules find other texts on a page than a reader sees, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rrvf.types import TextBlock

MAX_NAMED = 5
MAX_CHARACTERS = 40
LARGE = 0.05
"""Share of a page from which a block that joins many strings is worth a remark."""
MANY = 3


def list_remarks(
    visible_texts: Sequence[str], blocks: Sequence[TextBlock], area: int
) -> Iterator[str]:
    """Texts without a block, and large blocks that join several strings.

    Args:
        visible_texts: What can be read on the page, blanks collapsed.
        blocks: By the official rules.
        area: Of the page, in pixels.
    """
    written = "\n".join(_fold(block.text) for block in blocks)
    lost_texts = [text for text in visible_texts if _fold(text) not in written]
    if lost_texts:
        yield (
            f"{_count(len(lost_texts), 'visible text')} without a block: {_name(lost_texts)}; "
            "the rules look for strings of the file, in pixels of an element's full colour"
        )
    texts_by_box: dict[tuple[float, float, float, float], list[str]] = {}
    for block in blocks:
        box = block.x, block.y, block.width, block.height
        texts_by_box.setdefault(box, []).append(block.text)
    for (_, _, width, height), texts in texts_by_box.items():
        share = width * height / area
        if len(texts) >= MANY and share >= LARGE:
            yield (
                f"one block of {100 * share:.0f} % of the page joins {len(texts)} strings of one "
                f"element: {_name(texts)}"
            )


def describe_cut(place: int, length: int) -> str:
    """An answer that was cut off.

    Args:
        place: Where, in characters.
        length: Of the answer.
    """
    return (
        f"cut off after {place} of {length} characters, where it began to repeat itself; style "
        "and script count as text"
    )


def _fold(text: str) -> str:
    return " ".join(text.lower().split())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _name(texts: Sequence[str]) -> str:
    """The commonest few, shortened."""
    names = list(Counter(" ".join(text.split()) for text in texts))[:MAX_NAMED]
    shown = [n if len(n) <= MAX_CHARACTERS else f"{n[: MAX_CHARACTERS - 1]}…" for n in names]
    return ", ".join(f"“{name}”" for name in shown)
