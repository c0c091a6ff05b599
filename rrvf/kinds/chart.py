"""Charts: a script that saves its figure; executed once and read by the rules of both modes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from rrvf import replies
from rrvf.errors import HarnessError
from rrvf.kinds.kind import Drawn, Kind, RendererOptions, Script
from rrvf.pictures import read_png
from rrvf.renderers.chart import UNKNOWN, ChartRenderer, ChartScript, Limits, source_hash
from rrvf.renderers.glyphs import Medium
from rrvf.renderers.memo import MOST_BYTES
from rrvf.scorers import SCORERS
from rrvf.scorers.scorer import Scorer, is_usable
from rrvf.types import Drawing, Language, Mode, Pictures, Rendering, Sample, Status


@dataclass(frozen=True, slots=True)
class ChartKind(Kind):
    """Draws charts.

    Attributes:
        renderer: Where scripts are executed; one that remembers executes each of them once.
        mode: By whose rules.
        judged: A model judges the pictures: it sees them through their PDF, as officially.
    """

    renderer: ChartRenderer
    mode: Mode = "official"
    judged: bool = False

    language: ClassVar[Language] = "python"
    medium: ClassVar[Medium] = "chart"
    no_code: ClassVar[str] = "no ```python block in the answer"
    SCORERS: ClassVar[Mapping[str, Scorer]] = SCORERS

    @classmethod
    @contextmanager
    def open(cls, options: RendererOptions) -> Generator[ChartKind]:
        """The kind with its renderer, which runs as long as the context lasts."""
        with open_renderer(options) as renderer:
            yield cls(renderer, options.mode or "official", options.judged)

    @staticmethod
    def read_script(completion: str) -> ChartScript | None:
        """The first block of Python, as the official scorer reads it and as it was meant."""
        return chart_script(completion)

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute a script."""
        chart = ChartScript(script) if isinstance(script, str) else script
        # The official execution mostly tells what the fixed rules need.
        modes: tuple[Mode, ...] = (
            ("official",) if self.mode == "official" else ("official", "fixed")
        )
        rendering = self.renderer.render(chart, modes=modes, judge=self.judged, pictures=pictures)
        judge_png = rendering.judge_png if self.judged else rendering.png
        return self._to_drawn(rendering, judge_png)

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """The reference; its own picture, where the data set ships one, is what a judge sees."""
        needs_own = self.judged or sample.reference_code is None
        own_png = read_png(sample.image) if needs_own else None
        if sample.reference_code is None:
            if own_png is None:
                raise HarnessError(
                    f"the sample {sample.id} has neither reference code nor a picture"
                )
            return Drawn("ok", png=own_png, judge_png=own_png)
        through_pdf = self.judged and own_png is None
        rendering = self.renderer.render_reference(
            sample.reference_code, judge=through_pdf, pictures=pictures
        )
        is_whole = is_usable(rendering.drawing(self.mode))
        judge_png = rendering.judge_png if through_pdf else rendering.png
        if own_png is not None:
            judge_png, is_whole = own_png, True
        return self._to_drawn(rendering, judge_png if is_whole else None)

    def _to_drawn(self, rendering: Rendering, judge_png: bytes | None) -> Drawn:
        drawing, other_drawing = rendering.drawing(self.mode), rendering.drawing(self._other_mode())
        return Drawn(
            drawing.status,
            drawing.error,
            rendering.png,
            judge_png,
            rendering.seconds,
            drawing,
            None if other_drawing == UNKNOWN else other_drawing,
            rendering.fixed.elements.texts,
        )

    def fail(self, status: Status, error: str) -> Drawn:
        """As if some code had come to this, in both modes."""
        drawing = Drawing(status, error)
        return Drawn(status, error, view=drawing, other_view=drawing)

    def code_of(self, script: Script) -> str:
        """A script's code by the rules of the mode."""
        return script if isinstance(script, str) else script.code(self.mode)

    def rules(self) -> tuple[Mode]:
        """The mode."""
        return (self.mode,)

    def other_rules(self) -> tuple[Mode]:
        """The other one."""
        return (self._other_mode(),)

    def _other_mode(self) -> Mode:
        return "fixed" if self.mode == "official" else "official"

    def protocol(self) -> Mapping[str, Any]:
        """Mode, limit, and a hash of the recorder's source."""
        return {"mode": self.mode, **renderer_protocol(self.renderer)}

    def environment(self) -> Mapping[str, Any]:
        """Versions of the plotting packages, fonts, confinement."""
        return renderer_environment(self.renderer)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()


def chart_script(completion: str, data: str | None = None) -> ChartScript | None:
    """The script that a reply amounts to under both modes' rules; ``None`` without code.

    Args:
        completion: The reply.
        data: Code to put first.
    """
    official = replies.prepare_official(completion, data)
    if official is None:
        return None
    return ChartScript(official, replies.prepare_fixed(completion, data))


@contextmanager
def open_renderer(options: RendererOptions) -> Generator[ChartRenderer]:
    """A renderer of scripts, which runs as long as the context lasts."""
    seconds = options.seconds or Limits().cpu_seconds
    # A script on a busy machine may wait long for its few seconds.
    limits = Limits(cpu_seconds=seconds, wall_seconds=max(60, 3 * seconds))
    with ChartRenderer(
        *(options.chart_python, options.workers, limits, options.confinement),
        memo_bytes=MOST_BYTES,
    ) as renderer:
        yield renderer


def renderer_protocol(renderer: ChartRenderer) -> dict[str, Any]:
    """What of a renderer of scripts moves scores."""
    return {"cpu_seconds": renderer.limits.cpu_seconds, "recorder": source_hash()}


def renderer_environment(renderer: ChartRenderer) -> dict[str, Any]:
    """What a renderer of scripts says of itself, for the record of a run."""
    environment = renderer.environment
    return {
        "confinement": environment["level"],
        "runs_as": environment["user"],
        "chart_python": environment["python"],
        "chart_versions": environment["versions"],
        "fonts": {"count": environment["n_fonts"], "hash": environment["fonts_hash"]},
    }
