"""The text block scorers against Design2Code's own, on generated blocks and on pages.

``python benchmarks/design2code_parity.py --design2code CHECKOUT`` with a checkout of
https://github.com/NoviScl/Design2Code and, beside this package, what its scorer imports::

    pip install opencv-python-headless beautifulsoup4 colormath tqdm matplotlib

Its own code runs, with these changes: the CLIP score is left out, two lines that Python cannot
parse are indented as their neighbours, and its screenshots are taken with the browser used here.

Measured are two things. The algorithm: both are given the same blocks, those of generated lists
and those that Design2Code finds in the pages. The recording: Design2Code's blocks, found in
screenshots, against the ones read from the browser; the pages are those of ``tests/pages``, each
against a lightly and a heavily changed copy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import ModuleType, SimpleNamespace
from typing import Any

from rrvf.renderers.browser import find_browser
from rrvf.renderers.page import PageRenderer
from rrvf.scorers import blocks
from rrvf.types import PageRendering, TextBlock

PAGES = Path(__file__).resolve().parent.parent / "tests" / "pages"
SCORERS = {
    "block_match": blocks.score_block_match,
    "text": blocks.score_text,
    "position": blocks.score_position,
    "color": blocks.score_color,
}
WORDS = (
    *("home", "about", "contact", "price", "news", "team", "a", "the", "of", "and", "to", "sign"),
    *("in", "out", "read", "more", "page", "made", "with", "light", "for", "every", "day", "new"),
    *("old", "2024", "all", "rights", "kept", "learn", "start", "free", "plan", "your", "our"),
)


Blocks = list[dict[str, Any]]
"""Design2Code's blocks: ``text``, ``bbox`` (shares of the page), ``color`` (0..255)."""


# ------------------------------------------------------------------------------ Design2Code's side


class Official:
    """Design2Code's scorer, loaded from a checkout."""

    def __init__(self, checkout: Path) -> None:
        self.folder = checkout / "Design2Code"
        sys.path.insert(0, str(checkout))
        sys.modules.update(_stubs())
        source = (self.folder / "metrics" / "visual_score.py").read_text()
        repaired = re.sub(r"(?m)^ +(if|elif)(?= len\(\w+_blocks\) == 0:)", r"        \1", source)
        self.module: Any = ModuleType("visual_score")
        exec(compile(repaired, "visual_score.py", "exec"), self.module.__dict__)
        self.module.calculate_clip_similarity_with_blocks = lambda *_: 0.0
        self._find = self.module.get_blocks_ocr_free

    def scores(self, reference: Blocks, rendering: Blocks) -> dict[str, float]:
        """Of given blocks."""
        blocks_by_name = {"reference.png": reference, "rendering.png": rendering}
        self.module.os = SimpleNamespace(system=lambda _: 0)
        self.module.pre_process = lambda _: None
        self.module.get_blocks_ocr_free = lambda name: [
            dict(block) for block in blocks_by_name[name]
        ]
        with contextlib.redirect_stdout(None):
            answer = self.module.visual_eval_v3_multi([["rendering.html"], "reference.html"])
        return dict(zip(SCORERS, map(float, answer[0][2]), strict=False))

    def find(self, page: Path) -> Blocks:
        """Blocks of a page, by its own screenshots; leaves files beside the page."""
        picture = page.with_suffix(".png")
        script = self.folder / "metrics" / "screenshot_single.py"
        os.system(f"python3 {script} --html {page} --png {picture}")
        return self._find(str(picture))


def _stubs() -> dict[str, ModuleType]:
    """Modules that are imported, but not used for the four scorers."""
    contents: dict[str, dict[str, Any]] = {
        "torch": {"Tensor": type("Tensor", (), {}), "cuda": SimpleNamespace(is_available=bool)},
        "clip": {"load": lambda *_, **__: (None, None)},
        "sklearn": {},
        "sklearn.metrics": {},
        "sklearn.metrics.pairwise": {"cosine_similarity": None},
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, module in modules.items():
        module.__dict__.update(contents[name])
    return modules


@contextlib.contextmanager
def python3_with_browser(work: Path) -> Generator[None]:
    """Let the ``python3`` that Design2Code starts be this one, with the browser used here."""
    (work / "site").mkdir()
    (work / "site" / "sitecustomize.py").write_text(
        "from functools import partialmethod\n"
        "from playwright.sync_api import BrowserType\n"
        f"path = {str(find_browser(None))!r}\n"
        "BrowserType.launch = partialmethod(BrowserType.launch, executable_path=path)\n"
    )
    command = work / "bin" / "python3"
    command.parent.mkdir()
    site, python = shlex.quote(str(work / "site")), shlex.quote(sys.executable)
    command.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {python} "$@"\n')
    command.chmod(0o755)
    old_path = os.environ["PATH"]
    os.environ["PATH"] = f"{command.parent}{os.pathsep}{old_path}"
    try:
        yield
    finally:
        os.environ["PATH"] = old_path


# ---------------------------------------------------------------------------------------- our side


def our_scores(target: PageRendering, page: PageRendering) -> dict[str, float]:
    """The four values."""
    return {name: scorer(target, page).value or 0.0 for name, scorer in SCORERS.items()}


def as_rendering(page_blocks: Blocks) -> PageRendering:
    """Design2Code's blocks as if a page of one pixel had been recorded."""
    return PageRendering(
        "ok",
        width=1,
        height=1,
        blocks=tuple(
            TextBlock(block["text"], *block["bbox"], "#{:02X}{:02X}{:02X}".format(*block["color"]))
            for block in page_blocks
        ),
    )


# -------------------------------------------------------------------------- generated blocks, pages


def block_lists(chance: random.Random) -> tuple[Blocks, Blocks]:
    """A list of blocks, and the same one changed: split, joined, rewritten, moved, left out."""
    reference = [_block(chance) for _ in range(chance.randrange(16))]
    rendering: Blocks = []
    for block in reference:
        kind, words = chance.random(), block["text"].split()
        if kind < 0.4:
            rendering.append(block)
        elif kind < 0.6:
            rendering += [_block(chance, part) for part in (words[:1], words[1:]) if part]
        elif kind < 0.75 and rendering:
            rendering[-1] = _block(chance, [rendering[-1]["text"], *words])
        elif kind < 0.9:
            rendering.append(_block(chance, chance.sample(words, len(words))))
    rendering += [_block(chance) for _ in range(chance.randrange(4))]
    for side in (reference, rendering):
        if side and chance.random() < 0.3:
            side.append({**_block(chance), "bbox": chance.choice(side)["bbox"]})
    return reference, rendering


def _block(chance: random.Random, words: Sequence[str] = ()) -> dict[str, Any]:
    words = words or chance.choices(WORDS, k=chance.choice([1, 1, 2, 3, 5, 12, 60]))
    width, height = chance.uniform(0.01, 0.5), chance.uniform(0.01, 0.1)
    box = chance.uniform(0, 1 - width), chance.uniform(0, 1 - height), width, height
    color = tuple(chance.choice([0, 51, 255, chance.randrange(256)]) for _ in range(3))
    return {"text": " ".join(words), "bbox": box, "color": color}


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


# ----------------------------------------------------------------------------------- the comparison


@dataclass
class Differences:
    """Absolute differences by scorer, and the pairs that are worth a look."""

    of: dict[str, list[float]]
    pairs: list[dict[str, Any]]

    @classmethod
    def none(cls) -> Differences:
        """Before the first pair."""
        return cls({name: [] for name in SCORERS}, [])

    def add(self, name: str, official: dict[str, float], own_scores: dict[str, float]) -> None:
        """One pair of pages."""
        self.pairs.append({"pair": name, "official": official, "ours": own_scores})
        for scorer, values in self.of.items():
            values.append(abs(official[scorer] - own_scores[scorer]))

    def row(self, title: str, figure: Callable[[Sequence[float]], float]) -> str:
        """One line of the table."""
        cells = "".join(f"{figure(values):>13.2g}" for values in self.of.values())
        return f"{title:<44}{cells}"


def compare_lists(official: Official, number: int) -> Differences:
    """The algorithm on generated blocks."""
    chance, differences = random.Random(0), Differences.none()
    for i in range(number):
        reference, rendering = block_lists(chance)
        if reference == rendering:
            continue  # always 1 here, on purpose; theirs may say less
        official_scores = official.scores(reference, rendering)
        differences.add(
            str(i), official_scores, our_scores(as_rendering(reference), as_rendering(rendering))
        )
    return differences


def compare_pages(official: Official, work: Path) -> tuple[Differences, Differences]:
    """The algorithm on the blocks that Design2Code finds in pages, and the recording."""
    algorithm, recording = Differences.none(), Differences.none()
    chance = random.Random(0)
    with python3_with_browser(work), PageRenderer(workers=1) as renderer:

        def look_at(name: str, html: str) -> tuple[Blocks, PageRendering]:
            page = work / f"{name}.html"
            page.write_text(html)
            return official.find(page), renderer.render(html)

        for path in sorted(PAGES.glob("*.html")):
            html = path.read_text()
            reference, target = look_at(path.stem, html)
            for name, strength in (("light", 0.25), ("heavy", 0.8)):
                label = f"{path.stem}-{name}"
                rendering, page = look_at(label, vary_page(html, strength, chance))
                official_scores = official.scores(reference, rendering)
                own_scores = our_scores(as_rendering(reference), as_rendering(rendering))
                algorithm.add(label, official_scores, own_scores)
                recording.add(label, official_scores, our_scores(target, page))
                print(label, len(reference), len(target.blocks), file=sys.stderr)
    return algorithm, recording


def main() -> None:
    """Measure and print a table; ``--out`` keeps the figures of every pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--design2code", type=Path, required=True, help="the checkout")
    parser.add_argument("--lists", type=int, default=1000, help="generated pairs of block lists")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures of every pair")
    options = parser.parse_args()
    official = Official(options.design2code.resolve())
    lists = compare_lists(official, options.lists)
    with tempfile.TemporaryDirectory(prefix="rrvf-design2code-") as name:
        algorithm, recording = compare_pages(official, Path(name))
    print(f"{'':<44}" + "".join(f"{name:>13}" for name in SCORERS))
    print(lists.row(f"same blocks, {len(lists.pairs)} lists: max", max))
    print(algorithm.row(f"same blocks, {len(algorithm.pairs)} pairs of pages: max", max))
    print(recording.row(f"pages as recorded, {len(recording.pairs)} pairs: mean", fmean))
    print(recording.row(f"pages as recorded, {len(recording.pairs)} pairs: max", max))
    if options.out:
        figures = {"algorithm": algorithm.pairs, "recording": recording.pairs}
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
