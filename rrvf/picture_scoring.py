"""Scoring of charts of which only a picture exists: no reference's code, no recorded elements.

This is the paper's setting for training. An answer is drawn as the benchmark draws it; whether it
runs is scored here, how alike the pictures are is a judge's business, or CLIP's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.benchmarks import chartmimic_rules
from rrvf.benchmarks.means import mean, others
from rrvf.canvases import ChartCanvas, Drawn
from rrvf.renderers.chart import source_hash
from rrvf.scorers.judge import Judge
from rrvf.scoring import (
    NO_ANSWER,
    Item,
    Outcome,
    chart_environment,
    judge_protocol,
    judged,
    score_names,
    waiting_for,
    with_hash,
    without_code,
)
from rrvf.scoring.charts import NO_BLOCK
from rrvf.types import SampleResult, Score


@dataclass(frozen=True, slots=True)
class PictureScoring:
    """How chart answers are scored against a picture.

    Attributes:
        canvas: Where scripts are drawn.
        judge: Who looks at the pictures, if anybody does.
    """

    canvas: ChartCanvas
    judge: Judge | None = None
    benchmark: str = "pictures"
    scorers: tuple[str, ...] = ("execution",)

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        return with_hash(
            {
                "benchmark": self.benchmark,
                "mode": self.canvas.mode,
                "cpu_seconds": self.canvas.renderer.limits.cpu_seconds,
                "recorder": source_hash(),
                "judge": judge_protocol(self.judge),
            }
        )

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""
        return chart_environment(self.canvas.renderer.environment)

    def find_scorers(self) -> Mapping[str, Any]:
        """None beside the judge: whether code runs needs no function."""
        return {}

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """Means over the scored items, 0 to 100, all failures counting as 0."""
        table = {"exec_rate": mean(results, "execution")}
        return table | others(results, table)

    def lacks(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def waiting(self) -> int:
        """Those the judge is asked about."""
        return waiting_for(self.judge)

    def close(self) -> None:
        """End what is under way."""
        self.canvas.renderer.close()

    # ------------------------------------------------------------------------ one item

    def score(self, item: Item, scorers: Mapping[str, Any]) -> Outcome:
        """Draw one answer and compare it with the picture.

        Raises:
            HarnessError: The picture cannot be read, or the renderer failed.
        """
        sample, completion = item
        target = self.canvas.target(sample)
        script = chartmimic_rules.script_for(sample, completion)
        if script is None:
            why = NO_ANSWER if completion is None else NO_BLOCK
            return Outcome(without_code(item, score_names(self), why), {"reference": target})
        official = self.canvas.mode == "official" or script.fixed is None
        drawn = self.canvas.draw_script(script)
        shown = {} if drawn.png is None else {"rendering": drawn.png}
        result = SampleResult(
            sample_id=sample.id,
            status=drawn.status,
            error=drawn.error,
            seconds=drawn.seconds,
            scores={
                "execution": _execution(drawn),
                **judged(self.judge, drawn.status, target, drawn.png),
            },
            code=script.official if official else script.fixed,
            completion=completion,
            tags=sample.tags,
        )
        return Outcome(result, {"reference": target, **shown})


def _execution(drawn: Drawn) -> Score:
    return Score(1.0) if drawn.status == "ok" else Score.failed()
