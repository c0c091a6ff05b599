"""The options of a run: each is defined once, with its default, its help and its flag.

The command line (:mod:`rrvf.flags`) makes its flags from these classes. Training's settings and the
VLMEvalKit plugin take their defaults from them. A field without a :class:`Flag` is only for the
library. This module imports nothing from the library, so ``--help`` starts quickly.
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
"""Suffixes of files with answers. A missing file with such a name is not taken for a model."""

MAX_PIXELS = 2048 * 1024
"""Larger pictures are scaled down before a policy sees them, in evaluation and in training."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """The command-line flag of a field.

    Attributes:
        help: One line.
        panel: The heading in ``--help``.
        name: The flag's name, if it is not the field's.
        least: The smallest allowed number.
        most: The largest allowed number.
        variable: An environment variable with the same effect.
        parse: Converts the typed text to the field's value.
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
_NAME = "Name that identifies the model, whatever its address."
_SERVED = ("base_url", "policy_name", "policy_max_cost", "native_tools")
_UNUSED: Mapping[Source, Sequence[str]] = {
    "endpoint": ("batch_size", "device"),
    # Which episodes share a batch is random, so a seed would not fix the result.
    "transformers": (*_SERVED, "seed"),
    "vllm": (*_SERVED, "device"),
    "recorded": (*_SERVED, "batch_size", "device", "top_p", "seed"),
}
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def flag_of(name: str) -> str:
    """The name of a field's flag, without the leading dashes."""
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
    """What is scored and how; ``None`` means the benchmark's own default.

    Attributes:
        data: Dataset folder, file or name. A cluster's node has none; it receives its samples.
        predictions: File or folder of answers; without it no sample has an answer yet.
        judge: The judge.
        recorded: Ids in a recording; each must be the id of a sample.
        assets: Files of the data set that pages may request, if they are sent to a node.
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
        Mode | None, Flag(help="Official scores, or with bugs fixed; WebSight is always fixed.")
    ] = None
    cleanup: Annotated[
        Cleanup | None, Flag(help="How a page is found in a reply: own rule, or Design2Code's.")
    ] = None
    scorers: Annotated[
        tuple[str, ...] | None,
        Flag(help="Comma-separated names or my.module:object.", parse=split_names),
    ] = None
    timeout: Annotated[
        int | None, Flag(least=1, help="Limit of a rendering in seconds: 60 of CPU, 10 for a page.")
    ] = None
    chart_python: ChartPython = None
    browser: Browser = None
    reference: Annotated[
        Literal["html", "image"],
        Flag(help="Compare pages with the HTML's rendering, or the image."),
    ] = "html"
    javascript: Annotated[bool, Flag(help="Let pages run their scripts.")] = False
    reuse_pages: Annotated[bool, Flag(help="Show all in one page instead of a context each.")] = (
        False
    )
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
        """The options that a later scoring reuses: all but answers, judge and this machine's."""
        left_out = ("predictions", "judge", "recorded", "assets", "workers", "confinement")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        if self.data is not None and Path(self.data).exists():
            values["data"] = str(Path(self.data).resolve())
        return {n: str(v) if isinstance(v, Path) else v for n, v in values.items() if v is not None}


_judge = partial(Flag, panel="Judge")


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """The judge.

    Attributes:
        model: The model's name at the server; ``likeness`` for the embedded judge; or, without a
            ``base_url``, the class ``my.module:MyJudge``. With ``None`` there is no judge, and
            no other option of a judge is allowed.
        since: Unix time; questions whose cached answers are older are asked again.
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
        str | None, _judge(name="judge-rubric", help="Rubric instead of the benchmark's.")
    ] = None
    prompt: Annotated[
        Path | None, _judge(name="judge-prompt", help="File with a prompt for the rubric.")
    ] = None
    repeats: Annotated[
        int, _judge(name="judge-repeats", least=1, help="Answers per pair; their mean counts.")
    ] = 1
    concurrency: Annotated[
        int, _judge(name="judge-concurrency", least=1, help="Questions at a time.")
    ] = 16
    max_cost: Annotated[float | None, _judge(help="Cost limit of the judge in USD.")] = None
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
    """The rules of an episode, and its teacher.

    Attributes:
        policy_prompt: A file whose system message replaces ours. If it has a user part, samples
            without their own instruction use it.
        tool_name, tool_argument: Give both or neither.
        teacher: ``None`` for no teacher.
        since: Unix time; questions whose cached answers are older are asked again.
    """

    max_tokens: Annotated[int, _policy(least=1, help="Tokens per completion.")] = 4096
    policy_prompt: Annotated[
        Path | None, _policy(help="Your system message, below '# System'.")
    ] = None
    native_tools: Annotated[
        bool, _policy(help="Offer the tool through the server's interface.")
    ] = False
    max_turns: Annotated[int, _loop(least=1, help="Completions per episode.")] = 5
    max_episode_tokens: Annotated[
        int | None, _loop(least=1, help="Tokens the policy may write in an episode.")
    ] = None
    max_seconds: Annotated[
        float | None, _loop(help="Time after which an episode starts no further turn.")
    ] = None
    tool_name: Annotated[str | None, _loop(help="Name of the tool instead of the paper's.")] = None
    tool_argument: Annotated[
        str | None, _loop(help="Name of the argument that holds the code.")
    ] = None
    attach_rendering: Annotated[
        bool, _loop(help="Show the policy its renderings beside the comments.")
    ] = True
    max_pixels: Annotated[
        int, _loop(least=1, help="Larger pictures are scaled down for the policy.")
    ] = MAX_PIXELS
    unanswered: Annotated[Unanswered, _loop(help="What is scored if an episode has no answer.")] = (
        "nothing"
    )
    tell_last_call: Annotated[
        bool, _loop(help="Tell the policy when no further call is possible.")
    ] = False
    concurrency: Annotated[
        int, _loop(least=1, help="Episodes that wait for a model at a time.")
    ] = 16
    teacher: Annotated[
        str | None, _teacher(help="Model that comments; without it, only renderings are shown.")
    ] = None
    teacher_base_url: Annotated[str | None, _teacher(help=_SERVER)] = None
    teacher_name: Annotated[str | None, _teacher(help=_NAME)] = None
    teacher_key_variable: Annotated[str, _teacher(name="teacher-key", help=_KEY)] = "OPENAI_API_KEY"
    teacher_max_cost: Annotated[float | None, _teacher(help="Cost limit in USD.")] = None
    teacher_prompt: Annotated[Path | None, _teacher(help="File with a prompt for the teacher.")] = (
        None
    )
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.teacher is None:
            of_a_teacher = ("base_url", "name", "max_cost", "prompt")
            refuse(self, [f"teacher_{part}" for part in of_a_teacher], "without --teacher MODEL")
        if (self.tool_name is None) != (self.tool_argument is None):
            raise UserError("--tool-name and --tool-argument go together; give both")
        for name in (self.tool_name, self.tool_argument):
            if name is not None and not _TOOL_NAME.fullmatch(name):
                raise UserError(
                    f"{name!r} cannot name a tool or argument; use letters, digits, _ and -"
                )


@dataclass(frozen=True, kw_only=True)
class LoopOptions(RuleOptions):
    """The policy that plays episodes, and their rules.

    Attributes:
        backend: If ``None``, it is inferred: a server for a name or with ``base_url``,
            transformers for a folder with a checkpoint.
    """

    policy: Annotated[
        str, _policy(help="Model at the server, a checkpoint, or a file of its answers.")
    ]
    backend: Annotated[
        Backend | None,
        _policy(help="A server, or a checkpoint in this process; inferred if left out."),
    ] = None
    base_url: Annotated[str | None, _policy(help=_SERVER)] = None
    policy_name: Annotated[str | None, _policy(help=_NAME)] = None
    key_variable: Annotated[str, _policy(name="key", help=_KEY)] = "OPENAI_API_KEY"
    policy_max_cost: Annotated[float | None, _policy(help="Cost limit in USD.")] = None
    batch_size: Annotated[
        int | None, _policy(least=1, help="Conversations that a checkpoint continues at a time.")
    ] = None
    device: Annotated[str | None, _policy(help="For transformers: cpu, cuda.")] = None
    repeats: Annotated[int, _policy(least=1, help="Episodes per sample; needs a temperature.")] = 1
    temperature: Annotated[float, _policy(least=0, help="0 always picks the likeliest token.")] = (
        0.0
    )
    top_p: Annotated[float | None, _policy(least=0, most=1, help="Nucleus sampling.")] = None
    seed: Annotated[int | None, _policy(help="Seed of sampling, if the server accepts one.")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        source = self.source()
        if self.repeats > 1 and source == "recorded":
            raise UserError("--repeats has no effect with recorded answers; leave it out")
        if self.repeats > 1 and self.temperature == 0:
            raise UserError(
                "--repeats needs different episodes of a sample, but at temperature 0 they are all "
                "equal; set --temperature"
            )
        backend = "with recorded answers" if source == "recorded" else f"with --backend {source}"
        refuse(self, _UNUSED[source], backend)

    def source(self) -> Source:
        """The source of completions: the named backend, or the one that fits the policy.

        Raises:
            UserError: No backend fits.
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
            raise UserError("--policy is empty; name a model, a checkpoint or a file of answers")
        return "endpoint"

    def sampling(self) -> dict[str, Any]:
        """The parameters of sampling besides the temperature."""
        parameters = {"top_p": self.top_p, "seed": self.seed}
        return {name: value for name, value in parameters.items() if value is not None}


_service = partial(Flag, panel="Service")


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """The address and the limits of a service."""

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
        int, _service(least=1, help="Requests in work or waiting; further ones are refused.")
    ] = 1280
    idle_seconds: Annotated[
        float, _service(least=1, help="An episode without requests for this long is dropped.")
    ] = 3600.0


_reward = partial(Flag, panel="Reward")


@dataclass(frozen=True, kw_only=True)
class RewardOptions:
    """The reward of an episode; see :mod:`rrvf.rewards`."""

    reward_vision: Annotated[
        str, _reward(help="Scores with weights, as in gpt, or text=1, layout=1.")
    ] = "gpt"
    reward_terms: Annotated[
        str, _reward(help="Terms of your own with weights, as in my.module:progress=0.3.")
    ] = ""
    vision_weight: Annotated[float, _reward(help="Weight of R_vision.")] = 0.8
    format_weight: Annotated[float, _reward(help="Weight of R_format.")] = 0.2
    tool_weight: Annotated[float, _reward(help="Weight of R_tool.")] = 1.2
    structure_penalty: Annotated[
        float, _reward(help="Taken off R_format if the structure is wrong.")
    ] = 1.0
    running_penalty: Annotated[
        float, _reward(help="Taken off R_format if the final code fails.")
    ] = 1.0
    tool_gate: Annotated[
        float | None, _reward(help="R_tool needs an R_vision above this; null for no gate.")
    ] = 0.5
    tool_cap: Annotated[
        int, _reward(least=1, help="Successful calls that earn the whole of R_tool.")
    ] = 1
    progress_weight: Annotated[
        float, _reward(help="Weight of the gain in likeness from first draft to answer.")
    ] = 0.0
    tool_must_gain: Annotated[
        bool,
        _reward(
            help="A call is successful only if it is closer to the target than an empty picture "
            "and the last draft."
        ),
    ] = False


_servers = partial(Flag, panel="Servers")


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """Options of a recipe: the places of data and models, and replacements for its models.

    Attributes:
        base_url: A server with the policy; without it one is started, or OpenAI is asked.
        judge: A judge instead of the recipe's.
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
    base_url: Annotated[str | None, _servers(help="Server with the policy; none is started.")] = (
        None
    )
    key_variable: Annotated[str, _servers(name="key", help=_KEY)] = "OPENAI_API_KEY"
    policy_max_cost: Annotated[float | None, _servers(help="Cost limit in USD.")] = None
    teacher: Annotated[str | None, _servers(help="Another teacher, or its name at its URL.")] = None
    teacher_base_url: Annotated[
        str | None, _servers(help="Server with the teacher; none is started.")
    ] = None
    teacher_key_variable: Annotated[str, _servers(name="teacher-key", help=_KEY)] = "OPENAI_API_KEY"
    patience: Annotated[
        float, _servers(least=1, help="Seconds that a server may take to start.")
    ] = 3600.0
    concurrency: Annotated[
        int, _servers(least=1, help="Episodes that wait for a model at a time.")
    ] = 16
    judge: Annotated[str | None, _judge(help="Another judge than the recipe's.")] = None
    judge_base_url: Annotated[str | None, _judge(help=_SERVER)] = None
    judge_key_variable: Annotated[str, _judge(name="judge-key", help=_KEY)] = "OPENAI_API_KEY"
    judge_concurrency: Annotated[int, _judge(least=1, help="Questions at a time.")] = 16
    max_cost: Annotated[float | None, _judge(help="Cost limit of the judge in USD.")] = None
    chart_python: ChartPython = None
    browser: Browser = None
    clip_weights: Annotated[
        str | None, Flag(variable="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file.")
    ] = None
    confinement: Confinement = "auto"


def refuse(options: JudgeOptions | RuleOptions, names: Sequence[str], why: str) -> None:
    """Refuse options that would have no effect.

    Raises:
        UserError: The user gave one of them.
    """
    flags = find_flags(type(options))
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:
            raise UserError(
                f"--{flags[name].name or flag_of(name)} has no effect {why}; leave it out"
            )
