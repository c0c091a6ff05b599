"""Scoring of charts: one execution of the answer, compared under both modes' rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rrvf.benchmarks import chartmimic_rules as rules
from rrvf.errors import HarnessError
from rrvf.renderers.chart import UNKNOWN, ChartRenderer, ChartScript, source_hash
from rrvf.scorers import SCORERS
from rrvf.scorers.judge import Judge
from rrvf.scorers.scorer import Scorer, find_scorers, score_each, usable
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
from rrvf.types import Drawing, Mode, Rendering, Sample, SampleResult, Score

TOLERANCE = 1e-12
NO_BLOCK = "no ```python block in the answer"


@dataclass(frozen=True, slots=True)
class ChartScoring:
    """How chart answers are scored.

    Attributes:
        renderer: Where scripts are drawn.
        mode: ``official`` or ``fixed``.
        scorers: Names or dotted paths.
        judge: Who looks at the pictures as well, if anybody does.
    """

    renderer: ChartRenderer
    mode: Mode = "official"
    scorers: tuple[str, ...] = rules.SCORERS
    judge: Judge | None = None
    benchmark: str = "chartmimic"

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        return with_hash(
            {
                "benchmark": self.benchmark,
                "mode": self.mode,
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
        return find_scorers(self.scorers, SCORERS)

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the paper's table, 0 to 100."""
        return rules.metrics(results)

    def lacks(self) -> Sequence[str]:
        """Nothing: a chart environment without its packages does not start."""
        return ()

    def waiting(self) -> int:
        """Those the judge is asked about."""
        return waiting_for(self.judge)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()

    # ------------------------------------------------------------------------ one item

    def score(self, item: Item, scorers: Mapping[str, Scorer]) -> Outcome:
        """Draw one answer and its reference, and compare them."""
        sample, completion = item
        if sample.reference_code is None:
            raise HarnessError("the sample has no reference code")
        full = self.shows_pdf()
        # The data set's own picture, where there is one, is what a judge is shown.
        drawn = full and sample.image is None
        reference = self.renderer.render_reference(sample.reference_code, judge=drawn)
        script = rules.script_for(sample, completion)
        if script is None:
            nothing = Drawing("no_code", NO_ANSWER if completion is None else NO_BLOCK)
            rendering = Rendering(nothing, nothing)
        else:
            rendering = self.renderer.render(script, modes=executed_modes(self.mode), judge=full)
        pictures = {"reference": reference.png, "rendering": rendering.png}
        result = self._compared(item, script, reference, rendering, scorers)
        drawing = reference.drawing(self.mode)
        target = reference if usable(drawing) else None
        shown = (target and target.png, rendering.png)
        if full:
            own = as_png(sample.image)
            shown = (own or (target and target.judge_png), rendering.judge_png)
        said = judged(self.judge, result.status, *shown, drawing.error)
        result = replace(result, scores={**result.scores, **said})
        return Outcome(result, {name: png for name, png in pictures.items() if png})

    def _compared(
        self,
        item: Item,
        script: ChartScript | None,
        reference: Rendering,
        rendering: Rendering,
        scorers: Mapping[str, Scorer],
    ) -> SampleResult:
        sample, completion = item
        scores = self._scores(scorers, sample, reference, rendering, self.mode)
        other: Mode = "fixed" if self.mode == "official" else "official"
        # Another mode is another view of the same execution; who else scores knows no modes.
        known = rendering.drawing(other) != UNKNOWN
        own = {name: scorer for name, scorer in scorers.items() if known and name in SCORERS}
        there = self._scores(own, sample, reference, rendering, other)
        drawing = rendering.drawing(self.mode)
        return SampleResult(
            sample_id=sample.id,
            status=drawing.status,
            error=_told(drawing.error, sample, reference.drawing(self.mode)),
            seconds=rendering.seconds,
            scores=scores,
            code=None if script is None else script.code(self.mode),
            completion=completion,
            other_mode=differences(scores, there),
            tags=tag_glyphs(
                sample.tags,
                (*reference.fixed.elements.texts, *rendering.fixed.elements.texts),
                "chart",
            ),
        )

    def shows_pdf(self) -> bool:
        """Whether a judge sees the pictures through their PDF, as officially."""
        return self.judge is not None and self.judge.name == "gpt"

    def _scores(
        self,
        scorers: Mapping[str, Scorer],
        sample: Sample,
        reference: Rendering,
        rendering: Rendering,
        mode: Mode,
    ) -> dict[str, Score]:
        target = rules.target_for(sample, reference, mode)
        return score_each(scorers, target, rendering.drawing(mode), mode)


def executed_modes(mode: Mode) -> tuple[Mode, ...]:
    """The modes to draw for: the official execution mostly tells what the fixed rules need."""
    return ("official",) if mode == "official" else ("official", "fixed")


def _told(error: str | None, sample: Sample, target: Drawing) -> str | None:
    """What went wrong with the answer, then what is wrong with its reference."""
    if usable(target):
        return error
    broken = f"the reference {sample.id} cannot be drawn: {target.error}"
    return broken if error is None else f"{error}; {broken}"


def differences(chosen: Mapping[str, Score], other: Mapping[str, Score]) -> dict[str, float]:
    """Values of the other mode, where they are not those of the chosen one."""
    found: dict[str, float] = {}
    for name, score in ((name, chosen[name]) for name in other):
        value = other[name].value
        if value is not None and (score.value is None or abs(value - score.value) > TOLERANCE):
            found[name] = value
    return found
