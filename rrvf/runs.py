"""From a user's options to the items and the scoring of one benchmark."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rrvf.agent import AgentSettings, Unanswered
from rrvf.benchmarks import chartmimic, chartmimic_rules, plot2code, plot2code_rules, websight
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.canvases import canvas_of
from rrvf.chat import Chat, ChatSettings
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.errors import UserError
from rrvf.policies import EndpointPolicy, Policy, RecordedPolicy
from rrvf.renderers import cache
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.judge import Judge
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.pixel_judge import PixelJudge
from rrvf.scorers.rubrics import load_rubric
from rrvf.scoring import Item, Scoring, pages, plots
from rrvf.scoring.charts import ChartScoring
from rrvf.scoring.pages import PageScoring
from rrvf.scoring.plots import PlotScoring
from rrvf.teacher import ModelTeacher, PictureOnly, Teacher, teacher_prompt
from rrvf.types import Language, Mode, Sample

PIXEL = "pixel"
"""The embedded judge's name; everything else is a model's."""

Prepared = tuple[Sequence[Item], Scoring]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run can be told; ``None`` stands for the benchmark's own default.

    Without ``predictions`` every sample is taken, with no answer yet.
    """

    data: str
    predictions: Path | None
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
    judge: JudgeOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """Who judges.

    Attributes:
        model: Name at the server, or ``pixel`` for the embedded judge.
        base_url: Of an OpenAI-compatible server; ``None`` is OpenAI.
        rubric: Another than the benchmark's own.
        prompt: A file with the text to use instead of the rubric's.
        repeats: Answers a pair.
        concurrency: Questions under way at a time.
        max_cost: USD.
        key_variable: Environment variable with the key.
    """

    model: str
    base_url: str | None = None
    rubric: str | None = None
    prompt: Path | None = None
    repeats: int = 1
    concurrency: int = 16
    max_cost: float | None = None
    key_variable: str = "OPENAI_API_KEY"


@contextmanager
def judge_for(options: JudgeOptions | None, rubric: str) -> Generator[Judge | None]:
    """The judge that was asked for, its connections open as long as the context lasts.

    Args:
        options: ``None`` for no judge.
        rubric: The benchmark's own.

    Raises:
        UserError: It cannot work at all.
    """
    if options is None:
        yield None
    elif options.model == PIXEL:
        yield PixelJudge()
    else:
        settings = ChatSettings(
            options.model,
            options.base_url,
            options.key_variable,
            concurrency=options.concurrency,
            max_cost=options.max_cost,
        )
        with Chat(settings, cache.folder() / "chat") as chat:
            chosen = load_rubric(options.rubric or rubric, options.prompt)
            yield ModelJudge(chat, chosen, options.repeats)


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
    items = _answered(samples, options)
    seconds = options.timeout or Limits().cpu_seconds
    # A script on a busy machine may wait long for its few seconds.
    limits = Limits(cpu_seconds=seconds, wall_seconds=max(60, 3 * seconds))
    names = chartmimic_rules.SCORERS if options.scorers is None else options.scorers
    with (
        judge_for(options.judge, "chartmimic_judge") as judge,
        ChartRenderer(
            options.chart_python, options.workers, limits, options.confinement
        ) as renderer,
    ):
        yield items, ChartScoring(renderer, options.mode, names, judge)


@contextmanager
def _plot2code(options: RunOptions) -> Generator[Prepared]:
    samples = plot2code.load_samples(Path(options.data), subset=options.subset)
    plot2code.require_drawable(samples)
    items = _answered(samples, options)
    seconds = options.timeout or plot2code_rules.SECONDS
    limits = Limits(cpu_seconds=seconds, wall_seconds=max(60, 3 * seconds))
    names = plots.SCORERS if options.scorers is None else options.scorers
    with (
        judge_for(options.judge, "plot2code_judge") as judge,
        ChartRenderer(
            options.chart_python, options.workers, limits, options.confinement
        ) as renderer,
    ):
        yield items, PlotScoring(renderer, names, judge)


@contextmanager
def _websight(options: RunOptions) -> Generator[Prepared]:
    images = options.reference == "image"
    data = Path(options.data)
    samples = websight.load_samples(data, images=images)
    items = _answered(samples, options)
    limits = PageLimits(seconds=options.timeout or PageLimits().seconds)
    with (
        judge_for(options.judge, "websight_judge") as judge,
        PageRenderer(
            options.browser,
            options.workers,
            limits,
            javascript=options.javascript,
            reuse_pages=options.reuse_pages,
            confinement=options.confinement,
        ) as renderer,
    ):
        yield (
            items,
            PageScoring(
                renderer,
                pages.SCORERS if options.scorers is None else options.scorers,
                _clip_settings(options),
                options.reference,
                websight.protocol(data),
                judge,
            ),
        )


def _answered(samples: Sequence[Sample], options: RunOptions) -> Sequence[Item]:
    if options.predictions is None:
        return [(sample, None) for sample in samples[: options.limit]]
    return match(samples, load_predictions(options.predictions))[: options.limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What ``rrvf eval`` can be told of the loop.

    Attributes:
        policy: A model's name at the server, or a file of recorded answers.
        base_url: Of an OpenAI-compatible server; ``None`` is OpenAI.
        teacher: A model's name; ``None`` for no teacher.
        teacher_base_url: Likewise.
        max_turns: Completions an episode.
        attach_rendering: Show the policy its renderings.
        unanswered: What is scored of an episode without an answer.
        temperature: Of the policy.
        max_tokens: Tokens a completion.
        concurrency: Episodes that may wait at the same time.
        key_variable: Environment variable with the key.
    """

    policy: str
    base_url: str | None = None
    teacher: str | None = None
    teacher_base_url: str | None = None
    max_turns: int = 5
    attach_rendering: bool = True
    unanswered: Unanswered = "nothing"
    temperature: float = 0.0
    max_tokens: int = 4096
    concurrency: int = 16
    key_variable: str = "OPENAI_API_KEY"


@contextmanager
def episodes(
    benchmark: str, options: RunOptions, loop: LoopOptions, out: Path
) -> Generator[Prepared]:
    """As :func:`prepared`, the answers coming from episodes.

    Raises:
        UserError: As there; or the policy's file, key or server cannot be used.
    """
    with (
        prepared(benchmark, options) as (items, scoring),
        _policy(loop) as policy,
        _teacher(loop, canvas_of(scoring).language) as teacher,
    ):
        canvas = canvas_of(scoring)
        settings = AgentSettings.of(
            canvas.language,
            max_turns=loop.max_turns,
            turn_tokens=loop.max_tokens,
            attach_rendering=loop.attach_rendering,
            unanswered=loop.unanswered,
        )
        kept = Trajectories(out)
        waiting = loop.concurrency
        yield items, LoopScoring(scoring, policy, canvas, teacher, settings, kept, waiting)


@contextmanager
def _policy(loop: LoopOptions) -> Generator[Policy]:
    if Path(loop.policy).is_file():
        yield RecordedPolicy.load(Path(loop.policy))
        return
    with _chat(loop, loop.policy, loop.base_url) as chat:
        yield EndpointPolicy(chat, loop.temperature)


@contextmanager
def _teacher(loop: LoopOptions, language: Language) -> Generator[Teacher]:
    if loop.teacher is None:
        yield PictureOnly()
        return
    with _chat(loop, loop.teacher, loop.teacher_base_url) as chat:
        yield ModelTeacher(chat, teacher_prompt(language))


def _chat(loop: LoopOptions, model: str, base_url: str | None) -> Chat:
    settings = ChatSettings(model, base_url, loop.key_variable, concurrency=loop.concurrency)
    return Chat(settings, cache.folder() / "chat")


def _clip_settings(options: RunOptions) -> ClipSettings:
    settings = ClipSettings(weights=options.clip_weights, failure=options.clip_failure)
    return settings if options.clip_model is None else replace(settings, model=options.clip_model)


_BENCHMARKS: Mapping[str, Callable[[RunOptions], AbstractContextManager[Prepared]]] = {
    chartmimic.NAME: _chartmimic,
    plot2code.NAME: _plot2code,
    websight.NAME: _websight,
}
