"""From the settings of a run to the world its episodes are played in: the parts of evaluation."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

from rrvf.agent import AgentSettings
from rrvf.canvases import Canvas, ChartCanvas, canvas_of
from rrvf.chat import Chat, ChatSettings
from rrvf.errors import UserError
from rrvf.picture_scoring import PictureScoring
from rrvf.renderers import cache
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.renderers.memo import MOST_BYTES
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.rewards import Rewarder, RewardSettings, read_mix
from rrvf.runs import OLD_LIKENESS, RENAMED, JudgeOptions, judge_for
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.judge import Judge
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.pages import find_page_scorers
from rrvf.scorers.scorer import Scorer
from rrvf.scoring import Scoring
from rrvf.scoring.charts import ChartScoring
from rrvf.scoring.pages import PageScoring
from rrvf.teacher import ModelTeacher, PictureOnly, Teacher, teacher_prompt
from rrvf.types import Language
from training.rollouts import World
from training.settings import RewardArguments, WorldArguments

logger = logging.getLogger(__name__)


@contextmanager
def open_world(
    language: Language,
    told: WorldArguments,
    reward: RewardArguments,
    *,
    turn_tokens: int,
    with_reference: bool,
    since: float = 0.0,
) -> Generator[World]:
    """Renderers, connections and rules; they last as long as the context.

    Args:
        language: Of charts (``python``) or pages (``html``).
        told: Renderers, teacher, judge, rules.
        reward: Weights and gates.
        turn_tokens: Of a completion.
        with_reference: Samples have the code that answers are compared with.
        since: Unix time; what judge and teacher said before is asked for again.

    Raises:
        UserError: Something is missing, or does not fit together.
    """
    if told.max_rollout_tokens <= turn_tokens:
        raise UserError(
            f"max_rollout_tokens ({told.max_rollout_tokens}) must be more than a completion's "
            f"max_completion_length ({turn_tokens})"
        )
    settings = AgentSettings.of(
        language,
        max_turns=told.max_turns,
        max_calls=told.max_calls,
        turn_tokens=turn_tokens,
        attach_rendering=told.attach_rendering,
        unanswered=told.unanswered,
        max_pixels=told.max_pixels,
    )
    with ExitStack() as stack:
        judge = stack.enter_context(judge_for(_judge_options(told, since), told.judge_rubric))
        teacher = stack.enter_context(_teacher(told, language, since))
        scoring, canvas = stack.enter_context(_scoring(language, told, judge, with_reference))
        rewarder = Rewarder(scoring, language, reward_settings(reward), _picture_scorers(told))
        yield World(canvas, teacher, settings, rewarder, told.max_rollout_tokens, told.concurrency)


def reward_settings(told: RewardArguments) -> RewardSettings:
    """The settings that a configuration spells out."""
    given = {one.name: getattr(told, one.name) for one in fields(told)}
    mix = read_mix(given.pop("reward_vision"))
    if OLD_LIKENESS in mix:
        logger.warning("reward_vision: %s", RENAMED)
        mix = {LIKENESS if name == OLD_LIKENESS else name: mix[name] for name in mix}
    return RewardSettings(vision=mix, **given)


def _judge_options(told: WorldArguments, since: float) -> JudgeOptions | None:
    if told.judge is None:
        return None
    return JudgeOptions(
        model=told.judge,
        base_url=told.judge_base_url,
        name=told.judge_name,
        since=since,
        rubric=told.judge_rubric,
        concurrency=told.concurrency,
        key_variable=told.key_variable,
    )


@contextmanager
def _teacher(told: WorldArguments, language: Language, since: float) -> Generator[Teacher]:
    if told.teacher is None:
        yield PictureOnly()
        return
    settings = ChatSettings(
        told.teacher,
        told.teacher_base_url,
        told.key_variable,
        concurrency=told.concurrency,
        name=told.teacher_name,
        since=since,
    )
    with Chat(settings, cache.folder() / "chat") as chat:
        yield ModelTeacher(chat, teacher_prompt(language))


@contextmanager
def _scoring(
    language: Language, told: WorldArguments, judge: Judge | None, with_reference: bool
) -> Generator[tuple[Scoring, Canvas]]:
    """Against the reference's code, or against the picture alone."""
    if language == "python":
        seconds = told.timeout or Limits().cpu_seconds
        limits = Limits(cpu_seconds=seconds, wall_seconds=max(60, 3 * seconds))
        python = _path(told.chart_python)
        with ChartRenderer(
            *(python, told.workers, limits, told.confinement), remembered=MOST_BYTES
        ) as charts:
            if with_reference:
                scoring = ChartScoring(charts, judge=judge)
                yield scoring, canvas_of(scoring)
            else:
                canvas = ChartCanvas(charts)
                yield PictureScoring(canvas, judge), canvas
        return
    page_limits = PageLimits(seconds=told.timeout or PageLimits().seconds)
    with PageRenderer(
        *(_path(told.browser), told.workers, page_limits),
        confinement=told.confinement,
        remembered=MOST_BYTES,
    ) as pages:
        names = ("execution", "block_match", "text", "position", "color")
        scoring = PageScoring(
            pages,
            names if with_reference else ("execution",),
            reference="html" if with_reference else "image",
            judge=judge,
        )
        yield scoring, canvas_of(scoring)


def _picture_scorers(told: WorldArguments) -> dict[str, Scorer]:
    names = ("clip",) if told.clip else ()
    return find_page_scorers(names, ClipSettings(weights=told.clip_weights))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
