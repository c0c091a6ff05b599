"""Figures: an unchanged script, whose current figure is drawn for it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from rrvf.kinds.chart import open_renderer, renderer_environment, renderer_protocol
from rrvf.kinds.kind import Drawn, Kind, RendererOptions, Script
from rrvf.pictures import read_png
from rrvf.renderers.chart import ChartRenderer
from rrvf.renderers.glyphs import Medium
from rrvf.replies import all_python_blocks
from rrvf.scorers.figures import FIGURE_SCORERS
from rrvf.scorers.scorer import Scorer
from rrvf.types import FigureRendering, Language, Pictures, Sample, Status


@dataclass(frozen=True, slots=True)
class FigureKind(Kind):
    """Draws figures."""

    renderer: ChartRenderer

    language: ClassVar[Language] = "python"
    medium: ClassVar[Medium] = "chart"
    no_code: ClassVar[str] = "the answer is empty"
    SCORERS: ClassVar[Mapping[str, Scorer]] = FIGURE_SCORERS

    @classmethod
    @contextmanager
    def open(cls, options: RendererOptions) -> Generator[FigureKind]:
        """The kind with its renderer, which runs as long as the context lasts."""
        with open_renderer(options) as renderer:
            yield cls(renderer)

    @staticmethod
    def read_script(completion: str) -> str | None:
        """All blocks of Python; the reply itself where it holds none."""
        code = all_python_blocks(completion)
        return code if code.strip() else None

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute a script."""
        return _to_drawn(self.renderer.render_figure(self.code_of(script)))

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """The reference; the data set's own picture of it, where there is one, goes first."""
        own_png = read_png(sample.image)
        if sample.reference_code is None:
            return Drawn("ok", png=own_png, judge_png=own_png)
        rendering = _to_drawn(self.renderer.render_figure_reference(sample.reference_code))
        picture = own_png or (rendering.png if rendering.status == "ok" else None)
        return Drawn(
            rendering.status,
            rendering.error,
            picture,
            picture,
            view=rendering.view,
            texts=rendering.texts,
        )

    def fail(self, status: Status, error: str) -> Drawn:
        """As if some code had come to this."""
        return Drawn(status, error, view=FigureRendering(status, error))

    def protocol(self) -> Mapping[str, Any]:
        """Limit, and a hash of the recorder's source."""
        return renderer_protocol(self.renderer)

    def environment(self) -> Mapping[str, Any]:
        """Versions of the plotting packages, fonts, confinement."""
        return renderer_environment(self.renderer)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()


def _to_drawn(figure: FigureRendering) -> Drawn:
    return Drawn(
        figure.status,
        figure.error,
        figure.png,
        figure.png,
        figure.seconds,
        figure,
        texts=tuple(text.text for text in figure.texts),
    )
