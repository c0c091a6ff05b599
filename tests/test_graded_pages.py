"""Pages of this project, spoilt step by step: the scores that are to tell come out in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest

from rrvf.renderers.page import PageRenderer
from rrvf.scorers.blocks import score_block_match, score_color, score_position, score_text
from rrvf.types import Mode, PageRendering

pytest.importorskip("bs4")
from bs4 import BeautifulSoup, NavigableString
from bs4.element import Tag

PROJECT = Path(__file__).resolve().parent.parent
PAGES = {
    "shop": PROJECT / "tests/design2code/shop/reference.html",
    "landing": PROJECT / "tests/pages/landing.html",
    "article": PROJECT / "rrvf/demo_data/pages/references/article.html",
}
NAMES = ["landing", *(pytest.param(name, marks=pytest.mark.slow) for name in ("shop", "article"))]
SHARES = (0, 1, 2, 4)
"""Quarters of a page that are spoilt."""
SCORERS = {
    "block_match": score_block_match,
    "text": score_text,
    "position": score_position,
    "color": score_color,
}


def list_texts(page: BeautifulSoup) -> list[NavigableString]:
    """Texts of the body that are shown, in order."""
    body = page.body
    assert body is not None
    strings = [s for s in body.find_all(string=True) if type(s) is NavigableString and s.strip()]
    return [s for s in strings if s.parent is not None and s.parent.name not in ("script", "style")]


def list_parents(page: BeautifulSoup) -> list[Tag]:
    """Elements that hold these texts."""
    return [text.parent for text in list_texts(page) if text.parent is not None]


def remove_texts(page: BeautifulSoup, quarters: int) -> None:
    """One, two or all of every four texts."""
    for place, text in enumerate(list_texts(page)):
        if place % 4 < quarters:
            text.replace_with("")


def change_letters(page: BeautifulSoup, quarters: int) -> None:
    """In each text, a letter or more of every eight."""
    for text in list_texts(page):
        text.replace_with(
            "".join(
                "#" if n % 8 < quarters and sign.strip() else sign for n, sign in enumerate(text)
            )
        )


def add_style(element: Tag, style: str) -> None:
    element["style"] = f"{element.get('style', '')}; {style}"


def change_colors(page: BeautifulSoup, quarters: int) -> None:
    """One, two or all of every four."""
    for place, element in enumerate(list_parents(page)):
        if place % 4 < quarters:
            add_style(element, "color: #ff00c8")


def move_blocks(page: BeautifulSoup, quarters: int) -> None:
    """One, two or all of every four, to the right."""
    for place, element in enumerate(list_parents(page)):
        if place % 4 < quarters:
            add_style(element, "position: relative; left: 90px")


def drop_style(page: BeautifulSoup, quarters: int) -> None:
    """A quarter of the rules, half of them, all; and the classes of as many elements."""
    for place, element in enumerate(page.find_all(class_=True)):
        if place % 4 < quarters:
            del element["class"]
    for sheet in page.find_all("style"):
        rules = re.findall(r"[^{}]+\{[^{}]*\}", str(sheet.string))
        sheet.string = "\n".join(rules[: len(rules) * (4 - quarters) // 4])


CHANGES: dict[str, tuple[Callable[[BeautifulSoup, int], None], tuple[str, ...]]] = {
    "texts removed": (remove_texts, ("block_match",)),
    "letters changed": (change_letters, ("text",)),
    "colours changed": (change_colors, ("color",)),
    "blocks moved": (move_blocks, ("position",)),
    "style dropped": (drop_style, ("block_match", "position", "color")),
}
"""What is done to a page, and the scores whose mean is to fall."""


@pytest.fixture(scope="module", params=["official", "fixed"])
def renderer(request: pytest.FixtureRequest, web_browser: Path) -> Iterator[PageRenderer]:
    mode: Mode = request.param
    placeholder = (PROJECT / "tests/design2code/rick.jpg").read_bytes()
    assets = {"rick.jpg": placeholder}
    with PageRenderer(web_browser, 1, memo_bytes=2**28, mode=mode, assets=assets) as started:
        yield started


def show(renderer: PageRenderer, html: str) -> PageRendering:
    page = renderer.render(html)
    assert page.status == "ok", page.error
    return page


def make_variant(html: str, change: str, quarters: int) -> str:
    page = BeautifulSoup(html, "html.parser")
    CHANGES[change][0](page, quarters)
    return str(page)


@pytest.mark.parametrize("name", NAMES)
def test_the_more_is_spoilt_the_less_it_scores(renderer: PageRenderer, name: str) -> None:
    html = PAGES[name].read_text(encoding="utf-8")
    target = renderer.render_reference(html)
    for change, (_, names) in CHANGES.items():
        found: list[float] = []
        for quarters in SHARES:
            page = show(renderer, make_variant(html, change, quarters))
            values = [SCORERS[scorer](target, page).value for scorer in names]
            found.append(fmean(value for value in values if value is not None))
        assert found[0] == pytest.approx(1, abs=1e-9), change
        assert all(first >= second for first, second in pairwise(found)), (change, found)
        assert found[1] < 1, (change, found)
        assert found[-1] < found[1], (change, found)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_its_texts_scores_nothing(renderer: PageRenderer, name: str) -> None:
    html = PAGES[name].read_text(encoding="utf-8")
    page = show(renderer, make_variant(html, "texts removed", 4))
    target = renderer.render_reference(html)
    assert score_block_match(target, page).value == 0
