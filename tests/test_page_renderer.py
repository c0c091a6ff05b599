"""The page renderer: pictures, texts, boxes and colours of pages, and the browser it finds."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from rrvf.errors import HarnessError, SetupError
from rrvf.renderers import browser, page
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.types import PageRendering, TextBlock

START = "<!DOCTYPE html><meta charset=utf-8><body style='margin: 0'>"


@pytest.fixture(scope="module")
def chromium() -> Path:
    """The browser; skips where there is none."""
    try:
        return browser.find_browser()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def renderer(chromium: Path) -> Iterator[PageRenderer]:
    with PageRenderer(chromium, limits=PageLimits(seconds=60)) as found:
        yield found


def shown(renderer: PageRenderer, html: str) -> PageRendering:
    rendering = renderer.render(html)
    assert rendering.status == "ok", rendering.error
    return rendering


def texts(renderer: PageRenderer, html: str) -> list[str]:
    return [block.text for block in shown(renderer, html).blocks]


def picture(rendering: PageRendering) -> Image.Image:
    assert rendering.png is not None
    return Image.open(io.BytesIO(rendering.png)).convert("RGB")


# ------------------------------------------------------------------------------- the picture


def test_a_small_page_fills_the_viewport(renderer: PageRenderer) -> None:
    rendering = shown(renderer, "<p>x")
    assert (rendering.width, rendering.height, rendering.clipped) == (1280, 720, False)
    assert picture(rendering).size == (1280, 720)
    assert rendering.seconds > 0


def test_a_page_is_shown_to_its_end(renderer: PageRenderer) -> None:
    bands = "".join(
        f"<div style='height: 500px; background: {colour}'></div>"
        for colour in ("#FF0000", "#00FF00", "#0000FF", "#123456")
    )
    rendering = shown(renderer, START + bands + "<div style='width: 1500px; height: 9px'>")
    image = picture(rendering)
    assert image.size == (1500, 2009)
    assert [image.getpixel((5, y)) for y in (250, 750, 1250, 1750, 2005)] == [
        *((255, 0, 0), (0, 255, 0), (0, 0, 255), (0x12, 0x34, 0x56), (255, 255, 255))
    ]


@pytest.mark.parametrize(
    ("size", "expected", "clipped"),
    [
        ("height: 16384px", (1280, 16384), False),
        ("height: 16385px", (1280, 16384), True),
        ("height: 1px; width: 4096px", (4096, 720), False),
        ("height: 1px; width: 4097px", (4096, 720), True),
    ],
)
def test_a_large_page_is_cut_off(
    renderer: PageRenderer, size: str, expected: tuple[int, int], clipped: bool
) -> None:
    rendering = shown(renderer, f"{START}<div style='{size}'></div>")
    assert (rendering.width, rendering.height) == picture(rendering).size == expected
    assert rendering.clipped == clipped


def test_the_viewport_is_a_setting(chromium: Path) -> None:
    limits = PageLimits(width=400, height=300, max_height=500)
    with PageRenderer(chromium, workers=1, limits=limits) as small:
        assert picture(shown(small, "<p>x")).size == (400, 300)
        assert shown(small, "<div style='height: 600px'>").height == 500
        assert small.environment["viewport"] == "400x300"


def test_asked_for_and_not_given(renderer: PageRenderer) -> None:
    """Each once; pictures are given, and what the page's policy forbids is not even asked for."""
    sheets = "".join(f"<link rel=stylesheet href={url}>" for url in ("http://b.invalid/", "a", "a"))
    rendering = shown(renderer, f"{sheets}<img src=c.png><iframe src=d></iframe>")
    assert rendering.denied == ("http://b.invalid/", "http://page.invalid/a")


# --------------------------------------------------------------------------- texts and boxes

PLACED = START + (
    "<style>p { position: absolute; margin: 0; font: 20px/30px monospace; }</style>"
    "<p style='left: 100px; top: 50px; color: #A1B2C3'>twelve signs"
    "<p style='left: 40px; top: 200px; width: 130px; color: rgb(1 2 3 / 50%)'>one two three four"
)


def test_blocks_by_hand(renderer: PageRenderer) -> None:
    """A sign of this font is 12 pixels wide, as measured by the browser's own ruler."""
    first, second = shown(renderer, PLACED).blocks
    assert (first.text, first.color) == ("twelve signs", "#A1B2C3")
    assert (second.text, second.color) == ("one two three four", "#010203")
    assert (first.x, second.x) == (100, 40)
    assert first.width == pytest.approx(12 * 12, abs=2)
    # "one two" and "three four" of 7 and 10 signs; two lines of 30 pixels.
    assert second.width == pytest.approx(10 * 12, abs=2)
    assert 50 <= first.y < first.y + first.height <= 80
    assert 200 <= second.y < second.y + second.height <= 260
    assert second.height > 30


RICH = START + (
    "<style>* { font-family: sans-serif } .grid { display: grid; grid: auto / 1fr 2fr; gap: 8px }"
    ".card { border: 1px solid #999; padding: 12px; transform: translate(3px, 4px) }</style>"
    "<h1>A heading</h1><p>Some words <b>in bold</b> and <a href=#>a link</a>, then more of them."
    "<div class=grid><div class=card>First card</div><div class=card>Second card</div></div>"
    "<div style='height: 900px'></div><ul><li>One<li>Two</ul><button>Press</button>"
)


def test_boxes_are_where_the_browser_paints(chromium: Path, renderer: PageRenderer) -> None:
    """Playwright, by itself: its ranges' rectangles and its screenshot of the full page."""
    from playwright.sync_api import sync_playwright

    measure = """() => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
      while (walker.nextNode()) {
        const range = document.createRange(); range.selectNodeContents(walker.currentNode);
        const {x, y, width, height} = range.getBoundingClientRect();
        const text = walker.currentNode.data.trim();
        if (text && walker.currentNode.parentNode.tagName != 'STYLE')
          found.push([text, x, y, width, height]);
      }
      return found;
    }"""
    arguments = [*browser.STEADY_ARGUMENTS, "--no-sandbox"]
    with sync_playwright() as playwright:
        other = playwright.chromium.launch(executable_path=chromium, args=arguments)
        shot = other.new_page(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
        shot.set_content(RICH)
        expected, png = shot.evaluate(measure), shot.screenshot(full_page=True)
        other.close()
    rendering = shown(renderer, RICH)
    assert [block.text for block in rendering.blocks] == [text for text, *_ in expected]
    for block, (_, *box) in zip(rendering.blocks, expected, strict=True):
        assert [block.x, block.y, block.width, block.height] == pytest.approx(box, abs=1)
    theirs = Image.open(io.BytesIO(png)).convert("RGB")
    assert ImageChops.difference(picture(rendering), theirs).getbbox() is None


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("oklch(62.796% 0.25768 29.2339)", (255, 0, 0)),  # red, by the specification's formulas
        ("oklab(51.975% -0.1403 0.10768)", (0, 128, 0)),
        ("color-mix(in srgb, #000000, #FFFFFF)", (128, 128, 128)),
        ("color(srgb 0 0 1)", (0, 0, 255)),
        ("lab(100 0 0)", (255, 255, 255)),
        ("hsl(120 100% 25%)", (0, 128, 0)),
        ("hwb(240 0% 0%)", (0, 0, 255)),
        ("rebeccapurple", (0x66, 0x33, 0x99)),
    ],
)
def test_colours_of_all_kinds(
    renderer: PageRenderer, color: str, expected: tuple[int, int, int]
) -> None:
    (block,) = shown(renderer, f"<p style='color: {color}; background: #FA8072'>x").blocks
    got = tuple(bytes.fromhex(block.color.removeprefix("#")))
    assert all(abs(a - b) <= 1 for a, b in zip(got, expected, strict=True)), block.color


@pytest.mark.parametrize(
    "html",
    [
        "<p style='display: none'>hidden",
        "<p hidden>hidden",
        "<p style='visibility: hidden'>hidden",
        "<p style='opacity: 0'>hidden",
        "<div style='opacity: 0.1'><div style='opacity: 0.1'><b style='opacity: 0.1'>hidden</b>",
        "<p style='position: absolute; left: -9999px'>hidden",
        "<p style='position: absolute; top: -99px'>hidden",
        "<title>hidden</title>",
        "<style>hidden</style>",
        "<script>hidden</script>",
        "<template>hidden</template>",
        "<!-- hidden -->",
        "<details><summary></summary>hidden</details>",
        "<dialog>hidden</dialog>",
        "<textarea>hidden</textarea><input value=hidden><select><option>hidden</select>",
        "<style>p::before { content: 'hidden' }</style><p>",
        "<iframe srcdoc=hidden></iframe>",
        "<p> \n\t ",
    ],
)
def test_what_cannot_be_seen_is_no_block(renderer: PageRenderer, html: str) -> None:
    assert texts(renderer, f"{html}</p></div></div><p>seen</p>") in (["seen"], [])


BOX = "position: absolute; left: 0; top: 0; width: 600px; height: 200px"
UNSEEN = {
    "covered": f"<p>unseen</p><div style='{BOX}; background: #fff'></div>",
    "covered by a picture": f"<p>unseen</p><img style='{BOX}' src=\"data:image/svg+xml,<svg "
    "xmlns='http://www.w3.org/2000/svg'><rect width='999' height='999'/></svg>\">",
    "behind": f"<p style='position: relative; z-index: -1'>unseen</p><div style='{BOX}; "
    "background: linear-gradient(90deg, red, blue)'></div>",
    "transparent": "<p style='color: transparent'>unseen</p>",
    "transparent above a gradient": "<div style='background: linear-gradient(90deg, red, blue)'>"
    "<p style='color: #0000'>unseen</p></div>",
    "transparent fill": "<p style='-webkit-text-fill-color: transparent'>unseen</p>",
    "like its background": "<p style='color: #fff; background: #fff'>unseen</p>",
    "almost like its background": "<p style='color: #f7f7f7'>unseen</p>",
    "opacity": "<p style='opacity: 0.01'>unseen</p>",
    "a filter": "<p style='filter: opacity(0)'>unseen</p>",
    "brightness": "<p style='color: #222; filter: brightness(99)'>unseen</p>",
    "a mask": "<p style='mask-image: linear-gradient(transparent, transparent)'>unseen</p>",
    "a blend": "<div style='background: #fff'><p style='mix-blend-mode: lighten'>unseen</p></div>",
    "clip-path": "<p style='clip-path: inset(50%)'>unseen</p>",
    "for screen readers": "<p style='position: absolute; width: 1px; height: 1px; overflow: hidden;"
    " clip: rect(0, 0, 0, 0)'>unseen</p>",
    "cut off by its box": "<p style='height: 0; overflow: hidden'>unseen</p>",
    "indented away": "<p style='text-indent: -999px; overflow: hidden'>unseen</p>",
    "off the page": "<p style='position: absolute; left: -999px'>unseen</p>",
    "one pixel high": "<p style='font-size: 1px'>unseen unseen unseen</p>",
    "scaled down": "<p style='transform: scale(0.05)'>unseen unseen unseen</p>",
    "its back": "<p style='transform: rotateY(180deg); backface-visibility: hidden'>unseen</p>",
    "SVG without paint": "<svg height=40><text y=20 fill=none>unseen</text></svg>",
    "a transition's start": "<style>i {color: #0000; transition: color 9s}</style><i>unseen</i>",
    "in a shadow root": "<div><template shadowrootmode=open><p style='color: #fff'>unseen</p>"
    "</template></div>",
    "names of properties": "<form><input name=style><input name=shadowRoot><input name=nodeType>"
    "</form><img name=createTreeWalker><img name=adoptedStyleSheets>"
    "<p style='color: transparent'>unseen</p>",
}


@pytest.mark.parametrize("way", UNSEEN)
def test_a_text_that_nobody_sees_is_no_block(way: str, renderer: PageRenderer) -> None:
    html = f"{START}<div style='position: relative; min-height: 220px'>{UNSEEN[way]}</div>"
    assert texts(renderer, f"{html}<p>seen") == ["seen"]


SEEN = {
    "as usual": "<p>seen</p>",
    "colour that insists": "<p style='color: black !important'>seen</p>",
    "on a gradient": "<p style='background: linear-gradient(90deg, red, blue)'>seen</p>",
    "cut out of a gradient": "<p style='background: linear-gradient(red, blue); color: transparent;"
    " background-clip: text; -webkit-background-clip: text'>seen</p>",
    "filled": "<p style='color: transparent; -webkit-text-fill-color: black'>seen</p>",
    "outlined": "<p style='color: transparent; -webkit-text-stroke: 1px black'>seen</p>",
    "its shadow": "<p style='color: transparent; text-shadow: 0 0 0 black'>seen</p>",
    "in transition": "<style>p {color: black; transition: color 9s}</style><p>seen",
    "cannot be selected": "<p style='user-select: none'>seen</p>",
    "first line": "<style>p::first-line {color: black !important}</style><p>seen",
    "SVG": "<svg height=40><text y=20>seen</text></svg>",
    "SVG outlined": "<svg height=40><text y=20 fill=none stroke=black>seen</text></svg>",
    "in a shadow root": "<div><template shadowrootmode=open><style>p {color: black !important}"
    "</style><p>seen</p></template></div>",
    "small and pale": "<p style='font-size: 9px; font-weight: 100; color: #aaa'>seen</p>",
    "upright": "<p style='writing-mode: vertical-rl'>seen</p>",
    "a full stop": "<p>.</p>",
    "a button": "<button>seen</button>",
    "half covered": "<div style='height: 18px; overflow: hidden'><p style='margin: 0'>seen<br>"
    "<i></i>",
    "names of properties": "<form><input name=style><p>seen</form><img name=createTreeWalker>",
}


@pytest.mark.parametrize("way", SEEN)
def test_a_text_is_seen_in_whatever_paint(way: str, renderer: PageRenderer) -> None:
    assert texts(renderer, f"{START}<div>{SEEN[way]}</div>") in (["seen"], ["."])


def test_looking_for_texts_leaves_the_picture_alone(renderer: PageRenderer) -> None:
    """The second picture, without texts, is not the one that is kept."""
    rendering = shown(renderer, f"{START}<h1>Seen in black</h1>")
    dark = ImageChops.invert(picture(rendering).convert("L")).getbbox()
    assert dark is not None
    [block] = rendering.blocks
    assert block.x <= dark[0] < dark[2] <= block.x + block.width + 3


def test_seen_again_within_the_hidden(renderer: PageRenderer) -> None:
    html = "<div style='visibility: hidden'>a<p style='visibility: visible'>b</p></div>"
    assert texts(renderer, html) == ["b"]


def test_a_text_is_as_laid_out(renderer: PageRenderer) -> None:
    html = "<p style='text-transform: uppercase'>a  b\n c<pre>d  e</pre>"
    assert texts(renderer, html) == ["A B C", "d e"]


# -------------------------------------------------------------------------------- odd sources


@pytest.mark.parametrize("html", ["", " ", "\n", "<html></html>", "<", "</", "<!--", "\0"])
def test_an_empty_page_is_white(renderer: PageRenderer, html: str) -> None:
    assert picture(shown(renderer, html)).size == (1280, 720)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("just words", ["just words"]),
        ("<p>one<p>two", ["one", "two"]),
        ("<td>cell", ["cell"]),
        ("<b><i>over</b>lap</i>", ["over", "lap"]),
        ("a\0b", ["ab"]),
        ("a\ud800b", ["a?b"]),
        ("<p>naïve Ωmega 日本 😀", ["naïve Ωmega 日本 😀"]),
        ("<meta charset=latin-1><p>ü", ["ü"]),
        ("\ufeff<p>x", ["x"]),
        ("&lt;p&gt; &amp; &nosuch; &copy", ["<p> & &nosuch; ©"]),
        ("<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><p>x</p></html>", ["x"]),
        ("<p><![CDATA[x]]>y", ["y"]),
        ("<p dir=rtl>שלום", ["שלום"]),
        ("x" * 20_000, ["x" * 20_000]),
        ("<svg><text y=20>drawn</text></svg>", ["drawn"]),
        ("<p style='color: red' style='color: blue' onclick=>x", ["x"]),
        ("\r\n".join(["<p>", "x", "</p>"]), ["x"]),
    ],
)
def test_odd_sources(renderer: PageRenderer, html: str, expected: list[str]) -> None:
    assert texts(renderer, html) == expected


def test_quirks_mode_is_the_pages_choice(renderer: PageRenderer) -> None:
    """Without a doctype a unitless length counts."""
    html = "<body style='margin: 0'><p style='margin: 0; padding-left: 300'>x"
    (quirky,), (strict,) = (
        shown(renderer, start + html).blocks for start in ("", "<!DOCTYPE html>")
    )
    assert (quirky.x, strict.x) == (300, 0)


def test_right_to_left_ends_at_the_right(renderer: PageRenderer) -> None:
    (block,) = shown(renderer, f"{START}<p dir=rtl>שלום").blocks
    assert block.x + block.width == pytest.approx(1280, abs=1)


def test_scripts_run_only_when_asked(renderer: PageRenderer, chromium: Path) -> None:
    html = "<p id=p>still</p><noscript>none</noscript><script>p.textContent = 'moved'</script>"
    assert texts(renderer, html) == ["still", "none"]
    with PageRenderer(chromium, workers=1, javascript=True) as scripted:
        assert texts(scripted, html) == ["moved"]
        moved = shown(scripted, "<p>moved")
        assert picture(shown(scripted, html)).tobytes() == picture(moved).tobytes()
    with pytest.raises(SetupError, match="without scripts"):
        PageRenderer(chromium, javascript=True, reuse_pages=True)


def test_the_source_has_a_limit(renderer: PageRenderer) -> None:
    rendering = renderer.render("x" * (renderer.limits.source + 1))
    assert (rendering.status, rendering.png) == ("code_error", None)


# ------------------------------------------------------------------------ many at the same time


def test_each_thread_gets_its_own_page(renderer: PageRenderer) -> None:
    def render(number: int) -> tuple[int, PageRendering]:
        colour = f"rgb({number}, 0, {255 - number})"
        html = f"{START}<div style='background: {colour}; height: {800 + number}px'>page {number}"
        return number, shown(renderer, html)

    with ThreadPoolExecutor(8) as pool:
        for number, rendering in pool.map(render, range(24)):
            assert [block.text for block in rendering.blocks] == [f"page {number}"]
            assert rendering.height == 800 + number
            assert picture(rendering).getpixel((900, 700)) == (number, 0, 255 - number)


def test_a_closed_renderer_says_so(chromium: Path) -> None:
    renderer = PageRenderer(chromium, workers=1)
    renderer.close()
    with pytest.raises(HarnessError, match="closed"):
        renderer.render("x")


# ------------------------------------------------------------------------------ finding browsers


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any browser: empty ``PATH``, home and Playwright folder."""
    for name in ("PATH", "HOME", "PLAYWRIGHT_BROWSERS_PATH"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("RRVF_CHROMIUM", raising=False)
    return tmp_path


def test_no_browser_names_the_mend(machine: Path) -> None:
    with pytest.raises(SetupError, match="rrvf setup-browser"):
        PageRenderer()


def test_the_order_of_browsers(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is added comes before those that were there."""
    own = machine / "playwright_browsers_path"
    added = [
        program(machine / "path" / "google-chrome"),
        program(machine / "path" / "chromium"),
        program(machine / "path" / "chromium-headless-shell"),
        program(own / "chromium-1200" / "chrome-linux" / "chrome"),
        program(own / "chromium_headless_shell-999" / "chrome-linux" / "headless_shell"),
        program(own / "chromium_headless_shell-1200" / "chrome-linux" / "headless_shell"),
    ]
    for count in range(len(added), 0, -1):
        assert browser.find_browser() == added[count - 1]
        added[count - 1].unlink()
    wish, named = program(machine / "wish"), program(machine / "named")
    monkeypatch.setenv("RRVF_CHROMIUM", str(wish))
    assert browser.find_browser() == wish
    assert browser.find_browser(named) == named


def test_playwrights_own_lies_in_the_home(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH")
    cache = machine / "home" / ".cache" / "ms-playwright"
    own = program(cache / "chromium_headless_shell-1" / "chrome-linux" / "headless_shell")
    assert browser.find_browser() == own


@pytest.mark.parametrize("kind", ["missing", "a folder", "no program"])
def test_a_named_browser_must_be_one(machine: Path, kind: str) -> None:
    path = machine / "wish"
    if kind == "a folder":
        path.mkdir()
    elif kind == "no program":
        path.write_text("x")
    with pytest.raises(SetupError, match="wish is not a browser"):
        browser.find_browser(path)


def test_a_browser_that_does_not_start(machine: Path) -> None:
    failing = program(machine / "failing")
    failing.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(HarnessError, match="failing does not start"):
        PageRenderer(failing, workers=1)


def test_an_unknown_confinement(chromium: Path) -> None:
    with pytest.raises(SetupError, match="unknown confinement 'magic'"):
        PageRenderer(chromium, confinement="magic")


def test_the_environment_describes_the_browser(renderer: PageRenderer, chromium: Path) -> None:
    said = renderer.environment
    assert said["browser"].split()[0] == chromium.name
    assert said["browser"].split()[1].split(".")[0].isdigit()
    assert said["fonts"]["count"] > 0
    assert said["confinement"].keys() == {"sandbox", "files", "network", "dropped"}


# ------------------------------------------------------------------------- references on disk


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def counted(renderer: PageRenderer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the renderer really shows."""
    calls: list[str] = []
    render = renderer.render

    def counting(html: str, **options: bool) -> PageRendering:
        calls.append(html)
        return render(html, **options)

    monkeypatch.setattr(renderer, "render", counting)
    return calls


HTML = "<p style='color: #102030'>kept <b>for later</b><link rel=stylesheet href=/x>"


def test_a_reference_is_shown_once(
    renderer: PageRenderer, counted: list[str], cache: Path, chromium: Path
) -> None:
    first = renderer.render_reference(HTML)
    assert renderer.render_reference(HTML) == first
    assert counted == [HTML]
    assert first.blocks == (
        TextBlock("kept", *box(first, 0), "#102030"),
        TextBlock("for later", *box(first, 1), "#102030"),
    )
    assert first.denied == ("http://page.invalid/x",)
    with PageRenderer(chromium, workers=1, limits=renderer.limits) as other:
        other.render = None  # type: ignore[assignment, method-assign]
        assert other.render_reference(HTML) == first


def box(rendering: PageRendering, index: int) -> tuple[float, float, float, float]:
    block = rendering.blocks[index]
    return block.x, block.y, block.width, block.height


def test_other_settings_are_another_reference(
    renderer: PageRenderer, counted: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer.render_reference(HTML)
    renderer.render_reference(HTML + " ")
    assert len(counted) == 2
    monkeypatch.setattr(renderer, "limits", PageLimits(seconds=60, width=640))
    renderer.render_reference(HTML)
    assert len(counted) == 3
    monkeypatch.setattr(renderer, "environment", {**renderer.environment, "fonts": "others"})
    renderer.render_reference(HTML)
    assert len(counted) == 4
    monkeypatch.setattr(page, "source_hash", lambda _: "another renderer")
    renderer.render_reference(HTML)
    assert len(counted) == 5


@pytest.mark.parametrize(
    "spoilt", [b"", b"{", b"null", b"[]", b'{"status": "ok"}', b"\xff", b"[" * 99_999]
)
def test_a_spoilt_entry_counts_as_absent(
    renderer: PageRenderer, counted: list[str], cache: Path, spoilt: bytes
) -> None:
    first = renderer.render_reference(HTML)
    (entry,) = cache.rglob("*.json")
    entry.write_bytes(spoilt)
    again = renderer.render_reference(HTML)
    assert (again.png, again.blocks) == (first.png, first.blocks)
    assert len(counted) == 2


def test_a_failure_is_not_kept(renderer: PageRenderer, counted: list[str], cache: Path) -> None:
    large = "x" * (renderer.limits.source + 1)
    for _ in range(2):
        assert renderer.render_reference(large).status == "code_error"
    assert len(counted) == 2
    assert not list(cache.rglob("*.json"))


def test_calls_at_once_show_a_reference_once(
    renderer: PageRenderer, counted: list[str], cache: Path
) -> None:
    gate = threading.Barrier(6)

    def ask(_: int) -> PageRendering:
        gate.wait()
        return renderer.render_reference(HTML)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert len(counted) == 1
    assert all(rendering == found[0] for rendering in found)


# ----------------------------------------------------------------------------- a busy machine

TABLE = (
    "<style>td{padding:2px;border:1px solid #ccc;box-shadow:0 0 9px #999}</style><table>"
    + ("<tr>" + "".join(f"<td>{number}</td>" for number in range(30)) + "</tr>") * 60
    + "</table>"
)


@contextlib.contextmanager
def keep_busy() -> Iterator[None]:
    """A machine on which others use every processor six times over."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(6 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.fixture
def busy() -> Iterator[None]:
    with keep_busy():
        yield


def time_beside_others(chromium: Path, seconds: float) -> PageRendering:
    """A page of a browser that is there already when the others begin."""
    limits = PageLimits(seconds=seconds)
    with PageRenderer(chromium, workers=1, limits=limits) as renderer:
        renderer.render("<p>the browser is there</p>")
        with keep_busy():
            return renderer.render(TABLE)


def test_what_others_use_is_not_the_time_of_a_page(chromium: Path) -> None:
    # By the clock the page takes about seven times as long as its own work does.
    by_the_clock = time_beside_others(chromium, 60).seconds
    found = time_beside_others(chromium, by_the_clock / 2)
    assert (found.status, found.error) == ("ok", None)


def test_a_page_without_end_ends_on_a_busy_machine_too(chromium: Path, busy: None) -> None:
    limits = PageLimits(seconds=1)
    with PageRenderer(chromium, workers=1, limits=limits, javascript=True) as renderer:
        assert renderer.render("<script>while (true);</script>").status == "timeout"
