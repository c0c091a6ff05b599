"""The bundled demo: a dozen charts and some pages, with answers in which every status occurs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rrvf.benchmarks import chartmimic, plot2code, websight
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.renderers.page import PageRenderer
from rrvf.runs import Prepared
from rrvf.scorers.pixel_judge import PixelJudge
from rrvf.scoring import Item
from rrvf.scoring.charts import ChartScoring
from rrvf.scoring.pages import PageScoring
from rrvf.scoring.plots import PlotScoring
from rrvf.types import Sample

LIMITS = Limits(cpu_seconds=5, wall_seconds=60)
"""Short enough for the endless loop among the answers not to try one's patience."""

PAGE_SCORERS = ("execution", "block_match", "text", "position", "color")
"""Those that need no weights."""


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One benchmark of the demo.

    Attributes:
        title: For a person.
        folder: Where its run lies below the demo's folder.
        prepared: Gives items and scoring, the renderer running as long as the context lasts.
    """

    title: str
    folder: str
    prepared: Callable[[], AbstractContextManager[Prepared]]


def demo_runs(
    workers: int, chart_python: Path | None, browser: Path | None, confinement: str
) -> Iterator[DemoRun]:
    """The benchmarks of the demo, one after another."""

    @contextmanager
    def charts() -> Generator[Prepared]:
        with ChartRenderer(chart_python, workers, LIMITS, confinement) as renderer:
            yield demo_items(), ChartScoring(renderer, judge=PixelJudge())

    @contextmanager
    def plots() -> Generator[Prepared]:
        with ChartRenderer(chart_python, workers, LIMITS, confinement) as renderer:
            yield demo_plots(), PlotScoring(renderer, judge=PixelJudge())

    @contextmanager
    def pages() -> Generator[Prepared]:
        with PageRenderer(browser, workers, confinement=confinement) as renderer:
            yield demo_pages(), PageScoring(renderer, PAGE_SCORERS, judge=PixelJudge())

    yield DemoRun("ChartMimic", ".", charts)
    yield DemoRun("Plot2Code", plot2code.NAME, plots)
    yield DemoRun("WebSight", websight.NAME, pages)


def demo_items() -> list[Item]:
    """The demo's charts with their answers."""
    return _bundled("charts", chartmimic.load_samples)


def demo_plots() -> list[Item]:
    """The demo's plots with their answers."""
    return _bundled("plots", plot2code.load_samples)


def demo_pages() -> list[Item]:
    """The demo's web pages with their answers."""
    return _bundled("pages", websight.load_samples)


def _bundled(name: str, load: Callable[[Path], Sequence[Sample]]) -> list[Item]:
    with resources.as_file(resources.files("rrvf") / "demo_data" / name) as folder:
        samples = load(Path(folder) / "references")
        return match(samples, load_predictions(Path(folder) / "predictions.jsonl"))
