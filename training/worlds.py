"""From the settings of a run to the world its episodes are played in: the parts of evaluation."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from rrvf.agent import AgentSettings
from rrvf.bench import open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import Benchmark
from rrvf.benchmarks.pictures import images_only_of
from rrvf.chat import ChatSettings
from rrvf.errors import UserError
from rrvf.kinds import KINDS
from rrvf.kinds.kind import RendererOptions
from rrvf.rewards import Rewarder, RewardSettings, read_mix
from rrvf.runs import OLD_LIKENESS, RENAMED, JudgeOptions, open_judge, open_teacher
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.teacher import teacher_prompt
from training.rollouts import World
from training.settings import RewardArguments, WorldArguments

logger = logging.getLogger(__name__)


@contextmanager
def open_world(
    benchmark: str,
    told: WorldArguments,
    reward: RewardArguments,
    *,
    turn_tokens: int,
    with_reference: bool,
    since: float = 0.0,
) -> Generator[World]:
    """Renderers, connections and rules; they last as long as the context.

    Args:
        benchmark: By whose rules code is read, drawn and scored: a name or a dotted path.
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
    chosen = find_benchmark(benchmark)
    chosen = chosen if with_reference else images_only_of(chosen)
    language = KINDS[chosen.kind].language
    settings = AgentSettings.of(
        language,
        max_turns=told.max_turns,
        max_calls=told.max_calls,
        turn_tokens=turn_tokens,
        attach_rendering=told.attach_rendering,
        unanswered=told.unanswered,
        max_pixels=told.max_pixels,
    )
    rules = reward_settings(reward)
    with (
        open_judge(_judge_options(told, since), chosen.rubric) as judge,
        open_teacher(_teacher_chat(told, since), teacher_prompt(language)) as teacher,
        open_bench(
            chosen,
            _renderer_options(told),
            scorers=_scorers(chosen, rules, told),
            judge=judge,
            clip=ClipSettings(weights=told.clip_weights),
        ) as bench,
    ):
        rewarder = Rewarder(bench, rules)
        yield World(teacher, settings, rewarder, told.max_rollout_tokens, told.concurrency)


def reward_settings(told: RewardArguments) -> RewardSettings:
    """The settings that a configuration spells out."""
    given = {one.name: getattr(told, one.name) for one in fields(told)}
    mix = read_mix(given.pop("reward_vision"))
    if OLD_LIKENESS in mix:
        logger.warning("reward_vision: %s", RENAMED)
        mix = {LIKENESS if name == OLD_LIKENESS else name: mix[name] for name in mix}
    return RewardSettings(vision=mix, terms=read_mix(given.pop("reward_terms")), **given)


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


def _teacher_chat(told: WorldArguments, since: float) -> ChatSettings | None:
    if told.teacher is None:
        return None
    return ChatSettings(
        told.teacher,
        told.teacher_base_url,
        told.key_variable,
        concurrency=told.concurrency,
        name=told.teacher_name,
        since=since,
    )


def _renderer_options(told: WorldArguments) -> RendererOptions:
    return RendererOptions(
        workers=told.workers,
        seconds=told.timeout,
        mode=told.mode,
        chart_python=_path(told.chart_python),
        browser=_path(told.browser),
        confinement=told.confinement,
    )


def _scorers(benchmark: Benchmark, rules: RewardSettings, told: WorldArguments) -> tuple[str, ...]:
    """All that the kind has for what is known of samples, and what the reward names besides."""
    own = ("execution",) if benchmark.images_only else tuple(KINDS[benchmark.kind].SCORERS)
    named = (name for name in rules.vision if name == "clip" or ":" in name)
    return tuple(dict.fromkeys((*own, *named, *(("clip",) if told.clip else ()))))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
