"""Open what the user's options name: the items and the scoring of one benchmark."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rrvf.agent import AgentSettings
from rrvf.bench import Bench, Scoring, open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.own import load_samples
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.chat import Chat, ChatSettings, Usage
from rrvf.dotted import find_object
from rrvf.episodes import LoopScoring, Trajectories, chats_in
from rrvf.errors import UserError
from rrvf.kinds.kind import RendererOptions
from rrvf.options import JudgeOptions, LoopOptions, RuleOptions, RunOptions
from rrvf.policies import (
    EndpointPolicy,
    Policy,
    RecordedPolicy,
    TransformersPolicy,
    VllmPolicy,
)
from rrvf.render_tool import CHART_TOOL, PAGE_TOOL, RenderTool
from rrvf.renderers import cache
from rrvf.repeats import repeat_items
from rrvf.run_folder import ANSWERS
from rrvf.scorers.clip import ClipSettings
from rrvf.scorers.judge import Judge
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import OLD_NAME as OLD_LIKENESS
from rrvf.scorers.likeness import RENAMED, LikenessJudge
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.rubrics import Prompt, load_rubric, read_own_prompt
from rrvf.scoring import Item
from rrvf.teacher import ModelTeacher, PictureOnly, Teacher, teacher_prompt
from rrvf.types import Language, Sample

_log = logging.getLogger(__name__)

_OWN_JUDGE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

OpenRun = tuple[Sequence[Item], Bench]


@contextmanager
def open_judge(options: JudgeOptions | None, rubric: str) -> Generator[Judge | None]:
    """The judge that was asked for, its connections open as long as the context lasts.

    Args:
        options: ``None`` for no judge.
        rubric: The benchmark's own.

    Raises:
        UserError: It cannot work at all.
    """
    if options is None or options.model is None:
        yield None
    elif options.model in (LIKENESS, OLD_LIKENESS):
        if options.model == OLD_LIKENESS:
            _log.warning("%s", RENAMED)
        yield LikenessJudge()
    elif options.base_url is None and _OWN_JUDGE.fullmatch(options.model):
        yield _load_own_judge(options.model)
    else:
        settings = ChatSettings(
            options.model,
            options.base_url,
            options.key_variable,
            concurrency=options.concurrency,
            max_cost=options.max_cost,
            name=options.name,
            since=options.since,
        )
        with Chat(settings, cache.folder() / "chat") as chat:
            judge_rubric = load_rubric(options.rubric or rubric, options.prompt)
            yield ModelJudge(chat, judge_rubric, options.repeats)


def _load_own_judge(name: str) -> Judge:
    """A judge of the user's own.

    Raises:
        UserError: It is none, or it takes a name that is a model's.
    """
    kind = find_object(name, "judge")
    try:
        judge: Any = kind()
    except Exception as error:  # whatever a stranger's class raises
        raise UserError(f"judge {name!r} cannot be made: {error}") from error
    parts = ("name", "concurrency", "protocol", "expected", "spent", "__call__")
    if gaps := [part for part in parts if not hasattr(judge, part)]:
        raise UserError(f"judge {name!r} lacks {', '.join(gaps)}; see rrvf.scorers.judge.Judge")
    if judge.name in ("gpt", LIKENESS, "execution"):
        raise UserError(f"judge {name!r} names its score {judge.name!r}, which is another's")
    return judge


@contextmanager
def open_run(name: str, options: RunOptions) -> Generator[OpenRun]:
    """The items to score and the bench; its renderer lives as long as the context.

    Args:
        name: Of the benchmark, or ``my.module:MyBenchmark``.
        options: The options of the run.

    Raises:
        UserError: An unknown benchmark, or data and predictions that cannot be used.
    """
    benchmark = find_benchmark(name)
    if options.cleanup is not None:
        benchmark = benchmark.with_cleanup(options.cleanup)
    items = _attach_answers(_load_samples(benchmark, options), options)
    renderer = RendererOptions(
        workers=options.workers,
        seconds=options.timeout,
        mode=options.mode,
        reference=options.reference,
        chart_python=options.chart_python,
        browser=options.browser,
        javascript=options.javascript,
        reuse_pages=options.reuse_pages,
        confinement=options.confinement,
        assets=options.assets,
    )
    with (
        open_judge(options.judge, benchmark.rubric) as judge,
        open_bench(
            benchmark,
            renderer,
            scorers=options.scorers,
            judge=judge,
            clip=_read_clip_settings(options),
            data=options.data,
            pictures=options.pictures,
        ) as bench,
    ):
        yield items, bench


def _load_samples(benchmark: Benchmark, options: RunOptions) -> Sequence[Sample]:
    if options.data is None:
        return []
    load_options = LoadOptions(
        subset=options.subset,
        task=options.task,
        limit=options.limit,
        images=options.reference == "image" or benchmark.images_only,
    )
    return load_samples(benchmark, options.data, load_options)


def _attach_answers(samples: Sequence[Sample], options: RunOptions) -> Sequence[Item]:
    # A limit may have left samples unread, and who answers them is no mistake then.
    is_partial = options.limit is not None and len(samples) <= options.limit
    if options.recorded is not None:
        match(samples, dict.fromkeys(options.recorded, ""), partial_ok_limit=is_partial)
    if options.predictions is None:
        return [(sample, None) for sample in samples[: options.limit]]
    answers = load_predictions(options.predictions)
    return match(samples, answers, partial_ok_limit=is_partial)[: options.limit]


@contextmanager
def open_episodes(
    benchmark: str, options: RunOptions, loop: LoopOptions, out: Path, answers: Path | None = None
) -> Generator[tuple[Sequence[Item], LoopScoring]]:
    """As :func:`open_run`, the answers coming from episodes.

    Args:
        benchmark: Its name.
        options: How answers are scored.
        loop: How episodes are played.
        out: Of the run.
        answers: Folder of what a policy behind a server says in this run, by default within
            ``out``: it answers no other run.

    Raises:
        UserError: As there; or the policy's file, checkpoint, key or server cannot be used.
    """
    recording = RecordedPolicy.load(Path(loop.policy)) if loop.source() == "recorded" else None
    if recording is not None and options.data is not None:
        options = replace(options, recorded=tuple(recording.turns))
    with (
        open_run(benchmark, options) as (items, bench),
        _open_policy(loop, bench.language, recording, answers or out / ANSWERS) as policy,
        open_teacher_of(loop, bench.language) as teacher,
    ):
        rules = build_rules(loop, bench.language)
        trajectories = Trajectories(out)
        repeated_items = repeat_items(items, loop.repeats)
        yield (
            repeated_items,
            LoopScoring(bench, policy, teacher, rules, trajectories, loop.concurrency),
        )


def build_rules(loop: RuleOptions, language: Language) -> AgentSettings:
    """The rules of an episode, with the user's prompt and tool where there are any."""
    rules = AgentSettings.of(
        language,
        tool=_choose_tool(loop, language),
        max_turns=loop.max_turns,
        turn_tokens=loop.max_tokens,
        max_tokens=loop.max_episode_tokens,
        max_seconds=loop.max_seconds,
        attach_rendering=loop.attach_rendering,
        max_pixels=loop.max_pixels,
        unanswered=loop.unanswered,
        tell_last_call=loop.tell_last_call,
        native_calls=loop.native_tools,
    )
    if loop.policy_prompt is None:
        return rules
    prompt = read_own_prompt(loop.policy_prompt, needs="system")
    return replace(rules, prompt=replace(prompt, user=prompt.user or rules.prompt.user))


def _choose_tool(loop: RuleOptions, language: Language) -> RenderTool:
    tool = CHART_TOOL if language == "python" else PAGE_TOOL
    if loop.tool_name is None or loop.tool_argument is None:
        return tool
    return replace(tool, name=loop.tool_name, argument=loop.tool_argument)


@contextmanager
def _open_policy(
    loop: LoopOptions, language: Language, recording: RecordedPolicy | None, answers: Path
) -> Generator[Policy]:
    source = loop.source()
    if recording is not None:
        yield recording
    elif source in ("transformers", "vllm"):
        yield _load_checkpoint(loop, source)
    else:
        # A single turn has no tool.
        is_offered = loop.native_tools and loop.max_turns > 1
        tools = (_choose_tool(loop, language).schema(),) if is_offered else ()
        settings = ChatSettings(
            loop.policy,
            loop.base_url,
            loop.key_variable,
            concurrency=loop.concurrency,
            max_cost=loop.policy_max_cost,
            name=loop.policy_name,
            since=loop.since,
        )
        with Chat(settings, answers) as chat:
            yield EndpointPolicy(chat, loop.temperature, tools, loop.sampling())


def _load_checkpoint(loop: LoopOptions, source: Literal["transformers", "vllm"]) -> Policy:
    options: dict[str, Any] = {"temperature": loop.temperature, "parameters": loop.sampling()}
    if loop.batch_size is not None:
        options["batch_size"] = loop.batch_size
    if source == "vllm":
        return VllmPolicy(loop.policy, **options)
    return TransformersPolicy(loop.policy, device=loop.device, **options)


def _read_teacher_prompt(loop: RuleOptions, language: Language) -> Prompt:
    path = loop.teacher_prompt
    return teacher_prompt(language) if path is None else read_own_prompt(path)


def _read_teacher_settings(loop: RuleOptions) -> ChatSettings | None:
    if loop.teacher is None:
        return None
    return ChatSettings(
        loop.teacher,
        loop.teacher_base_url,
        loop.teacher_key_variable,
        concurrency=loop.concurrency,
        max_cost=loop.teacher_max_cost,
        name=loop.teacher_name,
        since=loop.since,
    )


@contextmanager
def open_teacher_of(loop: RuleOptions, language: Language) -> Generator[Teacher]:
    """The teacher that options name, its connections open as long as the context lasts.

    Raises:
        UserError: It cannot work at all.
    """
    prompt = _read_teacher_prompt(loop, language)
    with open_teacher(_read_teacher_settings(loop), prompt) as teacher:
        yield teacher


@contextmanager
def open_teacher(settings: ChatSettings | None, prompt: Prompt) -> Generator[Teacher]:
    """The teacher, its connections open as long as the context lasts.

    Args:
        settings: How it is asked; ``None`` for no teacher: the rendering speaks for itself.
        prompt: What it is asked.

    Raises:
        UserError: It cannot work at all.
    """
    if settings is None:
        yield PictureOnly()
        return
    with Chat(settings, cache.folder() / "chat") as chat:
        yield ModelTeacher(chat, prompt)


# ---------------------------------------------------------------------------- who has no answer


def find_unanswered(items: Sequence[Item], scoring: Scoring) -> list[str]:
    """Ids of the samples that a file of answers leaves out."""
    if not isinstance(scoring, LoopScoring):
        return [sample.id for sample, completion in items if completion is None]
    if not isinstance(scoring.policy, RecordedPolicy):
        return []
    return [sample.id for sample, _ in items if sample.id not in scoring.policy.turns]


# ------------------------------------------------------------------------------- what it costs


def list_costs(scoring: Scoring) -> Iterator[str]:
    """A line on what each of policy, teacher and judge was asked and paid so far."""
    for part, chat in chats_in(scoring).items():
        if part != "judge":
            yield _describe_usage(part, chat.usage())
    if scoring.judge is not None and (line := scoring.judge.spent()):
        yield line


def _describe_usage(part: str, usage: Usage) -> str:
    cost = "cost unknown" if usage.cost is None else f"${usage.cost:.2f}"
    return (
        f"{part}: {usage.paid} answers paid, {usage.from_cache} from the cache, "
        f"{usage.failures} failed; {usage.input_tokens:,} tokens read, "
        f"{usage.output_tokens:,} written, {cost}"
    )


def _read_clip_settings(options: RunOptions) -> ClipSettings:
    settings = ClipSettings(weights=options.clip_weights, failure=options.clip_failure)
    return settings if options.clip_model is None else replace(settings, model=options.clip_model)
