"""Our official page scores against Design2Code's own code, live, on the same pages.

Three variables say what there is, and what they do not name skips:

* ``DESIGN2CODE_CHECKOUT``: a checkout of https://github.com/NoviScl/Design2Code;
* ``DESIGN2CODE_PAGES``: a folder with real pages and answers, see ``design2code_pairs.read_pairs``;
  without it, the pages of this project's own are compared;
* ``DESIGN2CODE_KEPT``: a folder for what the official code drew and found, which is kept there.

VLMEvalKit's port is compared where VLMEvalKit is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import SetupError
from rrvf.renderers import browser
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.scorers import blocks
from rrvf.types import PageRendering, TextBlock
from tests.parity.design2code_official import (
    NEEDED,
    PLACEHOLDER,
    SCORES,
    SIDES,
    Blocks,
    Official,
    find_port,
    load_port_cleanup,
)
from tests.parity.design2code_pairs import (
    Pair,
    block_lists,
    find_placeholder,
    one_a_page,
    own_pairs,
    read_pairs,
    write,
)

pytestmark = pytest.mark.parity

TOLERANCE = 1e-9
TRIES = 3
N_LISTS = 100
CHECKOUT, PAGES, KEPT = "DESIGN2CODE_CHECKOUT", "DESIGN2CODE_PAGES", "DESIGN2CODE_KEPT"
FOLDER = Path(os.environ[PAGES]).absolute() if os.environ.get(PAGES) else None
PAIRS = own_pairs() if FOLDER is None else read_pairs(FOLDER)
FEW = PAIRS[::7] if FOLDER is None else one_a_page(PAIRS)

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
a_few_pairs = pytest.mark.parametrize("pair", FEW, ids=lambda pair: pair.name)


# ------------------------------------------------------------------------------------- both sides


@pytest.fixture(scope="module")
def chromium() -> Path:
    try:
        return browser.find_browser()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def authors(chromium: Path) -> Official:
    """The authors' code."""
    require_packages()
    checkout = os.environ.get(CHECKOUT)
    if not checkout:
        pytest.skip(f"{CHECKOUT} names no checkout of https://github.com/NoviScl/Design2Code")
    return Official("authors", Path(checkout).absolute(), chromium)


@pytest.fixture(scope="module")
def port(chromium: Path) -> Official:
    """VLMEvalKit's port of it."""
    require_packages()
    folder = find_port()
    if folder is None:
        pytest.skip("no VLMEvalKit with Design2Code here: make parity installs it")
    return Official("port", folder, chromium)


def require_packages() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the official code needs {', '.join(missing)}: make parity installs them")


class Ours:
    """Our renderers, with the placeholder and without it, opened when they are asked for."""

    def __init__(self, chromium: Path, placeholder: Path | None) -> None:
        self._chromium = chromium
        self._assets = {PLACEHOLDER: placeholder.read_bytes()} if placeholder else {}
        self._open: dict[bool, PageRenderer] = {}
        self._stack = ExitStack()

    def render(self, side: str, html: str, placeholder: bool) -> PageRendering:
        """One side's page, shown with the placeholder or without it."""
        renderer = self._renderer(placeholder)
        page = (renderer.render_reference if side == "reference" else renderer.render)(html)
        assert page.status == "ok", f"{side}: {page.error}"
        return page

    def _renderer(self, placeholder: bool) -> PageRenderer:
        if placeholder not in self._open:
            renderer = PageRenderer(
                self._chromium,
                workers=1,
                limits=PageLimits(seconds=60),
                mode="official",
                assets=self._assets if placeholder else {},
            )
            self._open[placeholder] = self._stack.enter_context(renderer)
        return self._open[placeholder]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def ours(chromium: Path) -> Iterator[Ours]:
    opened = Ours(chromium, find_placeholder(FOLDER) if FOLDER else None)
    yield opened
    opened.close()


@pytest.fixture
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the files of one official run go."""
    folder = os.environ.get(KEPT)
    return Path(folder).absolute() / request.node.name if folder else tmp_path


# --------------------------------------------------------------------------------- the comparison


def ask(
    official: Official, pair: Pair, folder: Path, beside: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """What the official code says of a pair, run by run; skips where it fails itself, always."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = [write(folder / f"{side}.html", getattr(pair, side)) for side in SIDES]
    placeholder = find_placeholder(FOLDER) if FOLDER else None
    is_blank = True
    for place in range(TRIES):
        record = official.score(*pages, folder / str(place), placeholder, beside)
        if "error" in record:
            pytest.skip(f"{pair.name}: the official code raises {record['error'].splitlines()[-1]}")
        if not record["blank"]:
            is_blank = False
            yield record
    if is_blank:
        pytest.skip(f"{pair.name}: the official code took a white picture {TRIES} times")


def compare(
    ours: Ours, pair: Pair, records: Iterator[dict[str, Any]], beside: tuple[str, ...]
) -> None:
    """All four scores are the official ones; else says which blocks are not.

    Of a page that does not name its encoding the official browser guesses it, each time anew and by
    what it has read by then, so that words look otherwise in one of its pictures. A run is
    therefore compared again, but only where the official code drew other pictures the next time.
    """
    pages = {side: ours.render(side, getattr(pair, side), side in beside) for side in SIDES}
    own_scores = our_scores(pages["reference"], pages["prediction"])
    seen: list[Any] = []
    problem = ""
    for record in records:
        pictures = {name: picture["sha256"] for name, picture in record["pictures"].items()}
        if pictures in seen:
            break  # the official code repeats itself, and we differ
        seen.append(pictures)
        official = record["scores"]
        if max(abs(official[name] - own_scores[name]) for name in SCORES) <= TOLERANCE:
            return
        problem = json.dumps(
            {"official": official, "ours": own_scores, "blocks": other_blocks(record, pages)},
            indent=1,
        )
    pytest.fail(problem)


def our_scores(target: PageRendering, page: PageRendering) -> dict[str, float]:
    """The four values."""
    scorers = {name: getattr(blocks, f"score_{name}") for name in SCORES}
    return {name: scorer(target, page).value for name, scorer in scorers.items()}


def other_blocks(record: dict[str, Any], pages: dict[str, PageRendering]) -> dict[str, Any]:
    """By side: the sizes of the picture, and what only one of the two found."""
    found: dict[str, Any] = {}
    for side, page in pages.items():
        width, height = record["pictures"][side]["size"]
        official = [as_block(block, width, height) for block in record["blocks"][side]]
        own_blocks = list(page.blocks)
        found[side] = {
            "sizes": [[width, height], [page.width, page.height]],
            "official": [str(block) for block in official if block not in own_blocks],
            "ours": [str(block) for block in own_blocks if block not in official],
        }
    return found


def as_block(block: dict[str, Any], width: int, height: int) -> TextBlock:
    """An official block, its box in pixels."""
    x, y, across, down = block["bbox"]
    pixels = (round(x * width), round(y * height), round(across * width), round(down * height))
    return TextBlock(block["text"], *pixels, "#{:02X}{:02X}{:02X}".format(*block["color"]))


# ------------------------------------------------------------------------------------------ tests


def test_the_official_code_works_here(authors: Official, tmp_path: Path) -> None:
    """Else all that follows would be skipped as its own failures."""
    page = write(
        tmp_path / "page.html", "<!DOCTYPE html><html><body><p>Some words</p></body></html>"
    )
    record = authors.score(page, page, tmp_path / "out")
    assert record.get("error") is None
    assert record["blank"] == []
    assert [block["text"] for block in record["blocks"]["prediction"]] == ["some words"]
    assert record["scores"] == pytest.approx(dict.fromkeys(SCORES, 1.0))


@every_pair
def test_scores_are_the_authors(pair: Pair, authors: Official, ours: Ours, kept: Path) -> None:
    """The placeholder lies beside both sides' pages."""
    compare(ours, pair, ask(authors, pair, kept, SIDES), SIDES)


@a_few_pairs
def test_as_the_authors_script_lays_it_out(
    pair: Pair, authors: Official, ours: Ours, kept: Path
) -> None:
    """Their script copies the placeholder beside the references only."""
    if FOLDER is None or find_placeholder(FOLDER) is None:
        pytest.skip(f"{PAGES} names no folder with a placeholder")
    beside = ("reference",)
    compare(ours, pair, ask(authors, pair, kept, beside), beside)


@a_few_pairs
def test_scores_are_those_of_the_port(pair: Pair, port: Official, ours: Ours, kept: Path) -> None:
    """VLMEvalKit cleans the answer up, and supplies the placeholder to neither side."""
    cleaned = load_port_cleanup(port.code)(pair.prediction)
    records = ask(port, pair, kept, ())
    compare(ours, Pair(pair.name, pair.reference, cleaned), records, ())


def test_the_same_blocks_have_the_same_scores(authors: Official, tmp_path: Path) -> None:
    """The matching alone, on generated blocks."""
    chance = random.Random(0)
    pairs = [block_lists(chance) for _ in range(N_LISTS)]
    official = authors.score_lists(pairs, tmp_path)
    for (reference, prediction), scores in zip(pairs, official, strict=True):
        if reference == prediction:
            continue  # always 1 for page mode fixed, on purpose; theirs may say less
        own_scores = our_scores(as_page(reference), as_page(prediction))
        assert own_scores == pytest.approx(scores, rel=0, abs=TOLERANCE)


def as_page(found: Blocks) -> PageRendering:
    """Official blocks as if a page of one pixel had been shown."""
    return PageRendering(
        "ok",
        width=1,
        height=1,
        blocks=tuple(
            TextBlock(block["text"], *block["bbox"], "#{:02X}{:02X}{:02X}".format(*block["color"]))
            for block in found
        ),
        mode="official",
    )
