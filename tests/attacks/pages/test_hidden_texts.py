"""Hidden texts: a page that holds a reference's texts where nobody can read them earns nothing.

Each page shows nothing, or other words, and holds all texts of the reference, where they stand
there. More ways, one text each, are in ``tests/test_page_renderer.py``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import pytest

from rrvf.renderers.page import PageRenderer
from rrvf.scorers.blocks import score_block_match, score_color, score_position, score_text
from rrvf.types import PageRendering

Show = Callable[[PageRenderer, str], PageRendering]

START = "<!DOCTYPE html><meta charset=utf-8><style>body { margin: 0 }</style>"
WORDS = (
    *("Lamps that last for years", "Open from Tuesday to Saturday", "Repairs are free of charge"),
    *("Old cords are taken back", "Prices hold until May"),
)
TEXTS = "".join(f"<p>{words}</p>" for words in WORDS)
HEADLINE = "<h1 style='margin: 0; font-size: 60px'>Quite another headline<br>on two lines</h1>"
PLATE = "position: absolute; left: 0; top: 0; width: 900px; height: 300px"
ABOVE = "position: absolute; left: 0; top: 0; width: 900px"


def hidden_by(rule: str, before: str = "", after: str = "") -> str:
    """The texts, each a paragraph, under a rule for paragraphs."""
    return f"<style>p {{ {rule} }}</style>{before}<div>{TEXTS}</div>{after}"


def plate(rule: str) -> str:
    """An element above all texts."""
    return f"<i style='{PLATE}; {rule}'></i>"


COVERED = {
    "by a pseudo-element": hidden_by(
        "", f"<style>div::after {{ content: ''; {PLATE}; background: #fff }}</style>"
    ),
    "by what is fixed": hidden_by(
        "", after="<i style='position: fixed; inset: 0; background: #fff'>"
    ),
    "by a shadow": hidden_by(
        "",
        after="<i style='position: absolute; left: -9px; top: 0; "
        "width: 1px; height: 1px; box-shadow: 0 0 0 900px #fff'></i>",
    ),
    "by an inner shadow": hidden_by("", after=plate("box-shadow: inset 0 0 0 500px #fff")),
    "by an outline": hidden_by(
        "",
        after="<i style='position: absolute; left: 0; top: 0; "
        "width: 1px; height: 1px; outline: 900px solid #fff'></i>",
    ),
    "by a border": hidden_by(
        "", after="<i style='position: absolute; left: 0; top: 0; border: 300px solid #fff'></i>"
    ),
    "by a dialog": hidden_by(
        "",
        after=f"<dialog open style='{PLATE}; margin: 0; max-width: none; "
        "background: #fff; border: 0'></dialog>",
    ),
    "in space": f"<div style='transform-style: preserve-3d'><style>p "
    f"{{ transform: translateZ(-1px) }}"
    f"</style>{TEXTS}{plate('background: #fff')}</div>",
    "by an animation": hidden_by(
        "",
        "<style>@keyframes k { from { width: 0 } to { width: 900px } }</style>",
        plate("background: #fff; animation: k 1s forwards"),
    ),
    "in SVG": "<svg width=400 height=200>"
    + "".join(f"<text y={40 * n + 20}>{words}</text>" for n, words in enumerate(WORDS))
    + "<rect width=400 height=200 fill=white /></svg>",
}

CUT_OFF = {
    "overflow": hidden_by("height: 0; overflow: clip"),
    "clip": hidden_by("position: absolute; clip: rect(0, 0, 0, 0)"),
    "clip-path": hidden_by("clip-path: circle(0)"),
    "clip-path of SVG": hidden_by(
        "clip-path: url(#c)", "<svg width=0 height=0><clipPath id=c></clipPath></svg>"
    ),
    "contained": f"<div style='contain: paint; height: 0'>{TEXTS}</div>",
    "one pixel": hidden_by("width: 1px; height: 1px; overflow: hidden; text-indent: -9px"),
    "one row of pixels": hidden_by("height: 1px; overflow: hidden; line-height: 1px"),
    "two columns of pixels": hidden_by("width: 2px; overflow: hidden; white-space: nowrap"),
    "beside a box": "<div style='overflow: hidden; width: 300px'><div style='margin-left: 400px; "
    f"width: 400px'>{TEXTS}</div></div>",
    "scrolled away": "<div style='overflow: scroll; height: 50px'><div style='height: 300px'></div>"
    f"{TEXTS}</div>",
    "mask of no size": hidden_by("mask: linear-gradient(#000, #000) no-repeat 0 0 / 0 0"),
    "mask without light": hidden_by("mask: linear-gradient(#000, #000); mask-mode: luminance"),
    "mask of SVG": hidden_by("mask: url(#m)", "<svg width=0 height=0><mask id=m></mask></svg>"),
    "mask of stripes": hidden_by(
        "mask: repeating-linear-gradient(90deg, #000 0 1px, #0000 1px 20px)"
    ),
}

SMEARED = {
    "blur": hidden_by("filter: blur(5px)"),
    "a lot of blur": hidden_by("filter: blur(20px)"),
    "blur of large letters": hidden_by("filter: blur(20px); font: bold 40px sans-serif; margin: 0"),
    "blur of what lies behind": hidden_by("", after=plate("backdrop-filter: blur(8px)")),
    "a shadow alone": hidden_by("color: transparent; text-shadow: 0 0 16px black"),
    "a shadow elsewhere": hidden_by("color: transparent; text-shadow: 9000px 0 black"),
    "grown together": hidden_by(
        "filter: url(#f)",
        "<svg width=0 height=0><filter id=f>"
        "<feMorphology operator=dilate radius=9 /></filter></svg>",
    ),
    "struck through": hidden_by("text-decoration: line-through black 30px"),
}

WITHOUT_PAINT = {
    "behind what is dark": hidden_by("", after=plate("backdrop-filter: brightness(0)")),
    "behind what is grey": hidden_by("", after=plate("backdrop-filter: contrast(0)")),
    "black on black": hidden_by("color: #fff; background: #000; filter: brightness(0)"),
    "inverted": hidden_by("filter: invert(1)"),
    "without contrast": hidden_by("background: #ccc; filter: contrast(0)"),
    "flooded": hidden_by(
        "filter: url(#f)",
        "<svg width=0 height=0><filter id=f><feFlood flood-color=white /></filter></svg>",
    ),
    "taken away": hidden_by(
        "filter: url(#f)", "<svg width=0 height=0><filter id=f><feOffset dx=5000 /></filter></svg>"
    ),
    "a blend": hidden_by("mix-blend-mode: screen", "<style>div { background: #fff }</style>"),
    "cut out of nothing": hidden_by("color: transparent; background-clip: text"),
    "cut out of white": hidden_by("color: transparent; background: #fff; background-clip: text"),
    "the colour behind": hidden_by("color: #123456; background: currentcolor"),
    "the system's colour": hidden_by("color: Canvas"),
    "its underline alone": hidden_by("color: transparent; text-decoration: underline black"),
    "its accents alone": hidden_by("color: transparent; text-emphasis: dot black"),
    "an animation": hidden_by(
        "animation: k 1s forwards", "<style>@keyframes k { to { opacity: 0 } }</style>"
    ),
    "a start": hidden_by(
        "opacity: 0; transition: all 9s", "<style>@starting-style { p { opacity: 1 } }</style>"
    ),
    "on this screen": f"<style>@media screen {{ p {{ color: #fff }} }}</style>{TEXTS}",
    "in this box": "<style>div { container-type: inline-size } @container (min-width: 1px) "
    f"{{ p {{ opacity: 0 }} }}</style><div>{TEXTS}</div>",
    "first lines": f"<style>p::first-line {{ color: #fff }}</style>{TEXTS}",
    "SVG": "<svg width=400 height=200>"
    + "".join(
        f"<text y={40 * n + 20} fill-opacity=0><tspan>{words}</tspan></text>"
        for n, words in enumerate(WORDS)
    )
    + "</svg>",
}

TOO_SMALL = {
    "zoom": hidden_by("zoom: 0.1"),
    "narrow": hidden_by("transform: scaleX(0.05); transform-origin: 0 0"),
    "from the side": hidden_by("transform: rotateY(89.5deg)"),
    "from above": hidden_by("transform: rotateX(88deg)"),
    "far away": f"<div style='perspective: 100px'><style>p "
    f"{{ transform: translateZ(-5000px) }}</style>"
    f"{TEXTS}</div>",
    "tiny and aslant": hidden_by("font-size: 1px; transform: rotate(45deg); margin: 99px"),
    "upon each other": hidden_by("letter-spacing: -9px"),
    "SVG": "<svg width=400 height=200>"
    + "".join(
        f"<text y={40 * n + 20} textLength=3 lengthAdjust=spacingAndGlyphs>{words}</text>"
        for n, words in enumerate(WORDS)
    )
    + "</svg>",
}

ELSEWHERE = {
    "margin": hidden_by("margin-left: -3000px"),
    "moved": hidden_by("transform: translate(-3000px)"),
    "a path": hidden_by("offset: path('M-3000 0 L-3000 9')"),
    "below the picture": hidden_by("position: absolute; top: 20000px"),
    "content-visibility": hidden_by("content-visibility: hidden"),
    "until found": f"<div hidden=until-found>{TEXTS}</div>",
    "a collapsed row": f"<table><tr style='visibility: collapse'><td>{TEXTS}</table>",
    "a closed popover": f"<div popover>{TEXTS}</div>",
    "another document": f'<object data="data:text/html,{TEXTS}"></object>'
    f'<embed src="data:text/html,{TEXTS}">',
    "what players lack": f"<video>{TEXTS}</video><audio>{TEXTS}</audio>",
    "a closed shadow root": f"<div><template shadowrootmode=closed>{TEXTS}</template></div>",
    "no slot": f"<div><template shadowrootmode=open></template>{TEXTS}</div>",
    "markers": "".join(
        f"<style>.a{n}::marker {{ content: '{words}' }}</style><li class=a{n}></li>"
        for n, words in enumerate(WORDS)
    ),
    "a field": "".join(
        f"<input placeholder='{words}'><br><input type=submit value='{words}'><br>"
        for words in WORDS
    ),
    "notes of SVG": f"<svg><title>{WORDS[0]}</title><desc>{TEXTS}</desc><defs><text y=20>{WORDS[1]}"
    f"</text></defs><symbol><text y=20>{WORDS[2]}</text></symbol></svg>",
    "masks of SVG": f"<svg width=400 height=50><mask id=m><text "
    f"y=20>{WORDS[0]}</text></mask><clipPath "
    f"id=c><text y=20>{WORDS[1]}</text></clipPath><rect width=400 height=50 fill=white "
    "mask=url(#m) clip-path=url(#c) /></svg>",
    "no room in SVG": "<svg width=0 height=0><foreignObject width=400 height=300>"
    f"<div>{TEXTS}</div></foreignObject></svg>",
    "notes of formulas": f"<math><annotation>{WORDS[0]}</annotation><mphantom>"
    f"<mtext>{WORDS[1]}</mtext></mphantom></math>",
    "brackets of ruby": f"<ruby>x<rp>{WORDS[0]}</rp></ruby>",
}

AMONG_OTHERS = {
    "transparent upon a headline": hidden_by(
        "color: #0000", f"<div style='{ABOVE}'>{HEADLINE}</div>"
    ),
    "white under a headline": hidden_by(
        "color: #fff; position: relative; z-index: -1", f"<div style='{ABOVE}'>{HEADLINE}</div>"
    ),
    "all in one line": hidden_by(
        "color: #0000; position: absolute; left: 0; top: 0; margin: 0",
        "<h4 style='margin: 0; white-space: pre'>Quite another headline, in one line that is "
        "long</h4>",
    ),
    "under black bars": hidden_by(
        "font: 16px/32px monospace; margin: 0",
        f"<div style='{ABOVE}; font: 16px/32px monospace'>" + f"{'█' * 40}<br>" * 5 + "</div>",
    ),
    "under letters of ink": hidden_by(
        "",
        after="<b style='position: absolute; left: 99px; top: 300px; -webkit-text-stroke: 900px "
        "black'>X</b>",
    ),
    "under a letter's shadow": hidden_by(
        "",
        after="<b style='position: absolute; left: -400px; "
        "top: -400px; font: 400px monospace; text-shadow: 300px 300px black, 400px 300px "
        "black'>██</b>",
    ),
    "under an underline": hidden_by(
        "",
        after="<b style='position: absolute; left: 0; top: 300px; "
        "text-decoration: overline black 600px'>Quite another headline, in one line</b>",
    ),
    "under words in SVG": hidden_by(
        "color: #0000",
        f"<svg width=900 height=200 style='{ABOVE}'>"
        + "".join(
            f"<text y={n} font-size=20>Quite other words here</text>" for n in range(20, 200, 20)
        )
        + "</svg>",
    ),
    "under words cut out": hidden_by(
        "color: #0000",
        f"<div style='{ABOVE}; color: #0000; "
        f"background: "
        f"linear-gradient(red, blue); background-clip: text'>{HEADLINE}</div>",
    ),
    "under a field": hidden_by(
        "color: #0000",
        f"<textarea rows=20 style='{ABOVE}'>" + "quite other words\n" * 20 + "</textarea>",
    ),
}

GUESSES = {
    "a rule for highlights": "::highlight(rrvf-no-text) { background-color: #000 !important }",
    "a layer for highlights": "@layer a { p::highlight(rrvf-no-text) { color: #000 !important; "
    "-webkit-text-fill-color: #000 !important } }",
    "a style for SVG": "body:has([style*=transparent]) p { background: "
    "repeating-linear-gradient(90deg, #000 0 3px, #fff 3px 6px) }",
    "a style for shadows": "body:has([style*=shadow]) p { background: "
    "repeating-linear-gradient(90deg, #000 0 3px, #fff 3px 6px) } i { text-shadow: 0 0 1px red }",
    "the style as text": "p { text-shadow: 0 0 1px #0000; position: relative } "
    "p::before { content: attr(style); position: absolute; left: 0; color: #000 }",
}
"""Rules for what the harness might do to a page when it looks for its texts."""

WAYS = {
    **{f"covered {name}": html for name, html in COVERED.items()},
    **{f"cut off: {name}": html for name, html in CUT_OFF.items()},
    **{f"smeared: {name}": html for name, html in SMEARED.items()},
    **{f"without paint: {name}": html for name, html in WITHOUT_PAINT.items()},
    **{f"too small: {name}": html for name, html in TOO_SMALL.items()},
    **{f"elsewhere: {name}": html for name, html in ELSEWHERE.items()},
    **{
        f"guessed: {name}": hidden_by(
            "color: #0000",
            f"<style>{rules}</style>",
            "<svg width=9 height=9><text fill=none>i</text></svg><i>&nbsp;</i>",
        )
        for name, rules in GUESSES.items()
    },
}

SCORERS = (score_block_match, score_text, score_position, score_color)


@pytest.fixture(scope="module")
def reference(started: Callable[..., PageRenderer]) -> PageRendering:
    """All texts, to be read by everybody."""
    page = started().render(f"{START}<div>{TEXTS}</div>")
    assert [block.text for block in page.blocks] == list(WORDS)
    return page


@pytest.mark.parametrize("way", WAYS)
def test_hidden_texts_earn_nothing(
    started: Callable[..., PageRenderer], reference: PageRendering, show: Show, way: str
) -> None:
    page = show(started(), START + WAYS[way])
    assert not {block.text for block in page.blocks} & set(WORDS)
    assert [scorer(reference, page).value for scorer in SCORERS] == [0, 0, 0, 0]


@pytest.mark.parametrize("way", AMONG_OTHERS)
def test_texts_hidden_among_others_are_no_blocks(
    started: Callable[..., PageRenderer], reference: PageRendering, show: Show, way: str
) -> None:
    """Others are seen in the very same place."""
    page = show(started(), START + AMONG_OTHERS[way])
    assert not {block.text for block in page.blocks} & set(WORDS)
    assert score_block_match(reference, page).value == 0


def make_blank_font() -> str:
    """A font, as an address, whose letters are as wide as others and have no ink."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "blank"])
    builder.setupCharacterMap(dict.fromkeys(range(32, 127), "blank"))
    builder.setupGlyf({".notdef": Glyph(), "blank": Glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "blank": (500, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Blank", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    file = io.BytesIO()
    builder.save(file)
    return "data:font/ttf;base64," + base64.b64encode(file.getvalue()).decode()


def test_letters_without_ink_earn_nothing(
    started: Callable[..., PageRenderer], reference: PageRendering, show: Show
) -> None:
    pytest.importorskip("fontTools")
    source = f"src: url({make_blank_font()})"
    face = f"@font-face {{ font-family: blank; {source}; unicode-range: U+20-7F }}"
    rule = "font-family: blank, sans-serif"
    page = show(started(), START + hidden_by(rule, f"<style>{face}</style>"))
    assert page.blocks == ()
    assert score_block_match(reference, page).value == 0
    other = show(
        started(), START + hidden_by(rule, f"<style>{face.replace('U+20-7F', 'U+61')}</style>")
    )
    assert len(other.blocks) == len(WORDS), "without the letter a alone"


def test_hidden_among_others_in_any_way_of_showing(
    reused: PageRenderer, scripted: PageRenderer, show: Show
) -> None:
    html = START + AMONG_OTHERS["transparent upon a headline"]
    for renderer in (reused, scripted, reused):
        texts = [block.text for block in show(renderer, html).blocks]
        assert texts == ["Quite another headline", "on two lines"]


def test_texts_upon_each_other_are_all_seen(
    started: Callable[..., PageRenderer], show: Show
) -> None:
    """As far as each of them can be: a pale numeral behind a heading, a word within it."""
    page = show(
        started(),
        f"{START}<b style='position: absolute; left: 0; top: 0; font: 200px sans-serif; color: "
        f"#ddd'>"
        "01</b><h2 style='position: absolute; left: 40px; top: 90px; margin: 0'>A heading</h2>"
        "<i style='position: absolute; left: 60px; top: 95px; color: red'>a word</i>",
    )
    assert [block.text for block in page.blocks] == ["01", "A heading", "a word"]
