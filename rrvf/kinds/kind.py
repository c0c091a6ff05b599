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
"""Code that is ready to run; for charts it may differ by mode."""

Reference = Literal["html", "image"]
"""What a page is compared with: the rendering of its code, or the data set's own picture."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The outcome of drawing some code, for every kind.

    Attributes:
        status: ``ok`` if there is something to compare.
        error: One line, with paths removed; ``None`` if nothing went wrong.
        png: The picture for policies and readers.
        judge_png: The picture for a judge; ``None`` if there is nothing to judge.
        seconds: Wall time.
        view: What scorers compare: a ``Drawing``, ``FigureRendering`` or ``PageRendering``;
            ``None`` if only a picture exists.
        other_view: The same by the rules of the mode that was not requested, if this execution
            recorded it.
        texts: All texts in the drawing.
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
    """The options of a renderer; each kind uses those that concern it.

    Attributes:
        workers: Executions at the same time.
        seconds: Limit of a rendering: CPU time for code, wall time for pages; ``None`` for the
            default.
        mode: The rules for drawing charts and showing pages; ``None`` for the benchmark's own.
        reference: What pages are compared with.
        judged: A model will judge the pictures, so charts are also drawn through their PDF.
        chart_python: The interpreter that draws charts.
        browser: The Chromium that shows pages.
        javascript: Pages run their scripts; by the official rules they always do.
        reuse_pages: Use one page for all instead of a context each.
        confinement: A level to use instead of the best one.
        assets: Files that pages may request, by name; ``None`` for the data set's own.
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
    """Draws code, here or elsewhere, at once or when its turn comes."""

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code; see :meth:`Kind.draw`."""
        ...

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """Draw the target of a sample; see :meth:`Kind.draw_target`."""
        ...


class Kind(ABC):
    """Draws one kind of code; may be used from many threads at once."""

    language: ClassVar[Language]
    medium: ClassVar[Medium]
    no_code: ClassVar[str]
    """The error of an answer without code."""

    SCORERS: ClassVar[Mapping[str, Scorer]]
    """The scorers of its views, by name."""

    @classmethod
    @abstractmethod
    @contextmanager
    def open(cls, options: RendererOptions) -> Generator[Kind]:
        """Open the kind with its renderer, which stops when the context ends."""
        yield NotImplemented

    @staticmethod
    @abstractmethod
    def read_script(completion: str) -> Script | None:
        """The code in a reply, by the default rule of the kind's benchmarks."""

    @abstractmethod
    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code.

        Args:
            script: The code.
            pictures: Whether the picture is needed always, only for failures, or never. If it
                costs nothing, it is returned anyway.
        """

    @abstractmethod
    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """Draw what the answers to a sample are compared with.

        Args:
            sample: The sample.
            pictures: As for :meth:`draw`.

        Raises:
            HarnessError: The sample has neither code nor a usable picture.
        """

    @abstractmethod
    def fail(self, status: Status, error: str) -> Drawn:
        """A drawing that failed with this status and error."""

    @abstractmethod
    def protocol(self) -> Mapping[str, Any]:
        """The settings that can change scores: rules, limits, a hash of the renderer's source."""

    @abstractmethod
    def environment(self) -> Mapping[str, Any]:
        """Versions of everything that can change a score, and the level of confinement."""

    @abstractmethod
    def close(self) -> None:
        """End all work in progress."""

    def code_of(self, script: Script) -> str:
        """A script's code, for a reader."""
        return script if isinstance(script, str) else script.official

    def rules(self) -> tuple[Any, ...]:
        """The arguments of its scorers besides two views."""
        return ()

    def other_rules(self) -> tuple[Any, ...]:
        """The same for the mode that was not requested."""
        return ()

    def lacks(self) -> Sequence[str]:
        """What is missing here and would change scores: one line each, with the fix."""
        return ()
