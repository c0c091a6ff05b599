"""Pairs of pages on which Design2Code's scorer and ours are compared."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parity.design2code_official import PLACEHOLDER, Blocks

OWN_PAGES = Path(__file__).resolve().parents[1] / "pages"
WORDS = (
    *("home", "about", "contact", "price", "news", "team", "a", "the", "of", "and", "to", "sign"),
    *("in", "out", "read", "more", "page", "made", "with", "light", "for", "every", "day", "new"),
    *("old", "2024", "all", "rights", "kept", "learn", "start", "free", "plan", "your", "our"),
)


@dataclass(frozen=True)
class Pair:
    """A reference page and an answer to it, as HTML."""

    name: str
    reference: str
    prediction: str


# -------------------------------------------------------------------------------- real pages


def read_pairs(folder: Path) -> list[Pair]:
    """All real pairs of a folder, page by page.

    ``pages`` in it holds the references, ``<id>.html``; each file ``<system>.jsonl`` beside it one
    system's answers, rows with ``id`` and ``prediction``.
    """
    pairs: list[Pair] = []
    for answers in sorted(folder.glob("*.jsonl")):
        for line in answers.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            page = folder / "pages" / f"{row['id']}.html"
            pairs.append(Pair(f"{row['id']}-{answers.stem}", read(page), row["prediction"]))
    return sorted(pairs, key=lambda pair: pair.name)


def one_a_page(pairs: Sequence[Pair]) -> list[Pair]:
    """One pair of each reference, with the systems in turn."""
    by_reference: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_reference.setdefault(pair.reference, []).append(pair)
    return [same[place % len(same)] for place, same in enumerate(by_reference.values())]


def find_placeholder(folder: Path) -> Path | None:
    """The picture that stands for every picture, where the folder has it."""
    path = folder / "pages" / PLACEHOLDER
    return path if path.is_file() else None


def read(page: Path) -> str:
    """A page with its line ends as they are."""
    return page.read_bytes().decode("utf-8")


def write(page: Path, html: str) -> Path:
    """A page with its line ends as they are; returns its path."""
    page.write_bytes(html.encode("utf-8"))
    return page


# ------------------------------------------------------------------- pages of this project's own


def own_pairs() -> list[Pair]:
    """The pages of the tests, each with a lightly and a heavily changed copy."""
    chance = random.Random(0)
    return [
        Pair(f"{path.stem}-{name}", read(path), vary_page(read(path), strength, chance))
        for path in sorted(OWN_PAGES.glob("*.html"))
        for name, strength in (("light", 0.25), ("heavy", 0.8))
    ]


def vary_page(html: str, strength: float, chance: random.Random) -> str:
    """A page with parts left out, words, colours and lengths changed; more with more strength."""
    head, tag, body = html.partition("<body>")

    def is_due(share: float = 1.0) -> bool:
        return chance.random() < strength * share

    def other_color(match: re.Match[str]) -> str:
        if not is_due():
            return match[0]
        channels = (channel + chance.randint(-60, 60) for channel in bytes.fromhex(match[1]))
        return "#" + "".join(f"{min(255, max(0, channel)):02x}" for channel in channels)

    def other_length(match: re.Match[str]) -> str:
        return f"{round(int(match[1]) * chance.uniform(0.6, 1.5))}px" if is_due() else match[0]

    def other_words(match: re.Match[str]) -> str:
        words = [chance.choice(WORDS) if is_due(0.3) else word for word in match[1].split(" ")]
        return f">{' '.join(words)}<"

    element = re.compile(r"<(\w+).*</\1>")
    lines = [line for line in body.splitlines() if not (element.fullmatch(line) and is_due(0.3))]
    body = re.sub(r">([^<>]+)<", other_words, "\n".join(lines))
    page = re.sub(r"#([0-9a-f]{6})\b", other_color, head + tag + body)
    return re.sub(r"\b(\d+)px", other_length, page)


# ------------------------------------------------------------------------------ generated blocks


def block_lists(chance: random.Random) -> tuple[Blocks, Blocks]:
    """A list of blocks, and the same one changed: split, joined, rewritten, moved, left out."""
    reference = [_block(chance) for _ in range(chance.randrange(16))]
    prediction: Blocks = []
    for block in reference:
        kind, words = chance.random(), block["text"].split()
        if kind < 0.4:
            prediction.append(block)
        elif kind < 0.6:
            prediction += [_block(chance, part) for part in (words[:1], words[1:]) if part]
        elif kind < 0.75 and prediction:
            prediction[-1] = _block(chance, [prediction[-1]["text"], *words])
        elif kind < 0.9:
            prediction.append(_block(chance, chance.sample(words, len(words))))
    prediction += [_block(chance) for _ in range(chance.randrange(4))]
    for side in (reference, prediction):
        if side and chance.random() < 0.3:
            side.append({**_block(chance), "bbox": chance.choice(side)["bbox"]})
    return reference, prediction


def _block(chance: random.Random, words: Sequence[str] = ()) -> dict[str, Any]:
    words = words or chance.choices(WORDS, k=chance.choice([1, 1, 2, 3, 5, 12, 60]))
    width, height = chance.uniform(0.01, 0.5), chance.uniform(0.01, 0.1)
    box = chance.uniform(0, 1 - width), chance.uniform(0, 1 - height), width, height
    color = tuple(chance.choice([0, 51, 255, chance.randrange(256)]) for _ in range(3))
    return {"text": " ".join(words), "bbox": box, "color": color}
