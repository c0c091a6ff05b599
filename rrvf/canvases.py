"""Where the code of a tool call is drawn: as the benchmark draws what it scores.

What a policy is shown of its own code is what would be scored if it answered with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rrvf.benchmarks import chartmimic_rules, websight
from rrvf.errors import HarnessError
from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.renderers.page import PageRenderer
from rrvf.replies import all_python_blocks
from rrvf.scorers.scorer import no_target
from rrvf.scoring import NO_PICTURE, Scoring, as_png
from rrvf.scoring.charts import NO_BLOCK, ChartScoring, executed_modes
from rrvf.scoring.pages import NO_HTML, PageScoring
from rrvf.scoring.plots import PlotScoring
from rrvf.types import Code, FigureRendering, Language, Mode, PageRendering, Sample, Status


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of some code.

    Attributes:
        status: ``ok`` where there is a picture.
        error: One line, paths removed.
        png: The picture.
        seconds: Wall time.
    """

    status: Status
    error: str | None = None
    png: bytes | None = None
    seconds: float = 0.0


class Canvas(Protocol):
    """Draws one kind of code; may be used from many threads at once."""

    @property
    def language(self) -> Language:
        """What the code is written in."""
        ...

    def target(self, sample: Sample) -> bytes:
        """The picture to reproduce, as PNG: the data set's own, else the reference's rendering.

        Raises:
            HarnessError: There is none.
        """
        ...

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Draw code for a sample; its reference is only used where it completes the code.

        Raises:
            HarnessError: The failure is ours.
        """
        ...


def canvas_of(scoring: Scoring) -> Canvas:
    """The canvas that draws as ``scoring`` does, with the same renderer.

    Raises:
        TypeError: It is of an unknown kind.
    """
    if isinstance(scoring, ChartScoring):
        return ChartCanvas(scoring.renderer, scoring.mode, scoring.shows_pdf())
    if isinstance(scoring, PlotScoring):
        return PlotCanvas(scoring.renderer)
    if isinstance(scoring, PageScoring):
        return PageCanvas(scoring.renderer)
    raise TypeError(f"no canvas for {type(scoring).__name__}")


@dataclass(frozen=True, slots=True)
class ChartCanvas:
    """Draws as ChartMimic does.

    Attributes:
        renderer: Where scripts are drawn; one that remembers executes each of them once.
        mode: As in scoring.
        judged: A judge will see the pictures, through their PDF.
        language: Of the code.
    """

    renderer: ChartRenderer
    mode: Mode = "official"
    judged: bool = False
    language: Language = "python"

    def target(self, sample: Sample) -> bytes:
        """The chart."""
        png = as_png(sample.image)
        if png is not None:
            return png
        reference = self.renderer.render_reference(_reference(sample), judge=self.judged)
        if reference.png is None:
            raise HarnessError(no_target(reference.drawing(self.mode).error))
        return reference.png

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Execute a script; a customized one gets its data first."""
        script = chartmimic_rules.script_for(sample, Code(code))
        if script is None:
            return Drawn("no_code", NO_BLOCK)
        return self.draw_script(script)

    def draw_script(self, script: ChartScript) -> Drawn:
        """Execute a script that was read from a whole answer.

        Raises:
            HarnessError: The failure is ours.
        """
        modes = executed_modes(self.mode)
        rendering = self.renderer.render(script, modes=modes, judge=self.judged)
        drawing = rendering.drawing(self.mode)
        return _drawn(drawing.status, drawing.error, rendering.png, rendering.seconds)


@dataclass(frozen=True, slots=True)
class PlotCanvas:
    """Draws as Plot2Code does."""

    renderer: ChartRenderer
    language: Language = "python"

    def target(self, sample: Sample) -> bytes:
        """The plot."""
        png = as_png(sample.image)
        return png or _shown(self.renderer.render_figure_reference(_reference(sample)))

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Execute a script as it stands."""
        figure = self.renderer.render_figure(all_python_blocks(Code(code)))
        return _drawn(figure.status, figure.error, figure.png, figure.seconds)


@dataclass(frozen=True, slots=True)
class PageCanvas:
    """Shows pages as WebSight's scoring does."""

    renderer: PageRenderer
    language: Language = "html"

    def target(self, sample: Sample) -> bytes:
        """The page."""
        png = as_png(sample.image)
        return png or _shown(self.renderer.render_reference(_reference(sample)))

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Show a page."""
        html = websight.extract_html(Code(code))
        if html is None:
            return Drawn("no_code", NO_HTML)
        page = self.renderer.render(html)
        return _drawn(page.status, page.error, page.png, page.seconds)


def _drawn(status: Status, error: str | None, png: bytes | None, seconds: float) -> Drawn:
    if status == "harness_error":
        raise HarnessError(error or "the renderer failed")
    if status == "ok" and png is None:  # as the official rules have it: a part of a file was saved
        return Drawn("code_error", error or NO_PICTURE, None, seconds)
    return Drawn(status, error, png, seconds)


def _reference(sample: Sample) -> str:
    if sample.reference_code is None:
        raise HarnessError(f"the sample {sample.id} has neither a picture nor reference code")
    return sample.reference_code


def _shown(reference: FigureRendering | PageRendering) -> bytes:
    if reference.status != "ok" or reference.png is None:
        raise HarnessError(no_target(reference.error))
    return reference.png
