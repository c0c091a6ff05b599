"""Page scores by Design2Code's rules: recorded official runs, and pages in the real browser."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.renderers import markup_worker
from rrvf.renderers.page import PageRenderer, descendants
from rrvf.scorers.blocks import (
    list_painted_boxes,
    score_block_match,
    score_color,
    score_position,
    score_text,
)
from rrvf.types import PageRendering, Score, TextBlock

pytest.importorskip("bs4")
from rrvf.renderers.page_markup import find_repetition, recolor_markup, repair_markup
from rrvf.renderers.page_pixels import find_blocks

FOLDER = Path(__file__).parent / "design2code"
PAIRS = ("shop", "club", "notes", "broken")
SCORERS: dict[str, Callable[[PageRendering, PageRendering], Score]] = {
    "block_match": score_block_match,
    "text": score_text,
    "position": score_position,
    "color": score_color,
}


def official(pair: str) -> dict[str, Any]:
    return json.loads((FOLDER / pair / "official.json").read_text(encoding="utf-8"))


def source(pair: str, side: str) -> str:
    """The page that the official code photographed: answers as it mended them."""
    if side == "prediction":
        return official(pair)["repaired"]
    return (FOLDER / pair / "reference.html").read_text(encoding="utf-8")


def recorded(pair: str, side: str) -> PageRendering:
    """Our blocks in the official pictures."""
    pictures = [
        (FOLDER / pair / f"{side}_{name}.png").read_bytes() for name in ("page", "first", "second")
    ]
    with Image.open(io.BytesIO(pictures[0])) as image:
        width, height = image.size
    blocks = find_blocks(*pictures, recolor_markup(source(pair, side)).texts)
    return PageRendering(
        "ok", png=pictures[0], width=width, height=height, blocks=blocks, mode="official"
    )


def shares(block: TextBlock, page: PageRendering) -> list[float]:
    """Its box as the official code gives it."""
    x, y = block.x / page.width, block.y / page.height
    return [x, y, block.width / page.width, block.height / page.height]


# ------------------------------------------------------------------------------- recorded runs


@pytest.mark.parametrize("pair", PAIRS)
def test_an_answer_is_mended_as_officially(pair: str) -> None:
    answer = (FOLDER / pair / "prediction.html").read_text(encoding="utf-8")
    assert repair_markup(answer[: find_repetition(answer)]) == official(pair)["repaired"]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("side", ["reference", "prediction"])
def test_blocks_are_the_official_ones(pair: str, side: str) -> None:
    page = recorded(pair, side)
    ours = [
        (block.text, shares(block, page), list(bytes.fromhex(block.color[1:])))
        for block in page.blocks
    ]
    theirs = official(pair)["blocks"][side]
    assert ours == [(block["text"], block["bbox"], block["color"]) for block in theirs]
    assert len(ours) > 5


@pytest.mark.parametrize("pair", PAIRS)
def test_scores_are_the_official_ones(pair: str) -> None:
    target, page = recorded(pair, "reference"), recorded(pair, "prediction")
    ours = {name: scorer(target, page).value for name, scorer in SCORERS.items()}
    assert ours == pytest.approx(official(pair)["scores"], abs=1e-12)


def test_pages_without_any_block_score_nothing() -> None:
    empty = PageRendering("ok", width=10, height=10, mode="official")
    assert [scorer(empty, empty).value for scorer in SCORERS.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize("pair", PAIRS)
def test_the_boxes_to_paint_over_are_the_official_ones(pair: str) -> None:
    sides = ("reference", "prediction")
    boxes = list_painted_boxes(*(recorded(pair, side) for side in sides))
    theirs = official(pair)["painted"]
    assert boxes == tuple(frozenset(map(tuple, theirs[side])) for side in sides)


# ---------------------------------------------------------------------------------- the markup


def test_the_first_colours_run_down_from_the_lightest() -> None:
    colored = recolor_markup("<html><body><p>one</p><p>two <b>three</b></p></body></html>")
    assert [(text.text, text.color) for text in colored.texts] == [
        ("one", (250, 250, 250)),
        ("two", (250, 250, 234)),
        ("three", (250, 250, 218)),
    ]
    assert "#FAFAFA" in colored.first
    assert "#2C2C2C" in colored.second  # 250 + 50 - 256 = 44


def test_declarations_that_begin_like_a_colour_go() -> None:
    style = "color-scheme: dark; color: red; border-color: blue"
    first = recolor_markup(f'<html><body><p style="{style}">a</p></body></html>').first
    assert "color-scheme" not in first
    assert "red" not in first
    assert "border-color: blue" in first


def test_texts_take_part_even_where_nobody_sees_them() -> None:
    page = "<html><body><p>a<script>let b</script><span hidden>c</span><!-- d --></p></body></html>"
    assert [text.text for text in recolor_markup(page).texts] == ["a", "let b", "c"]


def test_a_page_without_body_has_no_texts() -> None:
    assert recolor_markup("<p>lost</p>").texts == ()


@pytest.mark.parametrize(
    "style", ["color:", "color", "color: #zz0000", "color: rgb(1)", "border-color: nonsense"]
)
def test_unreadable_colours_end_no_run(style: str) -> None:
    page = f'<html><body><section style="{style}">a</section><p>b</p></body></html>'
    assert [text.text for text in recolor_markup(page).texts][-1] == "b"


def test_more_elements_than_colours_end_no_run() -> None:
    page = "<html><body>" + "<p>a</p>" * 5000 + "</body></html>"
    assert len(recolor_markup(page).texts) == 5000


def test_repetition_is_cut_at_the_first_of_five() -> None:
    words = "".join(f"<p>{chr(97 + n) * 100}</p>" for n in range(4))
    assert find_repetition(words) is None
    repeated = words + f"<p>{'xyz ' * 25}</p>" * 4
    assert find_repetition(repeated) is None
    start = find_repetition(repeated + f"<p>{'xyz ' * 25}</p>")
    assert start is not None
    assert repeated[start:].startswith("xyz")


def test_nested_elements_are_told_apart_without_being_written() -> None:
    """Twenty thousand in one another: written one by one they take longer than any test may."""
    nested = "<html><body>" + "<div>" * 20_000 + "deep" + "</div>" * 20_000 + "</body></html>"
    assert repair_markup(nested) == nested


def test_the_51st_of_equal_elements_goes() -> None:
    page = "<html><body>" + "<p>a<i>b</i></p>" * 52 + "</body></html>"
    assert repair_markup(page).count("<p>") == 50
    assert repair_markup(page).count("<i>") == 50


def test_long_texts_are_read_in_time() -> None:
    """A quarter of a million characters, no two chunks alike; the official way takes hours."""
    text = "".join(f"{n * 7919 % 99991:05d} w{n * 104729 % 7919:04d} " for n in range(20_000))
    assert find_repetition(text) is None or len(text) > 200_000


# -------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def renderer(web_browser: Path) -> Iterator[PageRenderer]:
    placeholder = (FOLDER / "rick.jpg").read_bytes()
    with PageRenderer(
        web_browser, workers=1, mode="official", assets={"rick.jpg": placeholder}
    ) as started:
        yield started


def texts(page: PageRendering) -> list[str]:
    return [block.text for block in page.blocks]


def test_scripts_run_and_the_hidden_is_not_found(renderer: PageRenderer) -> None:
    page = renderer.render_reference((FOLDER / "club" / "reference.html").read_text())
    assert (page.status, page.mode, page.width) == ("ok", "official", 1280)
    assert "42 boats" not in texts(page)  # strings are the file's, pixels the script's
    assert "some boats" in texts(page)
    assert "please switch scripts on." not in texts(page)
    assert not {"hidden for good.", "only its place is kept."} & set(texts(page))


def test_the_datas_files_lie_beside_every_page(renderer: PageRenderer) -> None:
    html = "<html><body><p>x</p><img src='rick.jpg'><img src='img/rick.jpg'></body></html>"
    page = renderer.render_reference(html)
    assert page.png is not None
    with Image.open(io.BytesIO(page.png)) as picture:
        assert picture.height > 360, "its own size"
        part = picture.convert("RGB").crop((20, 60, 600, 360))
        assert part.getcolors(100) is None, "more than 100 colours"
    assert page.denied == ("file:///page/img/rick.jpg",)


def test_a_reader_is_told_where_the_rules_see_other_texts(renderer: PageRenderer) -> None:
    page = renderer.render((FOLDER / "notes" / "prediction.html").read_text())
    cut = [remark for remark in page.remarks if remark.startswith("cut off after")]
    assert len(cut) == 1
    club = renderer.render_reference((FOLDER / "club" / "reference.html").read_text())
    assert any("“42 boats”" in remark for remark in club.remarks), "written by a script"
    assert any("“A quoted line.”" in remark for remark in club.remarks), "of no listed element"
    details = score_block_match(club, page).details["remarks"]
    assert details == {"reference": list(club.remarks), "rendering": list(page.remarks)}
    plain = renderer.render_reference("<html><body><p>one</p><p>two</p></body></html>")
    assert plain.remarks == ()


def test_only_answers_are_mended(renderer: PageRenderer) -> None:
    html = "<p>no root</p>"
    assert texts(renderer.render(html)) == ["no root"]
    assert texts(renderer.render_reference(html)) == []  # html.parser finds no body


def test_nothing_is_asked_of_a_network_or_a_disk(renderer: PageRenderer) -> None:
    html = (
        "<html><body><p id=p>kept</p><img src='http://127.0.0.1:1/a.png'>"
        "<iframe src='file:///etc/passwd'></iframe><script>"
        "fetch('file:///etc/passwd').then(r => r.text()).then(t => { p.textContent = t; })"
        ".catch(() => { p.textContent = 'closed'; });"
        "try { new WebSocket('ws://127.0.0.1:1'); } catch (e) {}</script></body></html>"
    )
    page = renderer.render_reference(html)
    assert page.status == "ok"
    assert set(page.denied) <= {"http://127.0.0.1:1/a.png", "file:///etc/passwd"}
    assert "http://127.0.0.1:1/a.png" in page.denied


def test_a_page_that_never_ends_is_a_timeout(web_browser: Path) -> None:
    from rrvf.renderers.page import PageLimits

    with PageRenderer(
        web_browser, 1, PageLimits(seconds=1), mode="official", assets={}
    ) as impatient:
        page = impatient.render("<html><body><p>a</p><script>for (;;) {}</script></body></html>")
        assert page.status == "timeout"
        assert texts(impatient.render("<html><body><p>b</p></body></html>")) == ["b"]


def test_a_page_larger_than_any_picture_is_the_models_fault(renderer: PageRenderer) -> None:
    page = renderer.render("<html><body><div style='height: 400000px'>x</div></body></html>")
    assert (page.status, page.png) == ("code_error", None)
    assert page.error is not None
    assert "million pixels" in page.error


def test_markup_that_no_parser_ends_is_the_models_fault(
    renderer: PageRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markup_worker, "SECONDS", 0.5)
    page = renderer.render("<html><body>" + "<!" * 400_000)
    assert page.status == "code_error"
    assert page.error is not None
    assert "markup" in page.error
    assert texts(renderer.render("<html><body><p>next</p></body></html>")) == ["next"]


def test_a_parser_that_was_killed_is_not_the_pages_fault(renderer: PageRenderer) -> None:
    assert texts(renderer.render("<html><body><p>before</p></body></html>")) == ["before"]
    for pid in descendants(os.getpid()):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if markup_worker.__name__.encode() in command:
            os.kill(pid, signal.SIGKILL)
    assert texts(renderer.render("<html><body><p>after</p></body></html>")) == ["after"]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_page_comes_out_the_same_again(renderer: PageRenderer, pair: str) -> None:
    html = (FOLDER / pair / "reference.html").read_text()
    first, again = renderer.render(html), renderer.render(html + " ")
    assert (first.png, first.blocks) == (again.png, again.blocks)


# ------------------------------------------------------------------------------- hidden texts

PLATE = "position: absolute; left: 0; top: 0; width: 600px; height: 200px"
UNSEEN_OFFICIALLY = {
    "under a picture": f"<p>a text</p><img src='rick.jpg' style='{PLATE}'>",
    "under a gradient": "<p>a text</p><div style='background-image: linear-gradient(red, red); "
    f"{PLATE}'></div>",
    "not visible": "<p style='visibility: hidden'>a text</p>",
    "filtered": "<p style='filter: opacity(0)'>a text</p>",
    "cut off": "<p style='clip-path: inset(50%)'>a text</p>",
    "off the page": "<p style='position: absolute; left: -999px'>a text</p>",
    "filled with nothing": "<p style='-webkit-text-fill-color: transparent'>a text</p>",
    "an element of no listed kind": "<p><strong style='color: white'>a text</strong></p>",
}
SEEN_OFFICIALLY = {
    "transparent": ("<p style='color: transparent'>a text</p>", "#FFFFFF"),
    "of no opacity": ("<p style='opacity: 0'>a text</p>", "#FFFFFF"),
    "like its background": ("<p style='color: #fff; background: #fff'>a text</p>", "#FFFFFF"),
    "white by a style sheet": (
        "<style>p { color: #fff !important }</style><p>a text</p>",
        "#FFFFFF",
    ),
    "under a plain background": (
        f"<p>a text</p><div style='background-color: #336699; {PLATE}'></div>",
        "#336699",
    ),
}
"""What recolouring brings to light, and the colour that lies there on the page itself."""


@pytest.mark.parametrize("way", UNSEEN_OFFICIALLY)
def test_officially_a_text_without_pixels_is_no_block(renderer: PageRenderer, way: str) -> None:
    """Pixels of the recoloured pictures: covered, cut off or in its own colour, it has none."""
    html = f"<html><body>{UNSEEN_OFFICIALLY[way]}<h6>another</h6></body></html>"
    assert set(texts(renderer.render_reference(html))) <= {"another"}


@pytest.mark.parametrize("way", SEEN_OFFICIALLY)
def test_officially_a_text_that_recolouring_shows_is_a_block(
    renderer: PageRenderer, way: str
) -> None:
    html, color = SEEN_OFFICIALLY[way]
    (block,) = renderer.render_reference(f"<html><body>{html}</body></html>").blocks
    assert (block.text, block.color) == ("a text", color)


def test_officially_a_hidden_string_rides_on_its_elements_pixels(renderer: PageRenderer) -> None:
    """Each string of an element with any pixel is a block; the scorer joins those of one box."""
    html = "<html><body><p>shown<i hidden> and more</i></p></body></html>"
    assert texts(renderer.render_reference(html)) == ["shown", "and more"]
