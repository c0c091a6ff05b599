"""Isolation and repeatability: what is shown depends on the page alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrvf.renderers import page
from rrvf.renderers.page import PageRenderer
from rrvf.types import PageRendering

Show = Callable[[PageRenderer, str], PageRendering]

# Pages that leave something behind for the next, and pages on which it would be seen.
STILL = {
    "visited": "<style>a:visited { color: red } a { color: blue }</style>"
    "<a href='/'>x</a> <a href='#a'>x</a> <a href='http://page.invalid/'>x</a>",
    "target": "<style>:target { background: red }</style><div style='height: 2000px'></div>"
    "<p id=a>x<meta http-equiv=refresh content='0; url=#a'>",
    "cookies": "<meta http-equiv=set-cookie content='a=b'><p>x",
    "focus": "<input autofocus value=x><style>:focus { background: lime }</style>",
    "scrolled": "<style>html { scroll-behavior: smooth }</style><div style='height: 3000px'>"
    "</div><input autofocus>",
    "fixed": "<div style='height: 3000px'></div><p style='position: fixed; top: 0'>fixed"
    "<p style='position: sticky; top: 9px'>sticky",
    "view": "<p style='height: 100vh; width: 50vw; background: lime'>x"
    "<style>@media (max-height: 720px) { p { color: red } }</style>",
    "high": "<div style='height: 5000px; background: linear-gradient(red, blue)'>",
    "wide": "<div style='width: 3000px; background: lime'>x",
    "quirks": "<table width=100%><tr><td>x</table>",
    "strict": "<!DOCTYPE html><table width=100%><tr><td>x</table>",
    "font": "<style>@font-face { font-family: Arial; src: url(http://x.invalid/f.woff2) }"
    "p { font-family: Arial }</style><p>x",
    "picture": "<img src=http://x.invalid/300x200.png>",
    "language": "<html lang=ja><p>直骨</p>",
    "dark": "<meta name=color-scheme content=dark><p>x",
    "form": "<input value=a name=b><textarea>x</textarea><input type=checkbox name=c>",
    "base": "<base target=_blank href=http://x.invalid/><a href=a>x</a>",
    "policy": "<meta http-equiv=Content-Security-Policy content=\"style-src 'none'\">"
    "<p style='color: red'>x",
    "refused": "<iframe src=http://x.invalid></iframe><p>x",
    "leaves": "<meta http-equiv=refresh content='0; url=http://x.invalid'><p>x",
    "zoom": "<style>html { zoom: 2 } </style><meta name=viewport content='width=300'><p>x",
    "layers": "<style>@layer a, b; @property --x { syntax: '<color>'; inherits: true; "
    "initial-value: red } @counter-style c { symbols: 'x' } ol { list-style: c; "
    "color: var(--x) }</style><ol><li>x",
    "empty": "",
}
SCRIPTED = {
    "storage": "const n = Number(localStorage.n || 0); localStorage.n = n + 1; "
    "document.body.append('stored ' + n)",
    "session": "sessionStorage.n = 1 + (sessionStorage.n || ''); "
    "document.body.append(sessionStorage.n)",
    "cookie": "document.body.append('cookie ' + document.cookie); document.cookie = 'a=b'",
    "name": "document.body.append('name ' + window.name); window.name = 'kept'",
    "history": "document.body.append('history ' + history.length); history.pushState(1, '', '#a')",
    "database": "indexedDB.open('a').onupgradeneeded = e => "
    "document.body.append('version ' + e.oldVersion)",
    "channel": "const c = new BroadcastChannel('a'); c.onmessage = e => document.body.append("
    "'heard'); c.postMessage('x')",
}


def seen(rendering: PageRendering) -> tuple[Any, ...]:
    assert rendering.status == "ok", rendering.error
    return rendering.png, rendering.blocks, rendering.width, rendering.height


def all_seen(
    renderer: PageRenderer, pages: dict[str, str], order: list[str]
) -> dict[str, tuple[Any, ...]]:
    return {name: seen(renderer.render(pages[name])) for name in order}


@pytest.fixture(scope="module")
def expected(started: Callable[..., PageRenderer]) -> dict[str, tuple[Any, ...]]:
    """Each page in a fresh context, in the order above."""
    return all_seen(started(), STILL, list(STILL))


ORDERS = [list(STILL)[::-1], random.Random(1).sample(list(STILL), len(STILL))]


@pytest.mark.parametrize("order", ORDERS, ids=["backwards", "shuffled"])
def test_any_order_gives_the_same_bytes(
    reused: PageRenderer, expected: dict[str, tuple[Any, ...]], order: list[str]
) -> None:
    """In a page that is used again."""
    assert all_seen(reused, STILL, order) == expected


def test_another_browser_gives_the_same_bytes(
    chromium: Path, expected: dict[str, tuple[Any, ...]]
) -> None:
    with PageRenderer(chromium, workers=1) as other:
        assert all_seen(other, STILL, list(STILL)[::-1]) == expected


def test_they_are_not_all_alike(expected: dict[str, tuple[Any, ...]]) -> None:
    """Otherwise the tests above could not fail."""
    assert len({png for png, *_ in expected.values()}) > len(STILL) / 2


@pytest.mark.usefixtures("lingering")
def test_scripts_find_nothing_of_each_other(scripted: PageRenderer) -> None:
    pages = {n: f"<body><p>x<script>{code}</script>" for n, code in SCRIPTED.items()}
    first = all_seen(scripted, pages, list(pages))
    assert all_seen(scripted, pages, list(pages)[::-1]) == first
    texts = [block.text for one in first.values() for block in one[1]]
    assert {"stored 0", "cookie", "name"} <= set(texts)


# --------------------------------------------------------------------------- what stands still

SPIN = "@keyframes k { from { transform: rotate(0); color: red } to { transform: rotate(90deg) } }"
GIF = (  # two frames, red and blue, for ever
    "data:image/gif;base64,R0lGODlhAQABAPABAP8AAAAA/yH/C05FVFNDQVBFMi4wAwEAAAAh+QQACgAAACwAAAAA"
    "AQABAAACAkQBACH5BAAKAAAALAAAAAABAAEAAAICTAEAOw=="
)
MOVING = {
    "animation": f"<style>{SPIN} p {{ animation: k 0.7s infinite alternate }}</style><p>x y z",
    "animation that ends": f"<style>{SPIN} p {{ animation: k 3s both }}</style><p>x y z",
    "delayed animation": f"<style>{SPIN} p {{ animation: k 1s 2s both }}</style><p>x y z",
    "pseudo": f"<style>{SPIN} p::before {{ content: 'x'; animation: k 1s infinite }}</style><p>y",
    "transition": "<style>@starting-style { p { opacity: 0; margin-left: 0 } } "
    "p { opacity: 1; margin-left: 300px; transition: all 4s }</style><p>x",
    "gif": f"<img src='{GIF}' width=100 height=100>",
    "background gif": f"<body style='background: url({GIF})'>",
    "smil": "<svg><circle r=9 cx=9 cy=9><animate attributeName=cx from=0 to=200 dur=1s "
    "repeatCount=indefinite /></circle></svg>",
    "svg picture": "<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
    "width='200' height='20'><circle r='9' cx='9' cy='9'><animate attributeName='cx' from='0' "
    "to='200' dur='1s' repeatCount='indefinite'/></circle></svg>\">",
    "marquee": "<marquee>moves</marquee><marquee direction=up behavior=alternate>moves</marquee>",
    "blink": "<blink>x</blink><p style='text-decoration: blink'>x",
    "caret": "<input autofocus><textarea autofocus>x</textarea><p contenteditable autofocus>x",
    "progress": "<progress></progress><progress value=0.3></progress><meter value=0.5></meter>",
    "video": "<video poster=p.png></video>",
    "dates": "<input type=date><input type=time><input type=datetime-local><input type=month>"
    "<input type=week>",
    "emoji": "<p>😀 👩‍👩‍👧 ❤️ 🇩🇪 ☃ ✔",
    "lazy": "<div style='height: 3000px'></div><img loading=lazy src=x/50x50.png width=50>",
    "timeline": f"<style>{SPIN} p {{ animation: k linear; animation-timeline: scroll() }}</style>"
    "<p>x<div style='height: 3000px'>",
    "view transition": "<style>@view-transition { navigation: auto }</style><p>x",
    "details": "<details open><summary>x</summary>y</details><dialog open>x</dialog>",
    "popover": "<p popover>x</p><select><option>x</select><datalist><option>x</datalist>",
    "spin": "<style>@keyframes s { to { rotate: 1turn } } i { display: inline-block; border: 9px "
    "solid; border-top-color: red; border-radius: 50%; width: 50px; height: 50px; "
    "animation: s 1s linear infinite }</style><i></i>",
}


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_stands_still(
    still: PageRenderer, reused: PageRenderer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whenever the picture is taken."""
    pictures: set[bytes | None] = set()
    for renderer, seconds in ((still, 0.0), (reused, 0.33), (still, 0.05), (reused, 0.0)):
        monkeypatch.setattr(page.Session, "seconds", seconds)
        pictures.add(seen(renderer.render(MOVING[name]))[0])
    assert len(pictures) == 1


def test_a_script_may_still_be_random(scripted: PageRenderer) -> None:
    """Nothing is promised of a page that asks for chance or for the time."""
    html = "<p><script>document.querySelector('p').append(Math.random())</script>"
    assert seen(scripted.render(html)) != seen(scripted.render(html))


# --------------------------------------------------------------------------------- tampering

TAMPERING = {
    "Array": "for (const k of Object.getOwnPropertyNames(Array.prototype)) "
    "try { Array.prototype[k] = () => { throw 1 } } catch {}",
    "Object": "Object.prototype.toJSON = () => { throw 1 }; "
    "Object.defineProperty(Object.prototype, 'then', {get() { throw 1 }}); "
    "Object.prototype.value = 'forged'",
    "animations": "document.getAnimations = () => { while (true); }",
    "Animation": "Animation.prototype.finish = () => { while (true); }",
    "sheets": "window.CSSStyleSheet = function () { throw 1 }; "
    "Object.defineProperty(document, 'adoptedStyleSheets', {get() { throw 1 }})",
    "fonts": "Object.defineProperty(document, 'fonts', "
    "{get() { return {ready: new Promise(() => {})} }})",
    "canvas": "window.OffscreenCanvas = function () { throw 1 }",
    "console": "for (const k in console) console[k] = () => { throw 1 }",
    "Promise": "Promise.prototype.then = () => { throw 1 }; window.Promise = null",
    "JSON": "JSON.parse = JSON.stringify = () => { throw 1 }",
    "document": "for (const k of ['querySelectorAll', 'documentElement', 'body']) "
    "Object.defineProperty(document, k, {get() { throw 1 }})",
    "names": "document.body.insertAdjacentHTML('beforeend', "
    "'<form id=fonts name=fonts></form><img name=getAnimations><img name=querySelectorAll>"
    "<img name=adoptedStyleSheets><p name=fonts>')",
    "size": "Object.defineProperty(window, 'innerHeight', {value: 9}); "
    "Object.defineProperty(document.documentElement, 'scrollHeight', {value: 9e9})",
}


@pytest.mark.parametrize("name", TAMPERING)
def test_a_script_cannot_forge_what_is_seen(scripted: PageRenderer, show: Show, name: str) -> None:
    html = (
        "<!DOCTYPE html><body><p style='color: oklch(0.5 0.2 30)'>true</p>"
        "<style>@keyframes k { to { opacity: 1 } } p { animation: k 1s }</style>"
    )
    expected = show(scripted, html)
    rendering = show(scripted, f"{html}<script>{TAMPERING[name]}</script>")
    assert rendering.blocks[0] == expected.blocks[0]
    assert rendering.png == expected.png


def test_without_scripts_names_forge_nothing(still: PageRenderer, show: Show) -> None:
    """An element's name hides a property of the document, scripts or none."""
    plain = show(still, "<!DOCTYPE html><p>true</p>")
    names = ("fonts", "getAnimations", "querySelectorAll", "adoptedStyleSheets", "body")
    traps = "".join(f"<img hidden name={name}><form hidden name={name}></form>" for name in names)
    assert show(still, f"<!DOCTYPE html><p>true</p>{traps}").png == plain.png


def test_what_changes_all_the_time_is_one_moment(scripted: PageRenderer, show: Show) -> None:
    """Texts and boxes are of the same moment."""
    html = (
        "<!DOCTYPE html><p id=p>0</p><script>let n = 0; setInterval(() => { n++; "
        "p.textContent = n % 2 ? 'wide'.repeat(20) : 'x' }, 1)</script>"
    )
    for _ in range(5):
        (block,) = show(scripted, html).blocks
        assert (block.width > 200) == (len(block.text) > 1)
