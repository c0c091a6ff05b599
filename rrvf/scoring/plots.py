"""Scoring of Plot2Code: the answer as it stands, its figure beside the reference's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.benchmarks import plot2code, plot2code_rules
from rrvf.renderers.chart import ChartRenderer, source_hash
from rrvf.replies import all_python_blocks
from rrvf.scorers.figures import FIGURE_SCORERS
from rrvf.scorers.judge import Judge
from rrvf.scorers.scorer import Scorer, find_scorers, score_each
from rrvf.scoring import (
    NO_ANSWER,
    Item,
    Outcome,
    as_png,
    chart_environment,
    judge_protocol,
    judged,
    tag_glyphs,
    waiting_for,
    with_hash,
)
from rrvf.types import FigureRendering, Sample, SampleResult

SCORERS = ("execution", "text")
EMPTY = "the answer is empty"


@dataclass(frozen=True, slots=True)
class PlotScoring:
    """How answers on Plot2Code are scored.

    Attributes:
        renderer: Where scripts are drawn.
        scorers: Names or dotted paths.
        judge: Who looks at the pictures as well, if anybody does.
    """

    renderer: ChartRenderer
    scorers: tuple[str, ...] = SCORERS
    judge: Judge | None = None
    benchmark: str = plot2code.NAME

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        return with_hash(
            {
                "benchmark": self.benchmark,
                "scorers": list(self.scorers),
                "cpu_seconds": self.renderer.limits.cpu_seconds,
                "recorder": source_hash(),
                "judge": judge_protocol(self.judge),
            }
        )

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""
        return chart_environment(self.renderer.environment)

    def find_scorers(self) -> Mapping[str, Scorer]:
        """The functions behind the names."""
        return find_scorers(self.scorers, FIGURE_SCORERS)

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the table."""
        return plot2code_rules.metrics(results)

    def lacks(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def waiting(self) -> int:
        """Those the judge is asked about."""
        return waiting_for(self.judge)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()

    def score(self, item: Item, scorers: Mapping[str, Scorer]) -> Outcome:
        """Draw one answer and its reference, and compare them."""
        sample, completion = item
        target = None
        if sample.reference_code is not None:
            target = self.renderer.render_figure_reference(sample.reference_code)
        own = as_png(sample.image)
        shown = own or (target.png if target is not None and target.status == "ok" else None)
        code = None if completion is None else all_python_blocks(completion)
        if code is None or not code.strip():
            code = None
            figure = FigureRendering("no_code", NO_ANSWER if completion is None else EMPTY)
        else:
            figure = self.renderer.render_figure(code)
        pictures = {"reference": shown, "rendering": figure.png}
        result = SampleResult(
            sample_id=sample.id,
            status=figure.status,
            error=_told(figure.error, sample, target),
            seconds=figure.seconds,
            scores={
                **score_each(scorers, target, figure),
                **judged(self.judge, figure.status, shown, figure.png, target and target.error),
            },
            code=code,
            completion=completion,
            tags=tag_glyphs(
                sample.tags,
                (text.text for side in (target, figure) if side for text in side.texts),
                "chart",
            ),
        )
        return Outcome(result, {name: png for name, png in pictures.items() if png})


def _told(error: str | None, sample: Sample, target: FigureRendering | None) -> str | None:
    """What went wrong with the answer, then what is wrong with its reference."""
    if target is None or target.status == "ok":
        return error
    broken = f"the reference {sample.id} cannot be drawn: {target.error}"
    return broken if error is None else f"{error}; {broken}"
