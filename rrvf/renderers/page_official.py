"""Pages as Design2Code's scorer shows them: three pictures each, texts found by their colours.

Source: Design2Code (https://github.com/NoviScl/Design2Code, commit 7a575e4,
``metrics/screenshot_single.py``): Playwright's default window, scripts on, the whole page,
animations at their end. Their code starts a browser for each picture and leaves the network on.
Here one browser shows all pages, each in its own context, and only files of the data folder are
served.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from rrvf.pictures import size_of_png
from rrvf.renderers.browser import BrowserProcess
from rrvf.renderers.page_document import Document
from rrvf.renderers.page_pixels import find_blocks
from rrvf.renderers.page_remarks import list_remarks
from rrvf.renderers.page_session import (
    PageLimits,
    Session,
    keep_visible,
    make_world,
    send_command,
)
from rrvf.renderers.page_snapshot import STYLES, read_texts
from rrvf.types import PageRendering

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

FOLDER = "file:///page/"
"""Where a page and the files of its data folder stand; nothing is read from there."""
ADDRESS = f"{FOLDER}page.html"
N_PICTURES = 3
MAX_PIXELS = 128 * 2**20
"""Of a picture."""
TOO_LARGE = f"the page is larger than {MAX_PIXELS // 10**6} million pixels"
POLICY = (
    "default-src * data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'none'; "
    "worker-src 'none'; form-action 'none'"
)
"""What layout cannot depend on is closed once more."""


class OfficialSession(Session):
    """A running browser that shows one page after another, three times each.

    Args:
        process: The browser.
        limits: Size of the viewport.
        assets: Files beside every page, by name.
    """

    def __init__(
        self, process: BrowserProcess, limits: PageLimits, assets: Mapping[str, bytes]
    ) -> None:
        super().__init__(process, limits, assets, javascript=True, reuse=False)
        self._files = {FOLDER + name: content for name, content in assets.items()}

    async def show(self, document: Document) -> PageRendering:
        """Take the page's three pictures and find its blocks.

        Raises:
            playwright.async_api.Error: The browser or the page has crashed.
        """
        self._denied_urls = {}
        self.n_shown += 1
        pngs: list[bytes] = []
        visible_texts: list[str] = []
        for source in (document.page, document.first, document.second):
            async with self._open_page() as page:
                png = await self._photograph(page, source)
                if png is None:
                    return PageRendering("code_error", TOO_LARGE)
                if not pngs:
                    visible_texts = await _read_visible_texts(page, png)
            pngs.append(png)
        blocks = await asyncio.to_thread(find_blocks, pngs[0], pngs[1], pngs[2], document.texts)
        width, height = size_of_png(pngs[0])
        remarks = list_remarks(visible_texts, blocks, width * height)
        return PageRendering(
            "ok",
            png=pngs[0],
            width=width,
            height=height,
            blocks=blocks,
            denied=tuple(sorted(self._denied_urls)),
            mode="official",
            remarks=(*document.remarks, *remarks),
        )

    async def _photograph(self, page: Page, source: bytes) -> bytes | None:
        """The whole page; ``None`` where it is too large."""
        self._source, self._is_delivered = source, False
        await page.goto(ADDRESS, wait_until="load", timeout=0)
        cdp = await page.context.new_cdp_session(page)
        size = (await send_command(cdp, "Page.getLayoutMetrics"))["cssContentSize"]
        if size["width"] * size["height"] > MAX_PIXELS:
            return None
        return await _take_screenshot(page)

    @contextlib.asynccontextmanager
    async def _open_page(self) -> AsyncGenerator[Page]:
        """A page in a context of its own; a browser in trouble is replaced as a whole."""
        context = await self.process.browser.new_context(
            viewport={"width": self._limits.width, "height": self._limits.height},
            offline=True,
            service_workers="block",
            accept_downloads=False,
        )
        await context.route("**/*", self._answer)
        page = await context.new_page()
        context.on("page", lambda popup: asyncio.ensure_future(popup.close()))
        yield page
        await context.close()

    async def _answer(self, route: Route) -> None:
        """The document once, the files beside it, and nothing else."""
        url = route.request.url
        if url == ADDRESS and route.request.is_navigation_request() and not self._is_delivered:
            self._is_delivered = True
            headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
            await route.fulfill(status=200, headers=headers, body=self._source)
            return
        content = self._files.get(re.split(r"[?#]", url, maxsplit=1)[0])
        if content is None:
            self._deny(url)
            await route.abort("blockedbyclient")
            return
        await route.fulfill(status=200, body=content)


async def _take_screenshot(page: Page) -> bytes:
    return await page.screenshot(full_page=True, animations="disabled", timeout=0)


async def _read_visible_texts(page: Page, png: bytes) -> list[str]:
    """What can be read on a page that has been photographed; it is of no use afterwards."""
    cdp = await page.context.new_cdp_session(page)
    world = await make_world(cdp)
    snapshot = await send_command(cdp, "DOMSnapshot.captureSnapshot", {"computedStyles": STYLES})
    texts = read_texts(snapshot, *size_of_png(png))
    if not texts.blocks:
        return []
    visible_texts = await keep_visible(cdp, world, texts, png)
    return [block.text for block in visible_texts.blocks]
