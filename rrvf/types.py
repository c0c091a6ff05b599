"""The values that flow through the package, in the order they flow.

A :class:`Sample` asks for code; a renderer turns code into a :class:`Rendering` with recorded
:class:`Elements`; scorers compare two drawings and return a :class:`Score` each; one
:class:`SampleResult` is a line of ``results.jsonl``; a :class:`BenchmarkResult` is
``summary.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "no_code", "code_error", "timeout", "out_of_memory", "harness_error"]
"""What became of one sample. Everything but ``ok`` and ``harness_error`` is the model's fault."""

STATUSES: tuple[Status, ...] = (
    "ok",
    "no_code",
    "code_error",
    "timeout",
    "out_of_memory",
    "harness_error",
)

Mode = Literal["official", "fixed"]
"""``official`` repeats the official scorer, bugs included; ``fixed`` mends the listed ones."""

Language = Literal["python", "html"]

Cleanup = Literal["own", "official"]
"""How code is found in a reply: by this project's rule, or by that of a benchmark's own scripts."""

Pictures = Literal["all", "failed", "none"]
"""Of which samples the pictures are wanted, for a reader; whoever looks at one has it drawn."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a benchmark: an image to turn into code.

    Attributes:
        id: Unique within the benchmark; the reference file's stem or the table's ``index``.
        reference_code: The code that draws the target, ``None`` where only an image exists.
        image: The dataset's own picture of the target, where the dataset ships one.
        prompt: The instruction sent with the image; empty where the data holds none.
        task: ``direct``; ``customized``: the answer is completed by the reference's data;
            ``conditional``: the prompt describes the picture in words, too; ``text_augmented``: it
            holds the texts of the page.
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
    """Where one axes stands in its grid; zero-based, ends inclusive."""

    n_rows: int
    n_cols: int
    row_start: int
    row_end: int
    col_start: int
    col_end: int


@dataclass(frozen=True, slots=True)
class Elements:
    """What was drawn, as data; everything the four low-level scorers look at.

    Attributes:
        texts: Every string drawn, in drawing order, repeats included.
        chart_types: Drawing function -> number of calls that were not nested in another one.
        colors: Distinct (function, colour) pairs in the order they were first drawn.
        layout: One cell for each axes that stands in a grid.
        n_axes: All axes of the current figure, in a grid or not.
    """

    texts: tuple[str, ...] = ()
    chart_types: Mapping[str, int] = field(default_factory=dict[str, int])
    colors: tuple[Color, ...] = ()
    layout: tuple[LayoutCell, ...] = ()
    n_axes: int = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one execution amounts to under one mode's rules.

    Attributes:
        status: ``ok`` means that a picture came out.
        error: One line for a person, paths removed; ``None`` when nothing went wrong.
        complete: The script ran to its end; under the official rules a picture can exist without.
        elements: What was recorded; empty where the official recorder would have written no log.
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
        fixed: The outcome with the listed bugs mended.
        seconds: Wall time of the execution.
        cpu_seconds: CPU time of the confined child.
        png: A preview picture.
        pdf: The PDF that ``savefig`` produced.
        judge_png: The 350 dpi picture through the PDF, only when asked for.
        without_texts: None were recorded since the script drew no PDF.
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
        position: Where the artist says it is once the figure has been drawn, in whatever
            coordinates it uses (an axis label: pixels); ``None`` where that is no pair of finite
            numbers (a date, a category).
    """

    text: str
    position: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class FigureRendering:
    """The outcome of executing a script as it stands and drawing its current figure.

    Attributes:
        status: ``ok`` means that there is a picture, and that it is not all white.
        error: One line for a person, paths removed; ``None`` when nothing went wrong.
        seconds: Wall time of the execution.
        png: The picture, at the figure's own resolution.
        texts: Every visible text, the figure's children before their own children's.
        width_inches, height_inches: Size of the figure; 0 where there is none.
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
    """The text of one node of a page, as it stands there.

    Attributes:
        text: As laid out, blanks collapsed.
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
        clipped: The page is higher than the picture.
        blocks: Visible texts, in the order of the document.
        denied: Addresses that the page asked for and did not get, each once.
        mode: By whose rules its texts were found.
        remarks: Where the official rules see other texts than a reader, a line each.
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
    """A prediction that is code itself: whatever tags or fences it holds are its own."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one scorer for one sample.

    Attributes:
        value: In [0, 1]; ``None`` means "could not be measured", which is never the model's fault.
        details: ``precision``, ``recall``, ``f1`` and whatever explains the value to a reader.
    """

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def failed(cls, reason: str | None = None) -> Score:
        """The model's failure: zero; with the reason where the sample's own error does not say it.

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
    """What one piece of an episode's code is worth.

    Attributes:
        turn: From 1.
        call: Which call of the turn, from 1; ``None`` for the answer.
        status: Of its rendering.
        scores: Scorer -> value in [0, 1]; ``None`` where it could not be measured.
    """

    turn: int
    call: int | None
    status: Status
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """How an answer came about.

    Attributes:
        stop_reason: Why the episode ended.
        n_turns: Completions.
        teacher: ``asked``, ``failed``, ``not_asked`` -> number of renderings.
        by_turn: Calls that held code, and the answer, in their order; ``None`` where turns were
            not scored.
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
        completion: The model's raw reply, ``None`` where none was found.
        pictures: ``reference`` and ``rendering`` -> file name below the run's ``renderings/``.
        other_mode: Scorer -> F1 in the mode that was not asked for, only where the two differ.
        episode: How the answer came about, where the loop was played.
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
        scorer: Whose values are averaged; empty for a mean of other columns.
        over: ``all`` samples, failures counting as 0; or those whose answer ``ran``.
        scale: What a value of 1 is in the table.
        mean_of: Keys of the columns that this one is the mean of; it needs them all.
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
        episodes: Counts and means by turn where the loop was played, see :mod:`rrvf.by_turn`.
        repeats: Of several episodes a sample, see :mod:`rrvf.repeats`.
        columns: Of the benchmark's table.
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
