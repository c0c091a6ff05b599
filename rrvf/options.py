"""What a run can be told: every option once, with its default, its help and its flag.

The command line (:mod:`rrvf.flags`) makes its flags from these classes; training's settings and the
VLMEvalKit plugin take their defaults from them. A field without a :class:`Flag` is for the library
alone. Nothing here imports the library, so that ``--help`` is instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from rrvf.errors import UserError
from rrvf.types import Cleanup, Mode, Pictures

Backend = Literal["endpoint", "transformers", "vllm"]
Source = Literal["endpoint", "transformers", "vllm", "recorded"]
Unanswered = Literal["nothing", "last_rendered"]
Level = Literal["auto", "namespaces", "landlock", "seccomp", "rlimits"]

ANSWER_SUFFIXES = (".jsonl", ".json", ".xlsx", ".tsv", ".csv", ".pkl", ".gz")
"""Of files of answers; what ends so and is not there is no model's name."""

MAX_PIXELS = 2048 * 1024
"""Larger pictures are scaled down before a policy sees them, in evaluation and in training."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """How a field is given on the command line.

    Attributes:
        help: One line.
        panel: Heading under which ``--help`` lists it.
        name: Of the flag, where it is not the field's.
        least: Smallest number that it takes.
        most: Largest.
        variable: Environment variable that stands in for it.
        parse: Makes the field's value of the text that was typed.
    """

    help: str
    panel: str = "Data and scores"
    name: str | None = None
    least: float | None = None
    most: float | None = None
    variable: str | None = None
    parse: Callable[[str], Any] | None = None


def split_names(text: str) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name for name in map(str.strip, text.split(",")) if name)


_CONFINEMENT = Flag(variable="RRVF_CONFINEMENT", help="Level to use; below landlock only if named.")
Workers = Annotated[int, Flag(least=1, help="Executions at the same time.")]
ChartPython = Annotated[
    Path | None,
    Flag(variable="RRVF_CHART_PYTHON", help="Interpreter that draws, with the plotting packages."),
]
Browser = Annotated[
    Path | None, Flag(variable="RRVF_CHROMIUM", help="Chromium that shows web pages.")
]
Confinement = Annotated[Level, _CONFINEMENT]
_SERVER = "Any OpenAI-compatible server; without it, OpenAI."
_KEY = "Environment variable that holds the key."
_NAME = "Your name for it: the same one, whatever its address."
_SERVED = ("base_url", "policy_name", "policy_max_cost", "native_tools")
_UNUSED: Mapping[Source, Sequence[str]] = {
    "endpoint": ("batch_size", "device"),
    # Which episodes share a batch is left to chance, and with it what a seed would give.
    "transformers": (*_SERVED, "seed"),
    "vllm": (*_SERVED, "device"),
    "recorded": (*_SERVED, "batch_size", "device", "top_p", "seed"),
}
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def flag_of(name: str) -> str:
    """A field's name as that of a flag, without its dashes."""
    return name.replace("_", "-")


def find_flags(options: type) -> Mapping[str, Flag]:
    """The flags of a class of options, by field."""
    hints = get_type_hints(options, include_extras=True)
    every = {
        field.name: getattr(hints[field.name], "__metadata__", ()) for field in fields(options)
    }
    return {name: mark for name, marks in every.items() for mark in marks if isinstance(mark, Flag)}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is scored and how; ``None`` stands for the benchmark's own default.

    Attributes:
        data: Dataset folder, file or name; without it there are no samples, as for a node of a
            cluster, which is sent its own.
        predictions: File or folder of answers; without it no sample has one yet.
        judge: Who judges.
        recorded: Ids that a recording answers: each must be a sample's.
        assets: Files of the data set that pages find beside them, where a node is sent them.
    """

    data: Annotated[str | None, Flag(help="Dataset folder or file, or its name.")]
    predictions: Path | None = None
    subset: Annotated[str | None, Flag(help="Subset of the folder, direct_600.")] = None
    task: Annotated[
        str | None, Flag(help="direct; or customized, conditional, text_augmented.")
    ] = None
    limit: Annotated[int | None, Flag(least=1, help="Only the first N samples.")] = None
    workers: Workers = 2
    mode: Annotated[
        Mode | None, Flag(help="Official scores, or with bugs mended; WebSight has fixed ones.")
    ] = None
    cleanup: Annotated[
        Cleanup | None, Flag(help="How a page is found in a reply: own rule, or Design2Code's.")
    ] = None
    scorers: Annotated[
        tuple[str, ...] | None,
        Flag(help="Comma-separated names or my.module:object.", parse=split_names),
    ] = None
    timeout: Annotated[
        int | None, Flag(least=1, help="Seconds a rendering may take: 60 of CPU, 10 a page.")
    ] = None
    chart_python: ChartPython = None
    browser: Browser = None
    reference: Annotated[
        Literal["html", "image"],
        Flag(help="Compare pages with the HTML's rendering, or the image."),
    ] = "html"
    javascript: Annotated[bool, Flag(help="Let pages run their scripts.")] = False
    reuse_pages: Annotated[bool, Flag(help="One page for all, not a context each.")] = False
    clip_model: Annotated[str | None, Flag(help="open_clip model.")] = None
    clip_weights: Annotated[
        str | None, Flag(variable="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file.")
    ] = None
    clip_failure: Annotated[
        Literal["zero", "black"], Flag(help="A failed page scores zero, or as a black picture.")
    ] = "zero"
    pictures: Annotated[
        Pictures, Flag(help="Samples that keep pictures; rrvf report draws the others.")
    ] = "all"
    confinement: Annotated[Level | None, _CONFINEMENT] = "auto"
    judge: JudgeOptions | None = None
    recorded: tuple[str, ...] | None = None
    assets: Mapping[str, bytes] | None = None

    def to_json(self) -> dict[str, Any]:
        """What else may be asked of the same samples: all but answers, judge and this machine."""
        left_out = ("predictions", "judge", "recorded", "assets", "workers", "confinement")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        if self.data is not None and Path(self.data).exists():
            values["data"] = str(Path(self.data).resolve())
        return {n: str(v) if isinstance(v, Path) else v for n, v in values.items() if v is not None}


_judge = partial(Flag, panel="Judge")


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """Who judges.

    Attributes:
        model: Name at the server; ``likeness`` for the embedded judge; or, where no ``base_url``
            is given, ``my.module:MyJudge``, a class. ``None`` for no judge, and then nothing else
            may be said of one.
        since: Unix time; answers that were kept before are asked for again.
    """

    model: Annotated[
        str | None,
        _judge(
            name="judge", help="Model that fills the GPT column; likeness, or my.module:MyJudge."
        ),
    ] = None
    base_url: Annotated[str | None, _judge(name="judge-base-url", help=_SERVER)] = None
    name: Annotated[str | None, _judge(name="judge-name", help=_NAME)] = None
    rubric: Annotated[
        str | None, _judge(name="judge-rubric", help="Another than the benchmark's.")
    ] = None
    prompt: Annotated[
        Path | None, _judge(name="judge-prompt", help="Text for the rubric's own.")
    ] = None
    repeats: Annotated[
        int, _judge(name="judge-repeats", least=1, help="Answers a pair; gives a mean.")
    ] = 1
    concurrency: Annotated[
        int, _judge(name="judge-concurrency", least=1, help="Questions at a time.")
    ] = 16
    max_cost: Annotated[float | None, _judge(help="USD the judge may cost.")] = None
    key_variable: Annotated[str, _judge(name="judge-key", help=_KEY)] = "OPENAI_API_KEY"
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.model is None:
            refuse(
                self, ("base_url", "name", "rubric", "prompt", "max_cost"), "without --judge MODEL"
            )


_policy = partial(Flag, panel="Policy")
_loop = partial(Flag, panel="Loop")
_teacher = partial(Flag, panel="Teacher")


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """By which rules episodes are played, and who comments.

    Attributes:
        policy_prompt: A file whose system message is told instead of ours; with a user part, that
            is asked where a sample has no instruction of its own.
        tool_name, tool_argument: Both or neither.
        teacher: ``None`` for no teacher.
        since: Unix time; answers that were kept before are asked for again.
    """

    max_tokens: Annotated[int, _policy(least=1, help="Tokens a completion.")] = 4096
    policy_prompt: Annotated[
        Path | None, _policy(help="Your system message, below '# System'.")
    ] = None
    native_tools: Annotated[bool, _policy(help="Offer the tool by the server, not in words.")] = (
        False
    )
    max_turns: Annotated[int, _loop(least=1, help="Completions an episode.")] = 5
    max_episode_tokens: Annotated[
        int | None, _loop(least=1, help="Tokens the policy may write in an episode.")
    ] = None
    max_seconds: Annotated[
        float | None, _loop(help="After which an episode begins no further turn.")
    ] = None
    tool_name: Annotated[str | None, _loop(help="Of the tool, not the paper's.")] = None
    tool_argument: Annotated[str | None, _loop(help="That holds the code.")] = None
    attach_rendering: Annotated[
        bool, _loop(help="Show the policy its renderings beside the comments.")
    ] = True
    max_pixels: Annotated[
        int, _loop(least=1, help="Larger pictures are scaled down for the policy.")
    ] = MAX_PIXELS
    unanswered: Annotated[
        Unanswered, _loop(help="What is scored of an episode without an answer.")
    ] = "nothing"
    tell_last_call: Annotated[
        bool, _loop(help="Say after the last call that there is room for that none is left.")
    ] = False
    concurrency: Annotated[int, _loop(least=1, help="Episodes that wait at a time.")] = 16
    teacher: Annotated[
        str | None, _teacher(help="Model that comments; without it, renderings are shown.")
    ] = None
    teacher_base_url: Annotated[str | None, _teacher(help=_SERVER)] = None
    teacher_name: Annotated[str | None, _teacher(help=_NAME)] = None
    teacher_key_variable: Annotated[str, _teacher(name="teacher-key", help=_KEY)] = "OPENAI_API_KEY"
    teacher_max_cost: Annotated[float | None, _teacher(help="USD it may cost.")] = None
    teacher_prompt: Annotated[Path | None, _teacher(help="Text to ask instead.")] = None
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.teacher is None:
            of_a_teacher = ("base_url", "name", "max_cost", "prompt")
            refuse(self, [f"teacher_{part}" for part in of_a_teacher], "without --teacher MODEL")
        if (self.tool_name is None) != (self.tool_argument is None):
            raise UserError("--tool-name and --tool-argument go together; give both")
        for name in (self.tool_name, self.tool_argument):
            if name is not None and not _TOOL_NAME.fullmatch(name):
                raise UserError(f"{name!r} names no tool or argument; use letters, digits, _ and -")


@dataclass(frozen=True, kw_only=True)
class LoopOptions(RuleOptions):
    """Who plays episodes, and by which rules.

    Attributes:
        backend: ``None`` finds out: a server for a name or with ``base_url``, transformers for a
            folder with a checkpoint.
    """

    policy: Annotated[
        str, _policy(help="Model at the server, a checkpoint, or a file of its answers.")
    ]
    backend: Annotated[
        Backend | None,
        _policy(help="A server, or a checkpoint in this process; found out if not named."),
    ] = None
    base_url: Annotated[str | None, _policy(help=_SERVER)] = None
    policy_name: Annotated[str | None, _policy(help=_NAME)] = None
    key_variable: Annotated[str, _policy(name="key", help=_KEY)] = "OPENAI_API_KEY"
    policy_max_cost: Annotated[float | None, _policy(help="USD it may cost.")] = None
    batch_size: Annotated[
        int | None, _policy(least=1, help="Conversations that a checkpoint goes on at a time.")
    ] = None
    device: Annotated[str | None, _policy(help="For transformers: cpu, cuda.")] = None
    repeats: Annotated[int, _policy(least=1, help="Episodes a sample; needs a temperature.")] = 1
    temperature: Annotated[float, _policy(least=0, help="0 for the likeliest words.")] = 0.0
    top_p: Annotated[float | None, _policy(least=0, most=1, help="Nucleus sampling.")] = None
    seed: Annotated[int | None, _policy(help="Of sampling, where a server takes it.")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        source = self.source()
        if self.repeats > 1 and source == "recorded":
            raise UserError("--repeats is of no use with recorded answers")
        if self.repeats > 1 and self.temperature == 0:
            raise UserError(
                "--repeats asks for different episodes of a sample, and at temperature 0 there are "
                "none; name a --temperature"
            )
        backend = "with recorded answers" if source == "recorded" else f"with --backend {source}"
        refuse(self, _UNUSED[source], backend)

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
        if path.is_absolute() or self.policy.startswith(".") or path.suffix in ANSWER_SUFFIXES:
            raise UserError(
                f"{path}: no such file or folder; name answers, a checkpoint or a model"
            )
        if not self.policy.strip():
            raise UserError("--policy names no model")
        return "endpoint"

    def sampling(self) -> dict[str, Any]:
        """What is said of sampling besides the temperature."""
        parameters = {"top_p": self.top_p, "seed": self.seed}
        return {name: value for name, value in parameters.items() if value is not None}


_service = partial(Flag, panel="Service")


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """Where a service listens, and how much it takes on."""

    interface: Annotated[
        Literal["http", "openenv"], _service(help="Our own, or OpenEnv's (rrvf[openenv]).")
    ] = "http"
    host: Annotated[
        str, _service(help="Address to listen on; beyond this machine a token is needed.")
    ] = "127.0.0.1"
    port: Annotated[int, _service(least=0, most=65535, help="0 for any that is free.")] = 8300
    token_variable: Annotated[
        str | None, _service(help="Environment variable with the token that clients must send.")
    ] = None
    max_episodes: Annotated[int, _service(least=1, help="Episodes under way at a time.")] = 1024
    max_requests: Annotated[
        int, _service(least=1, help="Requests at work or waiting; more are sent away.")
    ] = 1280
    idle_seconds: Annotated[
        float, _service(least=1, help="After which an episode that nobody goes on with is dropped.")
    ] = 3600.0


_reward = partial(Flag, panel="Reward")


@dataclass(frozen=True, kw_only=True)
class RewardOptions:
    """What an episode earns; see :mod:`rrvf.rewards`."""

    reward_vision: Annotated[
        str, _reward(help="Scores with weights, as in gpt, or text=1, layout=1.")
    ] = "gpt"
    reward_terms: Annotated[
        str, _reward(help="Terms of your own with weights, as in my.module:progress=0.3.")
    ] = ""
    vision_weight: Annotated[float, _reward(help="Of R_vision.")] = 0.8
    format_weight: Annotated[float, _reward(help="Of R_format.")] = 0.2
    tool_weight: Annotated[float, _reward(help="Of R_tool.")] = 1.2
    structure_penalty: Annotated[
        float, _reward(help="Off R_format for a structure not the protocol's.")
    ] = 1.0
    running_penalty: Annotated[float, _reward(help="Off R_format where no final code runs.")] = 1.0
    tool_gate: Annotated[
        float | None, _reward(help="R_tool needs an R_vision above; null for no gate.")
    ] = 0.5
    tool_cap: Annotated[
        int, _reward(least=1, help="Successful calls that earn the whole of R_tool.")
    ] = 1
    progress_weight: Annotated[
        float, _reward(help="Of how much likelier the target the answer is than the first draft.")
    ] = 0.0
    tool_must_gain: Annotated[
        bool,
        _reward(
            help="A successful call draws what is likelier the target than nothing and the last "
            "draft."
        ),
    ] = False


_servers = partial(Flag, panel="Servers")


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """What a recipe is told besides: where things are, and who is asked instead.

    Attributes:
        base_url: Of a server that has the policy; without it one is started, or OpenAI is asked.
        judge: Another judge than the recipe's.
    """

    data: Annotated[str | None, Flag(help="Samples that are here, instead of fetching them.")] = (
        None
    )
    limit: Annotated[int | None, Flag(least=1, help="Only the first N samples.")] = None
    workers: Workers = 2
    checkpoint: Annotated[
        str | None,
        _servers(help="Policy: a folder, a name on the hub, or its name at --base-url."),
    ] = None
    base_url: Annotated[str | None, _servers(help="Serves the policy; none is started.")] = None
    key_variable: Annotated[str, _servers(name="key", help=_KEY)] = "OPENAI_API_KEY"
    policy_max_cost: Annotated[float | None, _servers(help="USD it may cost.")] = None
    teacher: Annotated[str | None, _servers(help="Another teacher, or its name at its URL.")] = None
    teacher_base_url: Annotated[
        str | None, _servers(help="Serves the teacher; none is started.")
    ] = None
    teacher_key_variable: Annotated[str, _servers(name="teacher-key", help=_KEY)] = "OPENAI_API_KEY"
    patience: Annotated[
        float, _servers(least=1, help="Seconds that a server may take to start.")
    ] = 3600.0
    concurrency: Annotated[int, _servers(least=1, help="Episodes that wait at a time.")] = 16
    judge: Annotated[str | None, _judge(help="Another judge than the recipe's.")] = None
    judge_base_url: Annotated[str | None, _judge(help=_SERVER)] = None
    judge_key_variable: Annotated[str, _judge(name="judge-key", help=_KEY)] = "OPENAI_API_KEY"
    judge_concurrency: Annotated[int, _judge(least=1, help="Questions at a time.")] = 16
    max_cost: Annotated[float | None, _judge(help="USD the judge may cost.")] = None
    chart_python: ChartPython = None
    browser: Browser = None
    clip_weights: Annotated[
        str | None, Flag(variable="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file.")
    ] = None
    confinement: Confinement = "auto"


def refuse(options: JudgeOptions | RuleOptions, names: Sequence[str], why: str) -> None:
    """Refuse options that would be of no use.

    Raises:
        UserError: One of them was given.
    """
    flags = find_flags(type(options))
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:
            raise UserError(f"--{flags[name].name or flag_of(name)} is of no use {why}")
