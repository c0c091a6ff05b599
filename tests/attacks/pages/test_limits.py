"""Exhaustion: a page that takes too much fails by its own fault, and the next one is served."""

from __future__ import annotations

import base64
import contextlib
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rrvf.renderers.page import PageLimits, PageRenderer, descendants
from rrvf.types import PageRendering

Show = Callable[[PageRenderer, str], PageRendering]
Pid = Callable[[PageRenderer], int]
Gone = Callable[[int], bool]
Kill = Callable[[int], None]

TIGHT = PageLimits(seconds=3, memory=2**30)
PATIENT = PageLimits(seconds=60)
NEXT = "<body style='margin: 0; background: #102030'><p style='color: #FFFFFF'>next"
SOON = 30.0
"""Seconds in which the next page is there on the slowest machine; it takes one or two."""


@pytest.fixture(params=["fresh", "reused"])
def tight(
    request: pytest.FixtureRequest, started: Callable[..., PageRenderer]
) -> Iterator[PageRenderer]:
    """Short of time and memory; serves the next page, whatever has been shown before."""
    renderer = started(limits=TIGHT, reuse_pages=request.param == "reused")
    before = renderer.render(NEXT)
    yield renderer
    start = time.monotonic()
    after = renderer.render(NEXT)
    assert time.monotonic() - start < SOON
    assert (after.status, after.png, after.blocks) == ("ok", before.png, before.blocks)


@pytest.fixture
def tight_scripted(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """Likewise, with scripts."""
    renderer = started(limits=TIGHT, javascript=True)
    before = renderer.render(NEXT)
    yield renderer
    after = renderer.render(NEXT)
    assert (after.status, after.png, after.blocks) == ("ok", before.png, before.blocks)


def picture_bomb(side: int) -> str:
    """A PNG of ``side`` squared black and white pixels, as an address."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    line = bytes(1 + (side + 7) // 8)
    data = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def uses(depth: int, fan: int) -> str:
    """An SVG whose groups use each other: ``fan ** depth`` rectangles."""
    groups = (
        f"<g id=a{level}>{f'<use href=#a{level - 1} x=1 />' * fan}</g>"
        for level in range(1, depth + 1)
    )
    first = "<g id=a0><rect width=9 height=9 /></g>"
    return f"<svg><defs>{first}{''.join(groups)}</defs><use href=#a{depth} /></svg>"


LARGE = {
    "high": "<div style='height: 1000000px; background: red'>x",
    "wide": "<div style='width: 1000000px; height: 9px; background: red'>x",
    "endless": "<div style='width: 1e38px; height: 1e38px; background: red'>x",
    "a word": "<p>" + "x" * 1_000_000,
    "a colspan": "<table>" + "<tr><td colspan=1000 rowspan=65534>x" * 500,
    "a grid": "<div style='display: grid; grid: repeat(9999, 1px) / repeat(9999, 1px)'>"
    "<p style='grid-area: 9999 / 9999'>x",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_page_is_cut_off(started: Any, show: Show, name: str) -> None:
    rendering = show(started(limits=PATIENT), LARGE[name])
    assert rendering.clipped
    assert rendering.width <= TIGHT.max_width
    assert rendering.height <= TIGHT.max_height
    for block in rendering.blocks:
        assert block.x + block.width <= rendering.width
        assert block.y + block.height <= rendering.height


BOMBS = {
    "nested elements": "<div>" * 100_000 + "x",
    "siblings": "<i></i>" * 700_000,
    "svg use": uses(12, 10),
    "svg filter": "<svg width=4000 height=4000><filter id=f x=-9 y=-9 width=50 height=50>"
    + "<feTurbulence numOctaves=99 baseFrequency=.9 /><feMorphology radius=200 />" * 20
    + "</filter><rect width=4000 height=4000 filter=url(#f) />",
    "blur": "<div style='filter: blur(99px); width: 4000px; height: 9000px'>" * 60 + "x",
    "shadows": f"<p style='text-shadow: {','.join(['0 0 999px red'] * 1000)}'>x {'y ' * 2000}",
    "combining letters": "<p>x" + "\u0301" * 100_000,
    "masks": "<style>p { mask: linear-gradient(red, transparent); mix-blend-mode: difference;"
    "width: 4000px; height: 4000px; position: absolute }</style>" + "<p>x</p>" * 300,
}
HARMLESS = {
    "shadow": f"<p style='box-shadow: {','.join(['0 0 9999px 9999px red'] * 1000)}'>x",
    "a picture": f"<img src='{picture_bomb(30_000)}'><p>x",
    "frames": "<iframe srcdoc='<iframe srcdoc=x></iframe>'></iframe>" * 50,
    "animations": "<style>@keyframes k { to { transform: rotate(1turn) } }"
    "p { animation: k 1s infinite }</style>" + "<p>x" * 500,
    "selectors": "<style>"
    + "".join(f":not(:has(.a{i} .b{i})) ~ * .c{i} {{ color: red }}" for i in range(1000))
    + "</style>"
    + "<div><p>x</p>" * 1000,
    "variables": "<style>:root { --a0: xxxxxxxxxx;"
    + "".join(f"--a{i}: {f'var(--a{i - 1})' * 10};" for i in range(1, 12))
    + "} p { color: var(--a11) }</style><p>x",
    "brackets": f"<p style='width: {'calc(' * 20_000}1px{')' * 20_000}'>x",
    "bidirectional": "<p>" + "\u202e\u202d" * 100_000 + "x",
    "layers": "<style>p { will-change: transform; width: 999px; height: 999px }</style>"
    + "<p>x" * 10,
    "nested tables": "<table><tr><td>" * 500 + "x",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_fails_by_its_own_fault(started: Any, name: str) -> None:
    renderer = started(limits=TIGHT)
    rendering = renderer.render(BOMBS[name])
    assert rendering.status in ("timeout", "out_of_memory")
    assert rendering.error is not None
    assert rendering.png is None
    start = time.monotonic()
    assert renderer.render(NEXT).status == "ok"
    assert time.monotonic() - start < SOON


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_dangerous_is_shown(started: Any, name: str) -> None:
    renderer = started(limits=PATIENT)
    assert renderer.render(HARMLESS[name]).status == "ok"


# ------------------------------------------------------------------------------------ scripts

ENDLESS = {
    "a loop": "while (true);",
    "an expression": "/(a|aa)+$/.test('a'.repeat(99) + 'b')",
    "memory": "const a = []; while (true) a.push(new Uint8Array(1e7).fill(1));",
    "microtasks": "(function f() { Promise.resolve().then(f) })()",
    "reload": "location.reload()",
    "stop": "stop()",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_script_fails_by_its_own_fault(tight_scripted: Any, name: str) -> None:
    rendering = tight_scripted.render(f"<body><p>x<script>{ENDLESS[name]}</script>")
    assert rendering.status in ("timeout", "out_of_memory", "code_error")
    assert rendering.error is not None


ANNOYING = {
    "alert": "for (let i = 0; i < 100; i++) alert(i)",
    "confirm": "confirm('?'); prompt('?'); print()",
    "beforeunload": "addEventListener('beforeunload', e => { e.preventDefault(); return 'stay' })",
    "beforeunload loop": "onbeforeunload = onpagehide = onunload = () => { alert(1); "
    "for (const end = Date.now() + 1e5; Date.now() < end;); }",
    "windows": "for (let i = 0; i < 20; i++) open('about:blank')",
    "timers": "setInterval(() => document.body.append('x'), 0)",
    "frames": "function f() { requestAnimationFrame(f); document.body.append('x') } f()",
    "history": "for (let i = 0; i < 500; i++) history.pushState(i, '', '#' + i)",
    "full screen": "document.body.requestFullscreen(); navigator.wakeLock?.request()",
    "console": "for (let i = 0; i < 1000; i++) console.log('x'.repeat(999), document)",
    "errors": "for (let i = 0; i < 500; i++) setTimeout(() => { throw new Error('x') })",
    "close": "close()",
    "debugger": "debugger",
}


@pytest.mark.parametrize("name", ANNOYING)
def test_an_annoying_script_is_shown(scripted: PageRenderer, show: Show, name: str) -> None:
    rendering = show(scripted, f"<body><p>first<script>{ANNOYING[name]}</script>")
    assert rendering.blocks[0].text == "first"


# ------------------------------------------------------------------------------------- source


def test_a_source_of_the_largest_size(started: Any, show: Show) -> None:
    html = "<p>x</p><!--".ljust(PATIENT.source - 3, "x") + "-->"
    assert len(html) == PATIENT.source
    assert show(started(limits=PATIENT), html).blocks[0].text == "x"


@pytest.mark.parametrize("html", ["x" * (PATIENT.source + 1), "ü" * (PATIENT.source // 2 + 1)])
def test_a_larger_source_is_refused(started: Any, html: str) -> None:
    """Bytes count, not letters."""
    rendering = started(limits=PATIENT).render(html)
    assert rendering.status == "code_error"
    assert "5 MB" in (rendering.error or "")


# ------------------------------------------------------------------------------------ crashes

SLOW = (
    "<style>p { text-shadow: 0 0 999px red"
    + ",0 0 999px red" * 999
    + "}</style><p>x "
    + "y " * 9999
)


def killed_while_showing(
    renderer: PageRenderer, victims: Callable[[], list[int]], kill: Kill
) -> PageRendering:
    """What becomes of a slow page of which some processes are killed."""
    with ThreadPoolExecutor(1) as pool:
        showing = pool.submit(renderer.render, SLOW)
        time.sleep(1)  # it works on the page for much longer
        assert not showing.done()
        for pid in victims():
            kill(pid)
        return showing.result()


def commands(pids: list[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


@pytest.mark.parametrize("victim", ["browser", "renderer", "zygote", "gpu-process"])
def test_a_killed_process_ends_one_page_alone(
    tight: PageRenderer, browser_pid: Pid, kill: Kill, victim: str
) -> None:
    root = browser_pid(tight)

    def victims() -> list[int]:
        if victim == "browser":
            return [root, *descendants(root)]
        found = commands(descendants(root))
        return [pid for pid, command in found.items() if f"--type={victim}" in command]

    rendering = killed_while_showing(tight, victims, kill)
    assert rendering.status in ("code_error", "timeout", "ok")
    assert "Traceback" not in (rendering.error or "")


def test_a_killed_driver_is_replaced(tight: PageRenderer, browser_pid: Pid, kill: Kill) -> None:
    """Playwright's own process."""
    stat = Path(f"/proc/{browser_pid(tight)}/stat").read_text()
    driver = int(stat.rpartition(")")[2].split()[1])
    rendering = killed_while_showing(tight, lambda: [driver], kill)
    assert rendering.status in ("code_error", "timeout")
    assert tight.render(NEXT).status == "ok"


def test_a_browser_killed_between_two_pages(
    tight: PageRenderer, browser_pid: Pid, kill: Kill, eventually: Callable[..., bool], gone: Gone
) -> None:
    for _ in range(2):
        assert tight.render(NEXT).status == "ok"
        root = browser_pid(tight)
        family = [root, *descendants(root)]  # the root may be a shell that waits for the browser
        for pid in family:
            kill(pid)
        assert eventually(lambda family=family: all(gone(pid) for pid in family))
        assert tight.render(NEXT).status == "ok"
        assert browser_pid(tight) not in family


def test_a_worn_browser_is_replaced(started: Any, browser_pid: Pid, gone: Gone) -> None:
    renderer = started(limits=PageLimits(pages=3))
    first = browser_pid(renderer)
    pictures = {renderer.render(NEXT).png for _ in range(3)}
    assert browser_pid(renderer) == first
    pictures.add(renderer.render(NEXT).png)
    assert browser_pid(renderer) != first
    assert gone(first)
    assert len(pictures) == 1
