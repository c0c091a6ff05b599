"""The values that flow through the package, in the order they flow.

A :class:`Sample` asks for code. A renderer turns code into a :class:`Rendering` with recorded
:class:`Elements`. Each scorer compares two drawings and returns a :class:`Score`. A
:class:`SampleResult` is a line of ``results.jsonl``, and a :class:`BenchmarkResult` is
``summary.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "no_code", "code_error", "timeout", "out_of_memory", "harness_error"]
"""The outcome of one sample. All but ``ok`` and ``harness_error`` are the model's fault."""

STATUSES: tuple[Status, ...] = (
    "ok",
    "no_code",
    "code_error",
    "timeout",
    "out_of_memory",
    "harness_error",
)

Mode = Literal["official", "fixed"]
"""``official`` repeats the official scorer, bugs included; ``fixed`` fixes the listed bugs."""

Language = Literal["python", "html"]

Cleanup = Literal["own", "official"]
"""The rule that finds code in a reply: this project's, or the one of a benchmark's scripts."""

Pictures = Literal["all", "failed", "none"]
"""The samples whose pictures are kept for a reader. A judge gets its pictures in any case."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a benchmark: an image to turn into code.

    Attributes:
        id: Unique within the benchmark; the reference file's stem or the table's ``index``.
        reference_code: The code that draws the target; ``None`` if only an image exists.
        image: The dataset's own picture of the target, if there is one.
        prompt: The instruction sent with the image; empty if the data have none.
        task: ``direct``, or one of these. ``customized``: the reference's data complete the
            answer. ``conditional``: the prompt also describes the picture in words.
            ``text_augmented``: the prompt contains the texts of the page.
        tags: Free labels for grouping, e.g. ``{"category": "bar"}``.
    """

    id: str
    reference_code: str | None = None
    image: Path | None = None
    prompt: str = ""
    task: str = "direct"
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Color:
    """A recorded colour: the drawing function that used it, and ``#RRGGBB`` or a colour map."""

    role: str
    value: str


@dataclass(frozen=True, slots=True, order=True)
class LayoutCell:
    """The place of one axes in its grid; zero-based, ends inclusive."""

    n_rows: int
    n_cols: int
    row_start: int
    row_end: int
    col_start: int
    col_end: int


@dataclass(frozen=True, slots=True)
class Elements:
    """What was drawn, as data: the input of the four low-level scorers.

    Attributes:
        texts: Every string drawn, in drawing order, repeats included.
        chart_types: Drawing function -> number of calls that were not nested in another call.
        colors: Distinct (function, colour) pairs in the order they were first drawn.
        layout: One cell for each axes in a grid.
        n_axes: All axes of the current figure, in a grid or not.
    """

    texts: tuple[str, ...] = ()
    chart_types: Mapping[str, int] = field(default_factory=dict[str, int])
    colors: tuple[Color, ...] = ()
    layout: tuple[LayoutCell, ...] = ()
    n_axes: int = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """The outcome of one execution under the rules of one mode.

    Attributes:
        status: ``ok`` means that a picture came out.
        error: One line for a person, paths removed; ``None`` when nothing went wrong.
        complete: The script ran to its end. The official rules also accept a picture without it.
        elements: What was recorded; empty if the official recorder would have written no log.
    """

    status: Status
    error: str | None = None
    complete: bool = False
    elements: Elements = field(default_factory=Elements)


@dataclass(frozen=True, slots=True)
class Rendering:
    """The outcome of executing one script.

    Attributes:
        official: The outcome as the official scorer sees it.
        fixed: The outcome with the listed bugs fixed.
        seconds: Wall time of the execution.
        cpu_seconds: CPU time of the confined child.
        png: A preview picture.
        pdf: The PDF that ``savefig`` produced.
        judge_png: The 350 dpi picture made from the PDF; only on request.
        without_texts: No texts were recorded, because the script drew no PDF.
    """

    official: Drawing
    fixed: Drawing
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    png: bytes | None = None
    pdf: bytes | None = None
    judge_png: bytes | None = None
    without_texts: bool = False

    def drawing(self, mode: Mode) -> Drawing:
        """The outcome under ``mode``."""
        return self.official if mode == "official" else self.fixed


@dataclass(frozen=True, slots=True)
class FigureText:
    """One visible text of a matplotlib figure.

    Attributes:
        text: Stripped and in lower case, never empty.
        position: As the artist reports it after drawing, in its own coordinates (an axis label:
            pixels); ``None`` if it is not a pair of finite numbers (a date, a category).
    """

    text: str
    position: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class FigureRendering:
    """The outcome of executing an unchanged script and drawing its current figure.

    Attributes:
        status: ``ok`` means that there is a picture that is not all white.
        error: One line for a person, paths removed; ``None`` when nothing went wrong.
        seconds: Wall time of the execution.
        png: The picture, at the figure's own resolution.
        texts: Every visible text; those of the figure's children before those of grandchildren.
        width_inches, height_inches: Size of the figure; 0 without a figure.
    """

    status: Status
    error: str | None = None
    seconds: float = 0.0
    png: bytes | None = None
    texts: tuple[FigureText, ...] = ()
    width_inches: float = 0.0
    height_inches: float = 0.0


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The text of one node of a page.

    Attributes:
        text: As laid out, with blanks collapsed.
        x, y, width, height: The box around its lines, in CSS pixels from the page's upper left.
        color: ``#RRGGBB``, as computed by the browser; transparency dropped.
    """

    text: str
    x: float
    y: float
    width: float
    height: float
    color: str


@dataclass(frozen=True, slots=True)
class PageRendering:
    """The outcome of showing one web page.

    Attributes:
        status: ``ok`` means that there is a picture.
        error: One line for a person; ``None`` when nothing went wrong.
        seconds: Wall time.
        png: The whole page as a PNG, one pixel a CSS pixel.
        width, height: Of the picture, in pixels.
        clipped: The page is taller than the picture.
        blocks: Visible texts, in the order of the document.
        denied: Addresses that the page requested and did not get, each once.
        mode: The rules that found its texts.
        remarks: A line for each place where the official rules find other texts than a reader sees.
    """

    status: Status
    error: str | None = None
    seconds: float = 0.0
    png: bytes | None = None
    width: int = 0
    height: int = 0
    clipped: bool = False
    blocks: tuple[TextBlock, ...] = ()
    denied: tuple[str, ...] = ()
    mode: Mode = "fixed"
    remarks: tuple[str, ...] = ()


class Code(str):
    """A prediction that is already code: tags or fences in it are part of the code."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one scorer for one sample.

    Attributes:
        value: In [0, 1]. ``None`` means "could not be measured", which is never the model's fault.
        details: ``precision``, ``recall``, ``f1`` and anything that explains the value to a reader.
    """

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def failed(cls, reason: str | None = None) -> Score:
        """The model's failure: zero, with the reason if the sample's own error does not give it.

        Args:
            reason: One line.
        """
        extra = {} if reason is None else {"reason": reason}
        return cls(0.0, {"precision": 0.0, "recall": 0.0, "f1": 0.0, **extra})

    @classmethod
    def unscored(cls, reason: str) -> Score:
        """Our failure: not a number."""
        return cls(None, {"reason": reason})


@dataclass(frozen=True, slots=True)
class TurnScores:
    """The scores of one piece of code in an episode.

    Attributes:
        turn: From 1.
        call: The number of the call in its turn, from 1; ``None`` for the answer.
        status: Of its rendering.
        scores: Scorer -> value in [0, 1]; ``None`` if it could not be measured.
    """

    turn: int
    call: int | None
    status: Status
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """How the loop arrived at an answer.

    Attributes:
        stop_reason: Why the episode ended.
        n_turns: Completions.
        teacher: ``asked``, ``failed``, ``not_asked`` -> number of renderings.
        by_turn: Calls with code, and the answer, in order; ``None`` if turns were not scored.
    """

    stop_reason: str
    n_turns: int
    teacher: Mapping[str, int] = field(default_factory=dict[str, int])
    by_turn: tuple[TurnScores, ...] | None = None


@dataclass(frozen=True, slots=True)
class SampleResult:
    """One line of ``results.jsonl``.

    Attributes:
        code: The code taken from the completion, as it was executed.
        completion: The model's raw reply; ``None`` if there is none.
        pictures: ``reference`` and ``rendering`` -> file name below the run's ``renderings/``.
        other_mode: Scorer -> F1 in the mode that was not requested, only if the two differ.
        episode: How the loop arrived at the answer, if it was played.
    """

    sample_id: str
    status: Status
    error: str | None
    seconds: float
    scores: Mapping[str, Score]
    code: str | None = None
    completion: str | None = None
    pictures: Mapping[str, str] = field(default_factory=dict[str, str])
    other_mode: Mapping[str, float] = field(default_factory=dict[str, float])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    episode: EpisodeResult | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a benchmark's table.

    Attributes:
        key: Its name in ``summary.json``.
        title: Its name for a person.
        scorer: The scorer whose values are averaged; empty for a mean of other columns.
        over: ``all`` samples, where failures count as 0; or samples whose answer ``ran``.
        scale: The number that the table shows for a value of 1.
        mean_of: Keys of the columns that this one averages; it needs all of them.
    """

    key: str
    title: str
    scorer: str = ""
    over: Literal["all", "ran"] = "all"
    scale: float = 100.0
    mean_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The table of one run, as written to ``summary.json``.

    Attributes:
        episodes: Counts and means by turn if the loop was played, see :mod:`rrvf.by_turn`.
        repeats: Figures over several episodes of a sample, see :mod:`rrvf.repeats`.
        columns: The columns of the benchmark's table.
        kind: How its answers are drawn.
    """

    benchmark: str
    n_samples: int
    statuses: Mapping[str, int]
    n_unscored: Mapping[str, int]
    metrics: Mapping[str, float | None]
    environment: Mapping[str, Any] = field(default_factory=dict[str, Any])
    protocol: Mapping[str, Any] = field(default_factory=dict[str, Any])
    episodes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    repeats: Mapping[str, Any] = field(default_factory=dict[str, Any])
    columns: tuple[Column, ...] = ()
    kind: str = ""
