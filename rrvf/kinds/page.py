"""Pages: HTML rendered by a browser."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from rrvf.errors import HarnessError
from rrvf.kinds.kind import Drawn, Kind, Reference, RendererOptions, Script
from rrvf.page_replies import extract_html
from rrvf.pictures import read_png, size_of_png
from rrvf.renderers.browser import DRAWING_ARGUMENTS
from rrvf.renderers.glyphs import Medium
from rrvf.renderers.memo import MOST_BYTES
from rrvf.scorers.pages import PAGE_SCORERS
from rrvf.scorers.scorer import Scorer
from rrvf.types import Language, PageRendering, Pictures, Sample, Status

if TYPE_CHECKING:  # asyncio and the means of the network; who scores charts has no use for them
    from rrvf.renderers.page import PageRenderer

NO_TAILWIND = (
    "pages that ask for Tailwind stay bare, on both sides; to install it: rrvf setup-browser"
)

PLACEHOLDER = "rick.jpg"
"""What answers show in a picture's place, as the official prompts tell them to."""
PLACEHOLDER_SIZE = (1920, 1080)
NO_PLACEHOLDER = (
    f"the data holds no {PLACEHOLDER}: an even grey picture of 1920 x 1080 stands in its place, on "
    f"both sides; the official one lies in the authors' folder of pages"
)


@dataclass(frozen=True, slots=True)
class PageKind(Kind):
    """Shows pages.

    Attributes:
        renderer: Where they are shown.
        reference: Compare with the rendering of the reference's ``html``, or with the data set's
            own ``image``.
    """

    renderer: PageRenderer
    reference: Reference = "html"

    language: ClassVar[Language] = "html"
    medium: ClassVar[Medium] = "page"
    no_code: ClassVar[str] = "no HTML in the answer"
    SCORERS: ClassVar[Mapping[str, Scorer]] = PAGE_SCORERS

    @classmethod
    @contextmanager
    def open(cls, options: RendererOptions) -> Generator[PageKind]:
        """The kind with its browser, which runs as long as the context lasts."""
        from rrvf.renderers.page import PageLimits, PageRenderer

        with PageRenderer(
            options.browser,
            options.workers,
            PageLimits(seconds=options.seconds or PageLimits().seconds),
            javascript=options.javascript,
            reuse_pages=options.reuse_pages,
            confinement=options.confinement,
            memo_bytes=MOST_BYTES,
            mode=options.mode or "fixed",
            assets=_complete_assets(options),
        ) as renderer:
            yield cls(renderer, options.reference)

    @staticmethod
    def read_script(completion: str) -> str | None:
        """The last page in a reply."""
        return extract_html(completion)

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Show a page."""
        return _to_drawn(self.renderer.render(self.code_of(script)))

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """The reference's page, or its picture with the texts of that page."""
        rendering = None
        if sample.reference_code is not None:
            rendering = self.renderer.render_reference(sample.reference_code)
        if self.reference == "html":
            if rendering is None:
                raise HarnessError(f"the sample {sample.id} has no reference HTML")
            return _to_drawn(rendering)
        png = read_png(sample.image)
        if png is None:
            raise HarnessError(f"the sample {sample.id} has no picture of its own")
        width, height = size_of_png(png)
        blocks = rendering.blocks if rendering is not None else ()
        return _to_drawn(PageRendering("ok", png=png, width=width, height=height, blocks=blocks))

    def fail(self, status: Status, error: str) -> Drawn:
        """As if some page had come to this."""
        return _to_drawn(PageRendering(status, error))

    def protocol(self) -> Mapping[str, Any]:
        """What it is compared with, window, limits, and a hash of the renderer's source."""
        from rrvf.renderers.page import source_hash

        limits = self.renderer.limits
        return {
            "reference": self.reference,
            "viewport": f"{limits.width}x{limits.height}",
            "max_height": limits.max_height,
            "seconds": limits.seconds,
            "javascript": self.renderer.environment["javascript"],
            "renderer": source_hash(self.renderer.mode),
            **self._describe_mode(),
        }

    def _describe_mode(self) -> Mapping[str, Any]:
        """What of the data pages show, and the official rules with what they depend on."""
        hashes = [f"{name} {value}" for name, value in self.renderer.asset_hashes.items()]
        assets = {"assets": hashes} if hashes else {}
        if self.renderer.mode == "fixed":
            return assets
        return {"mode": "official", "flags": list(DRAWING_ARGUMENTS["official"]), **assets}

    def environment(self) -> Mapping[str, Any]:
        """Browser, fonts, confinement."""
        return {
            name: value for name, value in self.renderer.environment.items() if name != "javascript"
        }

    def lacks(self) -> Sequence[str]:
        """Tailwind, which pages of v0.2 ask for; officially, the placeholder's picture."""
        if self.renderer.mode == "official":
            is_ours = self.renderer.assets[PLACEHOLDER] == _make_placeholder()
            return (NO_PLACEHOLDER,) if is_ours else ()
        return () if self.renderer.environment["tailwind"] else (NO_TAILWIND,)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()


def _complete_assets(options: RendererOptions) -> Mapping[str, bytes]:
    """The data's files; officially every page finds a placeholder."""
    assets = dict(options.assets or {})
    if options.mode == "official":
        assets.setdefault(PLACEHOLDER, _make_placeholder())
    return assets


@cache
def _make_placeholder() -> bytes:
    from rrvf.renderers.web_assets import GREY

    file = io.BytesIO()
    Image.new("RGB", PLACEHOLDER_SIZE, GREY).save(file, "PNG")
    return file.getvalue()


def _to_drawn(page: PageRendering) -> Drawn:
    return Drawn(
        page.status,
        page.error,
        page.png,
        page.png,
        page.seconds,
        page,
        texts=tuple(block.text for block in page.blocks),
    )
