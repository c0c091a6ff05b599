"""From a user's options to the items and the scoring of one benchmark."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from rrvf.agent import MAX_PIXELS, AgentSettings, Unanswered
from rrvf.bench import Bench, Scoring, open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.own import load_samples
from rrvf.benchmarks.predictions import KINDS, load_predictions, match
from rrvf.chat import Chat, ChatSettings, Usage
from rrvf.dotted import find_object
from rrvf.episodes import LoopScoring, Trajectories, chats_in
from rrvf.errors import UserError
from rrvf.kinds.kind import RendererOptions
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
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.rubrics import Prompt, load_rubric, read_own_prompt
from rrvf.scoring import Item
from rrvf.teacher import ModelTeacher, PictureOnly, Teacher, teacher_prompt
from rrvf.types import Language, Mode, Pictures, Sample

OLD_LIKENESS = "pixel"
"""What the embedded judge was called when it measured something else; to go in 0.3."""

RENAMED = (
    f"{OLD_LIKENESS} is now {LIKENESS}, another measure, whose scores do not compare with the old; "
    f"write {LIKENESS}, as {OLD_LIKENESS} will be refused"
)

_log = logging.getLogger(__name__)

Backend = Literal["endpoint", "transformers", "vllm"]
Source = Literal["endpoint", "transformers", "vllm", "recorded"]

_SERVED = ("base_url", "policy_name", "policy_max_cost", "native_tools")
_UNUSED: Mapping[Source, Sequence[str]] = {
    "endpoint": ("batch_size", "device"),
    # Which episodes share a batch is left to chance, and with it what a seed would give.
    "transformers": (*_SERVED, "seed"),
    "vllm": (*_SERVED, "device"),
    "recorded": (*_SERVED, "batch_size", "device", "top_p", "seed"),
}
_OWN_JUDGE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

OpenRun = tuple[Sequence[Item], Bench]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run can be told; ``None`` stands for the benchmark's own default.

    Without ``predictions`` every sample is taken, with no answer yet; without ``data`` there is
    none, as for a node of a cluster, which is sent its samples. ``recorded`` are the ids that a
    recording answers: each must be a sample's.
    """

    data: str | None
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
    pictures: Pictures = "all"
    recorded: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """What else may be asked of the same samples: all but answers, judge and this machine."""
        left_out = ("predictions", "judge", "recorded", "workers", "confinement")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        if self.data is not None and Path(self.data).exists():
            values["data"] = str(Path(self.data).resolve())
        return {n: str(v) if isinstance(v, Path) else v for n, v in values.items() if v is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """Who judges.

    Attributes:
        model: Name at the server; ``likeness`` for the embedded judge; or, where no ``base_url``
            is given, ``my.module:MyJudge``, a class. ``None`` for no judge, and then nothing else
            may be said of one.
        base_url: Of an OpenAI-compatible server; ``None`` is OpenAI.
        name: The user's for it: the same judge, whatever its address.
        since: Unix time; answers that were kept before are asked for again.
        rubric: Another than the benchmark's own.
        prompt: A file with the text to use instead of the rubric's.
        repeats: Answers a pair.
        concurrency: Questions under way at a time.
        max_cost: USD.
        key_variable: Environment variable with the key.
    """

    model: str | None
    base_url: str | None = None
    name: str | None = None
    since: float = 0.0
    rubric: str | None = None
    prompt: Path | None = None
    repeats: int = 1
    concurrency: int = 16
    max_cost: float | None = None
    key_variable: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        if self.model is None:
            for name in ("base_url", "name", "rubric", "prompt", "max_cost"):
                if getattr(self, name) is not None:
                    flag = _flag_name(name if name == "max_cost" else f"judge_{name}")
                    raise UserError(f"--{flag} is of no use without --judge MODEL")


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
        options: What the run was told.

    Raises:
        UserError: An unknown benchmark, or data and predictions that cannot be used.
    """
    benchmark = find_benchmark(name)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What ``rrvf eval`` can be told of the loop.

    Attributes:
        policy: A model's name at the server, a checkpoint, or a file of recorded answers.
        backend: ``None`` finds out: a server for a name or with ``base_url``, transformers for a
            folder with a checkpoint.
        base_url: Of an OpenAI-compatible server; ``None`` is OpenAI.
        policy_name: The user's for it: the same model, whatever its address.
        key_variable: Environment variable with its key.
        policy_max_cost: USD.
        batch_size: Conversations that a checkpoint in this process continues at a time.
        device: Where transformers puts it.
        repeats: Episodes a sample.
        temperature, top_p, seed: Of sampling.
        max_tokens: Tokens a completion.
        policy_prompt: A file whose system message is told instead of ours; with a user part, that
            is asked where a sample has no instruction of its own.
        native_tools: Offer the tool by the endpoint, not in words.
        tool_name, tool_argument: Of the tool, instead of the paper's; both or neither.
        max_turns: Completions an episode.
        max_episode_tokens: Tokens that the policy may write in an episode.
        max_seconds: After which an episode begins no further turn.
        attach_rendering: Show the policy its renderings.
        max_pixels: A larger picture is scaled down to it before the policy sees it.
        unanswered: What is scored of an episode without an answer.
        concurrency: Episodes that may wait at the same time.
        teacher: A model's name; ``None`` for no teacher.
        teacher_base_url, teacher_name, teacher_key_variable, teacher_max_cost: As for the policy.
        teacher_prompt: A file with the text to use instead of ours.
        since: Unix time; answers that were kept before are asked for again.
    """

    policy: str
    backend: Backend | None = None
    base_url: str | None = None
    policy_name: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    policy_max_cost: float | None = None
    batch_size: int | None = None
    device: str | None = None
    repeats: int = 1
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int = 4096
    policy_prompt: Path | None = None
    native_tools: bool = False
    tool_name: str | None = None
    tool_argument: str | None = None
    max_turns: int = 5
    max_episode_tokens: int | None = None
    max_seconds: float | None = None
    attach_rendering: bool = True
    max_pixels: int = MAX_PIXELS
    unanswered: Unanswered = "nothing"
    concurrency: int = 16
    teacher: str | None = None
    teacher_base_url: str | None = None
    teacher_name: str | None = None
    teacher_key_variable: str = "OPENAI_API_KEY"
    teacher_max_cost: float | None = None
    teacher_prompt: Path | None = None
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.teacher is None:
            teacher_options = (
                *("teacher_base_url", "teacher_name"),
                *("teacher_max_cost", "teacher_prompt"),
            )
            self._refuse(teacher_options, "without --teacher MODEL")
        if (self.tool_name is None) != (self.tool_argument is None):
            raise UserError("--tool-name and --tool-argument go together; give both")
        for name in (self.tool_name, self.tool_argument):
            if name is not None and not _TOOL_NAME.fullmatch(name):
                raise UserError(f"{name!r} names no tool or argument; use letters, digits, _ and -")
        source = self.source()
        if self.repeats > 1 and source == "recorded":
            raise UserError("--repeats is of no use with recorded answers")
        if self.repeats > 1 and self.temperature == 0:
            raise UserError(
                "--repeats asks for different episodes of a sample, and at temperature 0 there are "
                "none; name a --temperature"
            )
        backend = "with recorded answers" if source == "recorded" else f"with --backend {source}"
        self._refuse(_UNUSED[source], backend)

    def source(self) -> Source:
        """Where completions come from: the backend that was named, or the one that fits.

        Raises:
            UserError: None does.
        """
        path = Path(self.policy)
        if path.is_file():
            if self.backend is not None:
                raise UserError(f"{path} is a file of recorded answers; leave --backend out")
            return "recorded"
        if self.backend is not None or self.base_url is not None:
            return self.backend or "endpoint"
        if (path / "config.json").is_file():
            return "transformers"
        if path.is_dir():
            raise UserError(f"{path}: no checkpoint (config.json is missing)")
        if path.is_absolute() or self.policy.startswith(".") or path.suffix in KINDS:
            raise UserError(
                f"{path}: no such file or folder; name answers, a checkpoint or a model"
            )
        if not self.policy.strip():
            raise UserError("--policy names no model")
        return "endpoint"

    def _refuse(self, names: Sequence[str], reason: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False:
                raise UserError(f"--{_flag_name(name)} is of no use {reason}")

    def sampling(self) -> dict[str, Any]:
        """What is said of sampling besides the temperature."""
        values = {"top_p": self.top_p, "seed": self.seed}
        return {name: value for name, value in values.items() if value is not None}


def _flag_name(name: str) -> str:
    return name.replace("_", "-")


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
        open_teacher(
            _read_teacher_settings(loop), _read_teacher_prompt(loop, bench.language)
        ) as teacher,
    ):
        rules = _build_rules(loop, bench.language)
        trajectories = Trajectories(out)
        repeated_items = repeat_items(items, loop.repeats)
        yield (
            repeated_items,
            LoopScoring(bench, policy, teacher, rules, trajectories, loop.concurrency),
        )


def _build_rules(loop: LoopOptions, language: Language) -> AgentSettings:
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
        native_calls=loop.native_tools,
    )
    if loop.policy_prompt is None:
        return rules
    prompt = read_own_prompt(loop.policy_prompt, needs="system")
    return replace(rules, prompt=replace(prompt, user=prompt.user or rules.prompt.user))


def _choose_tool(loop: LoopOptions, language: Language) -> RenderTool:
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


def _read_teacher_prompt(loop: LoopOptions, language: Language) -> Prompt:
    path = loop.teacher_prompt
    return teacher_prompt(language) if path is None else read_own_prompt(path)


def _read_teacher_settings(loop: LoopOptions) -> ChatSettings | None:
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
        f"{part}: {usage.paid} answers paid, {usage.from_cache} kept from before, "
        f"{usage.failures} failed; {usage.input_tokens:,} tokens read, "
        f"{usage.output_tokens:,} written, {cost}"
    )


def _read_clip_settings(options: RunOptions) -> ClipSettings:
    settings = ClipSettings(weights=options.clip_weights, failure=options.clip_failure)
    return settings if options.clip_model is None else replace(settings, model=options.clip_model)
