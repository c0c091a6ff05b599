"""One browser session: load a page without network, wait until it settles, close it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import secrets
import struct
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from rrvf.pictures import size_of_png
from rrvf.renderers import web_assets
from rrvf.renderers.browser import BrowserProcess
from rrvf.renderers.page_document import Document
from rrvf.renderers.page_snapshot import STYLES, LaidOutText, Texts, read_texts
from rrvf.renderers.page_visibility import (
    HIDE_ONLY,
    HIDE_TEXTS,
    MAX_LAYERS,
    find_change,
    find_layers,
    find_visible,
)
from rrvf.types import PageRendering

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page, Request, Route

ADDRESS = "http://page.invalid/"
"""Where every page stands, so that relative addresses mean something; nothing answers there."""

WORLD = "rrvf"
MAX_DENIED = 50
POLICY = (
    "default-src 'none'; style-src * data: 'unsafe-inline'; img-src * data: blob:; "
    "font-src * data:; frame-src 'none'; form-action 'none'; base-uri *"
)
SCRIPT_POLICY = "; script-src 'unsafe-inline' 'unsafe-eval'"

# Fonts are there; animations stand at their end, endless ones at their start; no bar runs to and
# fro; no caret blinks.
SETTLE = """(async () => {
  await document.fonts.ready;
  for (const animation of document.getAnimations()) {
    const end = animation.effect?.getComputedTiming().endTime;
    try { Number.isFinite(end) ? animation.finish() : animation.cancel(); } catch {}
  }
  for (const svg of document.querySelectorAll('svg')) {
    svg.pauseAnimations?.(); svg.setCurrentTime?.(0);
  }
  for (const bar of document.querySelectorAll('progress:indeterminate')) bar.value = 0;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('*, *::before, *::after { caret-color: transparent !important }');
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
})()"""

# Without scripts the browser would now show what it kept for that case.
KEEP_NOSCRIPT_AWAY = """(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('noscript { display: none !important }');
  const sheets = Reflect.get(Document.prototype, 'adoptedStyleSheets', document);
  Reflect.set(Document.prototype, 'adoptedStyleSheets', [...sheets, sheet], document);
})()"""

CONVERT = """(colors => {
  const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  return colors.map(color => {
    context.fillStyle = '#000'; context.fillStyle = color;
    context.clearRect(0, 0, 1, 1); context.fillRect(0, 0, 1, 1);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    return '#' + [r, g, b].map(n => n.toString(16).padStart(2, '0')).join('').toUpperCase();
  });
})"""


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What one page may use.

    Attributes:
        seconds: Time from the first byte to the picture, less what the browser had to wait for a
            processor; see :class:`rrvf.renderers.processes.OwnTime`.
        source: Bytes of HTML.
        width, height: Of the viewport, in CSS pixels.
        max_width, max_height: Of the picture; what lies beyond is cut off.
        memory: Bytes of the browser's processes together.
        pages: After so many the browser is replaced.
    """

    seconds: float = 10.0
    source: int = 5_000_000
    width: int = 1280
    height: int = 720
    max_width: int = 4096
    max_height: int = 16384
    memory: int = 2 * 2**30
    pages: int = 500


@dataclass(slots=True)
class _Tab:
    """A page that is ready to show documents."""

    context: BrowserContext
    page: Page
    cdp: CDPSession


class Session:
    """A running browser that shows one document after another.

    Args:
        process: The browser.
        limits: Size of the viewport and of the picture.
        assets: Files beside every page, by name.
        javascript: Whether the documents' own scripts run.
        reuse: Keep one page instead of a fresh context a document.
    """

    def __init__(
        self,
        process: BrowserProcess,
        limits: PageLimits,
        assets: Mapping[str, bytes],
        *,
        javascript: bool,
        reuse: bool,
    ) -> None:
        self.process = process
        self.n_shown = 0
        self._limits = limits
        self._files = {ADDRESS + name: content for name, content in assets.items()}
        self._javascript = javascript
        self._reuse = reuse
        self._tab: _Tab | None = None
        self._source = b""
        self._is_delivered = False
        self._denied_urls: dict[str, None] = {}

    async def show(self, document: Document) -> PageRendering:
        """Load a document and take its picture and its texts.

        Raises:
            playwright.async_api.Error: The browser or the page has crashed.
        """
        self._source, self._is_delivered, self._denied_urls = document.page, False, {}
        self.n_shown += 1
        async with self._borrow_tab() as tab:
            await tab.page.goto(ADDRESS, wait_until="load", timeout=0)
            return await self._take_rendering(tab)

    @contextlib.asynccontextmanager
    async def _borrow_tab(self) -> AsyncGenerator[_Tab]:
        if self._reuse:
            self._tab = self._tab or await self._open()
            yield self._tab
            await self._tab.context.clear_cookies()
            return
        tab = await self._open()
        yield tab
        # Nobody waits for the old context; a browser in trouble is replaced as a whole.
        await tab.context.close()

    async def _open(self) -> _Tab:
        limits = self._limits
        context = await self.process.browser.new_context(
            viewport={"width": limits.width, "height": limits.height},
            device_scale_factor=1,
            java_script_enabled=self._javascript,
            offline=True,
            service_workers="block",
            accept_downloads=False,
            reduced_motion="reduce",
            color_scheme="light",
            forced_colors="none",
            locale="en-US",
            timezone_id="UTC",
            permissions=[],
        )
        await context.route("**/*", self._answer)
        page = await context.new_page()
        if self._javascript:
            context.on("page", lambda popup: asyncio.ensure_future(popup.close()))
        cdp = await context.new_cdp_session(page)
        # Time stands still for all that moves by itself: a marquee is out of the settling's reach.
        await send_command(cdp, "Animation.enable")
        await send_command(cdp, "Animation.setPlaybackRate", {"playbackRate": 0})
        return _Tab(context, page, cdp)

    # ---------------------------------------------------------------------- requests

    async def _answer(self, route: Route) -> None:
        """The document once, stand-ins for pictures and Tailwind, and nothing else."""
        request = route.request
        if request.is_navigation_request():
            await self._answer_navigation(route, request)
            return
        content = self._files.get(request.url)
        if content is not None:
            await route.fulfill(status=200, body=content)
            return
        asset = web_assets.answer(request.url, request.resource_type)
        if asset is None:
            self._deny(request.url)
            await route.abort("blockedbyclient")
            return
        await route.fulfill(status=200, content_type=asset.content_type, body=asset.body)

    async def _answer_navigation(self, route: Route, request: Request) -> None:
        if self._is_delivered or request.url != ADDRESS:
            self._deny(request.url)
            await route.fulfill(status=204)  # an abort would show an error page instead
            return
        self._is_delivered = True
        policy = POLICY + (SCRIPT_POLICY if self._javascript else "")
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
        }
        await route.fulfill(status=200, headers=headers, body=self._source)

    def _deny(self, url: str) -> None:
        if len(self._denied_urls) < MAX_DENIED:
            self._denied_urls[url[:200]] = None

    # ----------------------------------------------------------------------- taking

    async def _take_rendering(self, tab: _Tab) -> PageRendering:
        cdp = tab.cdp
        world = await make_world(cdp)
        await evaluate(cdp, world, SETTLE)
        if self._javascript:  # what follows is of one moment; this context is not used again
            await evaluate(cdp, world, KEEP_NOSCRIPT_AWAY)
            await send_command(cdp, "Emulation.setScriptExecutionDisabled", {"value": True})
        content = (await send_command(cdp, "Page.getLayoutMetrics"))["cssContentSize"]
        limits = self._limits
        width = max(1, min(limits.max_width, round(content["width"])))
        height = max(1, min(limits.max_height, round(content["height"])))
        snapshot = await send_command(
            cdp, "DOMSnapshot.captureSnapshot", {"computedStyles": STYLES}
        )
        png = await take_picture(cdp, width, height)
        texts = read_texts(snapshot, width, height)
        if texts.blocks:
            texts = await keep_visible(cdp, world, texts, png)
        return PageRendering(
            status="ok",
            png=png,
            width=width,
            height=height,
            clipped=content["height"] > height or content["width"] > width,
            blocks=texts.to_blocks(await self._convert_colors(cdp, world, texts)),
            denied=tuple(sorted(self._denied_urls)),
        )

    async def _convert_colors(self, cdp: CDPSession, world: int, texts: Texts) -> dict[str, str]:
        """Colours in other spaces than sRGB, as the browser paints them."""
        unusual_colors = texts.list_unusual_colors()
        if not unusual_colors:
            return {}
        colors = await evaluate(cdp, world, f"{CONVERT}({json.dumps(unusual_colors)})")
        return dict(zip(unusual_colors, colors, strict=True))


async def take_picture(cdp: CDPSession, width: int, height: int) -> bytes:
    """The upper left part of the page, of that size in pixels, as PNG."""
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    options = {"clip": clip, "captureBeyondViewport": True, "optimizeForSpeed": True}
    reply = await send_command(cdp, "Page.captureScreenshot", {"format": "png", **options})
    return require_png(base64.b64decode(reply["data"]), width, height)


async def make_world(cdp: CDPSession) -> int:
    """A JavaScript world that the document's own scripts cannot reach into."""
    frame = (await send_command(cdp, "Page.getFrameTree"))["frameTree"]["frame"]["id"]
    world = {"frameId": frame, "worldName": WORLD}
    reply = await send_command(cdp, "Page.createIsolatedWorld", world)
    return reply["executionContextId"]


async def keep_visible(cdp: CDPSession, world: int, texts: Texts, png: bytes) -> Texts:
    """Those that can be seen; where texts lie upon each other, each is looked at by itself.

    The page is of no use afterwards.

    Args:
        cdp: The page.
        world: From :func:`make_world`.
        texts: As they are laid out.
        png: The page as it is.
    """
    size, name = size_of_png(png), f"rrvf-{secrets.token_hex(8)}"
    if await evaluate(cdp, world, f"{HIDE_TEXTS}('{name}')") is not True:
        raise RuntimeError("the texts of the page cannot be made transparent")
    bare_png = await take_picture(cdp, *size)
    blocks, layers = await asyncio.to_thread(_look_at_all, texts.blocks, png, bare_png)
    if not layers:
        return Texts(blocks)
    shown = [True] * len(blocks)
    await _hide_only(cdp, world, name, [])
    png = await take_picture(cdp, *size)
    for number, layer in enumerate(layers):
        layer_texts = [blocks[place] for place in layer]
        visible = [False] * len(layer)
        if number < MAX_LAYERS:
            await _hide_only(cdp, world, name, layer_texts)
            bare_png = await take_picture(cdp, *size)
            visible = await asyncio.to_thread(_look_at, layer_texts, png, bare_png)
        for place, is_visible in zip(layer, visible, strict=True):
            shown[place] = is_visible
    return Texts(tuple(itertools.compress(blocks, shown)))


def _look_at(texts: Sequence[LaidOutText], png: bytes, bare_png: bytes) -> list[bool]:
    return find_visible(texts, find_change(png, bare_png))


def _look_at_all(
    texts: Sequence[LaidOutText], png: bytes, bare_png: bytes
) -> tuple[tuple[LaidOutText, ...], list[list[int]]]:
    """Texts that can be seen, and which of these must be looked at by themselves."""
    change = find_change(png, bare_png)
    visible = tuple(itertools.compress(texts, find_visible(texts, change)))
    return visible, find_layers(visible, change)


async def _hide_only(cdp: CDPSession, world: int, name: str, texts: Sequence[LaidOutText]) -> None:
    """Have the highlight of that name hide these texts and no others."""
    nodes: list[dict[str, Any]] = []
    for text in texts:
        reply = await send_command(
            cdp, "DOM.resolveNode", {"backendNodeId": text.node, "executionContextId": world}
        )
        nodes.append({"objectId": reply["object"]["objectId"]})
    await send_command(
        cdp,
        "Runtime.callFunctionOn",
        {
            "functionDeclaration": HIDE_ONLY,
            "executionContextId": world,
            "arguments": [{"value": name}, *nodes],
        },
    )


async def send_command(
    cdp: CDPSession, method: str, parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A command to the page, below Playwright."""
    return await cast("Any", cdp).send(method, parameters)


async def evaluate(cdp: CDPSession, world: int, expression: str) -> Any:
    """The value of an expression in a world of :func:`make_world`."""
    reply = await send_command(
        cdp,
        "Runtime.evaluate",
        {
            "expression": expression,
            "contextId": world,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    return reply["result"].get("value")


def require_png(data: bytes, width: int, height: int) -> bytes:
    """The data, if it is a PNG of that size.

    Raises:
        ValueError: It is not.
    """
    header = struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height)
    if not data.startswith(header):
        raise ValueError("the browser's picture has another size than it was asked for")
    return data
