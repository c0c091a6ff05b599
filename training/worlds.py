"""From the settings of a run to the parts that play its episodes, which are those of evaluation."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
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
from rrvf.options import RewardOptions
from rrvf.rewards import Rewarder, RewardSettings, read_rewards
from rrvf.runs import JudgeOptions, open_judge, open_teacher
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.model_judge import ModelJudge
from rrvf.teacher import ModelTeacher, teacher_prompt
from training.rollouts import World
from training.settings import RewardArguments, WorldArguments


@contextmanager
def open_world(
    benchmark: str,
    options: WorldArguments,
    reward: RewardArguments,
    *,
    turn_tokens: int,
    with_reference: bool,
    since: float = 0.0,
    assets: Mapping[str, bytes] | None = None,
) -> Generator[World]:
    """Renderers, connections and rules; they last as long as the context.

    Args:
        benchmark: By whose rules code is read, drawn and scored: a name or a dotted path.
        options: Renderers, teacher, judge, rules.
        reward: Weights and gates.
        turn_tokens: Of a completion.
        with_reference: Samples have the code that answers are compared with.
        since: Unix time; what judge and teacher said before is asked for again.
        assets: Files of the data set that pages find beside them, by name.

    Raises:
        UserError: Something is missing, or does not fit together.
    """
    if options.max_rollout_tokens <= turn_tokens:
        raise UserError(
            f"max_rollout_tokens ({options.max_rollout_tokens}) must be more than a completion's "
            f"max_completion_length ({turn_tokens})"
        )
    definition = find_benchmark(benchmark)
    # Pictures alone are drawn as the benchmark that they are of draws.
    mode = options.mode or definition.mode
    definition = definition if with_reference else images_only_of(definition)
    language = KINDS[definition.kind].language
    settings = AgentSettings.of(
        language,
        max_turns=options.max_turns,
        max_calls=options.max_calls,
        turn_tokens=turn_tokens,
        attach_rendering=options.attach_rendering,
        unanswered=options.unanswered,
        tell_last_call=options.tell_last_call,
        max_pixels=options.max_pixels,
    )
    rules = reward_settings(reward)
    with (
        open_judge(_judge_options(options, since), definition.rubric) as judge,
        open_teacher(_teacher_chat(options, since), teacher_prompt(language)) as teacher,
        open_bench(
            definition,
            replace(_renderer_options(options), mode=mode, assets=assets or {}),
            scorers=_scorers(definition, rules, options),
            judge=judge,
            clip=ClipSettings(weights=options.clip_weights),
        ) as bench,
    ):
        asked = (judge, teacher)
        yield World(
            teacher,
            settings,
            Rewarder(bench, rules),
            options.max_rollout_tokens,
            options.concurrency,
            tuple(part.chat for part in asked if isinstance(part, ModelJudge | ModelTeacher)),
            options.server_patience,
        )


def reward_settings(options: RewardArguments) -> RewardSettings:
    """The settings that a configuration spells out."""
    return read_rewards(RewardOptions(**asdict(options)))


def _judge_options(options: WorldArguments, since: float) -> JudgeOptions | None:
    if options.judge is None:
        return None
    return JudgeOptions(
        model=options.judge,
        base_url=options.judge_base_url,
        name=options.judge_name,
        since=since,
        rubric=options.judge_rubric,
        concurrency=options.concurrency,
        key_variable=options.key_variable,
    )


def _teacher_chat(options: WorldArguments, since: float) -> ChatSettings | None:
    if options.teacher is None:
        return None
    return ChatSettings(
        options.teacher,
        options.teacher_base_url,
        options.key_variable,
        concurrency=options.concurrency,
        name=options.teacher_name,
        since=since,
    )


def _renderer_options(options: WorldArguments) -> RendererOptions:
    return RendererOptions(
        workers=options.workers,
        seconds=options.timeout,
        chart_python=_path(options.chart_python),
        browser=_path(options.browser),
        confinement=options.confinement,
    )


def _scorers(
    benchmark: Benchmark, rules: RewardSettings, options: WorldArguments
) -> tuple[str, ...]:
    """All that the kind has for what is known of samples, and what the reward names besides."""
    kind_scorers = ("execution",) if benchmark.images_only else tuple(KINDS[benchmark.kind].SCORERS)
    extra_scorers = (name for name in rules.vision if name == "clip" or ":" in name)
    return tuple(
        dict.fromkeys((*kind_scorers, *extra_scorers, *(("clip",) if options.clip else ())))
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
