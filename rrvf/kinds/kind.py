"""The interface of every kind of drawing, and the one type that drawing returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from rrvf.renderers.chart import ChartScript
from rrvf.renderers.glyphs import Medium
from rrvf.scorers.scorer import Scorer, is_usable
from rrvf.types import Language, Mode, Pictures, Sample, Status

Script = str | ChartScript
"""Code that is ready to run; a chart's may differ by mode."""

Reference = Literal["html", "image"]
"""What a page is compared with: the rendering of its code, or the data set's own picture."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of some code, of whatever kind.

    Attributes:
        status: ``ok`` where there is something to compare.
        error: One line, paths removed; ``None`` where nothing went wrong.
        png: The picture as a policy and a reader see it.
        judge_png: The picture as a judge sees it; ``None`` where there is none to judge.
        seconds: Wall time.
        view: What scorers compare: a ``Drawing``, ``FigureRendering`` or ``PageRendering``;
            ``None`` where only a picture exists.
        other_view: The same under the rules of the mode that was not asked for, where this
            execution tells it.
        texts: All that is written in it.
    """

    status: Status
    error: str | None = None
    png: bytes | None = None
    judge_png: bytes | None = None
    seconds: float = 0.0
    view: Any = None
    other_view: Any = None
    texts: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the code ran to its end, as that of a reference has to."""
        return self.status == "ok" and (self.view is None or is_usable(self.view))


@dataclass(frozen=True, slots=True, kw_only=True)
class RendererOptions:
    """What a renderer can be told; each kind takes what concerns it.

    Attributes:
        workers: Executions at the same time.
        seconds: A rendering may take: of CPU for code, of wall time for pages; ``None`` for the
            usual ones.
        mode: By whose rules charts are drawn and pages are shown; ``None`` for the benchmark's own.
        reference: Of pages.
        judged: A model will judge the pictures: charts are then drawn through their PDF, too.
        chart_python: Interpreter that draws charts.
        browser: Chromium that shows pages.
        javascript: Pages run their scripts; by the official rules they always do.
        reuse_pages: One page for all, not a context each.
        confinement: A level to use instead of the best one.
        assets: Files that pages find beside them, by name; ``None`` for the data set's own.
    """

    workers: int = 2
    seconds: int | None = None
    mode: Mode | None = None
    reference: Reference = "html"
    judged: bool = False
    chart_python: Path | None = None
    browser: Path | None = None
    javascript: bool = False
    reuse_pages: bool = False
    confinement: str | None = None
    assets: Mapping[str, bytes] | None = None


class Drawer(Protocol):
    """Draws code, here or elsewhere, at once or in its turn."""

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code; see :meth:`Kind.draw`."""
        ...

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """What answers to a sample are compared with; see :meth:`Kind.draw_target`."""
        ...


class Kind(ABC):
    """Draws one kind of code; may be used from many threads at once."""

    language: ClassVar[Language]
    medium: ClassVar[Medium]
    no_code: ClassVar[str]
    """What is said of an answer that holds no code."""

    SCORERS: ClassVar[Mapping[str, Scorer]]
    """The scorers of its views, by name."""

    @classmethod
    @abstractmethod
    @contextmanager
    def open(cls, options: RendererOptions) -> Generator[Kind]:
        """The kind with its renderer, which runs as long as the context lasts."""
        yield NotImplemented

    @staticmethod
    @abstractmethod
    def read_script(completion: str) -> Script | None:
        """The code that a reply amounts to, as the kind's benchmarks usually read it."""

    @abstractmethod
    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code.

        Args:
            script: The code.
            pictures: Whether its picture is wanted, or wanted if it fails; where making it costs
                nothing it comes anyway.
        """

    @abstractmethod
    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """What answers to a sample are compared with.

        Args:
            sample: The sample.
            pictures: As for :meth:`draw`.

        Raises:
            HarnessError: The sample has neither code nor a picture that would do.
        """

    @abstractmethod
    def fail(self, status: Status, error: str) -> Drawn:
        """As if some code had come to this."""

    @abstractmethod
    def protocol(self) -> Mapping[str, Any]:
        """What moves scores: rules, limits, and a hash of the renderer's source."""

    @abstractmethod
    def environment(self) -> Mapping[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""

    @abstractmethod
    def close(self) -> None:
        """End what is under way."""

    def code_of(self, script: Script) -> str:
        """A script's code, for a reader."""
        return script if isinstance(script, str) else script.official

    def rules(self) -> tuple[Any, ...]:
        """What its scorers take besides two views."""
        return ()

    def other_rules(self) -> tuple[Any, ...]:
        """The same for the mode that was not asked for."""
        return ()

    def lacks(self) -> Sequence[str]:
        """What is missing here and would change scores: one line each, with the fix."""
        return ()
