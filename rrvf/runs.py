"""From a user's options to the items and the scoring of one benchmark."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rrvf.benchmarks import chartmimic, chartmimic_rules, websight
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.errors import UserError
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.scorers.clip import ClipSettings
from rrvf.scoring import Item, Scoring, pages
from rrvf.scoring.charts import ChartScoring
from rrvf.scoring.pages import PageScoring
from rrvf.types import Mode

Prepared = tuple[Sequence[Item], Scoring]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What ``rrvf score`` can be told; ``None`` stands for the benchmark's own default."""

    data: str
    predictions: Path
    workers: int = 2
    mode: Mode = "official"
    scorers: tuple[str, ...] | None = None
    subset: str | None = None
    task: str | None = None
    limit: int | None = None
    timeout: int | None = None
    chart_python: Path | None = None
    browser: Path | None = None
    reference: Literal["html", "image"] = "html"
    javascript: bool = False
    reuse_pages: bool = False
    clip_model: str | None = None
    clip_weights: str | None = None
    clip_failure: Literal["zero", "black"] = "zero"
    confinement: str | None = None


def prepared(benchmark: str, options: RunOptions) -> AbstractContextManager[Prepared]:
    """The items to score and how; the renderer lives as long as the context.

    Raises:
        UserError: An unknown benchmark, or data and predictions that cannot be used.
    """
    if benchmark not in _BENCHMARKS:
        raise UserError(f"unknown benchmark {benchmark!r}; available: {', '.join(_BENCHMARKS)}")
    return _BENCHMARKS[benchmark](options)


@contextmanager
def _chartmimic(options: RunOptions) -> Generator[Prepared]:
    samples = chartmimic.load_samples(Path(options.data), subset=options.subset, task=options.task)
    items = match(samples, load_predictions(options.predictions))[: options.limit]
    seconds = options.timeout or Limits().cpu_seconds
    # A script on a busy machine may wait long for its few seconds.
    limits = Limits(cpu_seconds=seconds, wall_seconds=max(60, 3 * seconds))
    names = chartmimic_rules.SCORERS if options.scorers is None else options.scorers
    with ChartRenderer(
        options.chart_python, options.workers, limits, options.confinement
    ) as renderer:
        yield items, ChartScoring(renderer, options.mode, names)


@contextmanager
def _websight(options: RunOptions) -> Generator[Prepared]:
    images = options.reference == "image"
    data = Path(options.data)
    samples = websight.load_samples(data, images=images)
    items = match(samples, load_predictions(options.predictions))[: options.limit]
    limits = PageLimits(seconds=options.timeout or PageLimits().seconds)
    with PageRenderer(
        options.browser,
        options.workers,
        limits,
        javascript=options.javascript,
        reuse_pages=options.reuse_pages,
        confinement=options.confinement,
    ) as renderer:
        yield (
            items,
            PageScoring(
                renderer,
                pages.SCORERS if options.scorers is None else options.scorers,
                _clip_settings(options),
                options.reference,
                websight.protocol(data),
            ),
        )


def _clip_settings(options: RunOptions) -> ClipSettings:
    settings = ClipSettings(weights=options.clip_weights, failure=options.clip_failure)
    return settings if options.clip_model is None else replace(settings, model=options.clip_model)


_BENCHMARKS: Mapping[str, Callable[[RunOptions], AbstractContextManager[Prepared]]] = {
    chartmimic.NAME: _chartmimic,
    websight.NAME: _websight,
}
