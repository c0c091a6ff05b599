"""Options of the command line that several commands share, and those that belong together.

A group is a dataclass with an option a field. :func:`expand_groups` lets a command take a whole
group as one argument while Typer sees the options. Groups import nothing of the library, so that
``--help`` is instant; :func:`read_values` hands their values to the library's options, which have
the same names.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import OptionInfo

Workers = Annotated[int, typer.Option(min=1, help="Executions at the same time.")]
ChartPython = Annotated[
    Path | None,
    typer.Option(
        envvar="RRVF_CHART_PYTHON", help="Interpreter that draws, with the plotting packages."
    ),
]
Browser = Annotated[
    Path | None, typer.Option(envvar="RRVF_CHROMIUM", help="Chromium that shows web pages.")
]
Level = Annotated[
    Literal["auto", "namespaces", "landlock", "seccomp", "rlimits"],
    typer.Option(envvar="RRVF_CONFINEMENT", help="Level to use; below landlock only if named."),
]
Server = "Any OpenAI-compatible server; without it, OpenAI."
Key = "Environment variable that holds the key."
Name = "Your name for it: the same one, whatever its address."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """What is scored and how: most of :class:`rrvf.runs.RunOptions`."""

    PANEL: ClassVar = "Data and scores"

    data: Annotated[str, typer.Option(help="Dataset folder or file, or its name.")]
    subset: Annotated[str | None, typer.Option(help="Subset of the folder, direct_600.")] = None
    task: Annotated[str | None, typer.Option(help="direct or customized.")] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None
    workers: Workers = 2
    mode: Annotated[
        Literal["official", "fixed"], typer.Option(help="Official scores, or with bugs mended.")
    ] = "official"
    scorers: Annotated[
        str | None, typer.Option(help="Comma-separated names or my.module:object.")
    ] = None
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds a rendering may take: 60 of CPU, 10 a page.")
    ] = None
    chart_python: ChartPython = None
    browser: Browser = None
    reference: Annotated[
        Literal["html", "image"],
        typer.Option(help="Compare pages with the HTML's rendering, or the image."),
    ] = "html"
    javascript: Annotated[bool, typer.Option(help="Let pages run their scripts.")] = False
    reuse_pages: Annotated[bool, typer.Option(help="One page for all, not a context each.")] = False
    clip_model: Annotated[str | None, typer.Option(help="open_clip model.")] = None
    clip_weights: Annotated[
        str | None,
        typer.Option(envvar="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file."),
    ] = None
    clip_failure: Annotated[
        Literal["zero", "black"],
        typer.Option(help="A failed page scores zero, or as a black picture."),
    ] = "zero"
    pictures: Annotated[
        Literal["all", "failed", "none"],
        typer.Option(help="Samples that keep pictures; rrvf report draws the others."),
    ] = "all"
    confinement: Level = "auto"
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask judge and teacher anew, whatever is kept.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainFlags:
    """What is to change when a run is scored again; ``None`` leaves it as it was."""

    PANEL: ClassVar = "Data and scores"

    data: Annotated[str | None, typer.Option(help="Where the samples are now.")] = None
    subset: Annotated[str | None, typer.Option(help="Subset of the folder.")] = None
    task: Annotated[str | None, typer.Option(help="direct or customized.")] = None
    mode: Annotated[
        Literal["official", "fixed"] | None, typer.Option(help="Official scores, or mended.")
    ] = None
    scorers: Annotated[
        str | None, typer.Option(help="Comma-separated names or my.module:object.")
    ] = None
    reference: Annotated[
        Literal["html", "image"] | None,
        typer.Option(help="Compare pages with the HTML's rendering, or the image."),
    ] = None
    timeout: Annotated[int | None, typer.Option(min=1, help="Seconds a rendering may take.")] = None
    chart_python: ChartPython = None
    browser: Browser = None
    clip_model: Annotated[str | None, typer.Option(help="open_clip model.")] = None
    clip_weights: Annotated[
        str | None,
        typer.Option(envvar="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file."),
    ] = None
    pictures: Annotated[
        Literal["all", "failed", "none"] | None, typer.Option(help="Samples that keep pictures.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeFlags:
    """Who judges: :class:`rrvf.runs.JudgeOptions`."""

    PANEL: ClassVar = "Judge"

    model: Annotated[
        str | None,
        typer.Option(
            "--judge", help="Model that fills the GPT column; likeness, or my.module:MyJudge."
        ),
    ] = None
    base_url: Annotated[str | None, typer.Option("--judge-base-url", help=Server)] = None
    name: Annotated[str | None, typer.Option("--judge-name", help=Name)] = None
    rubric: Annotated[
        str | None, typer.Option("--judge-rubric", help="Another than the benchmark's.")
    ] = None
    prompt: Annotated[
        Path | None, typer.Option("--judge-prompt", help="Text for the rubric's own.")
    ] = None
    repeats: Annotated[
        int, typer.Option("--judge-repeats", min=1, help="Answers a pair; gives a mean.")
    ] = 1
    concurrency: Annotated[
        int, typer.Option("--judge-concurrency", min=1, help="Questions at a time.")
    ] = 16
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", help="USD the judge may cost.")
    ] = None
    key_variable: Annotated[str, typer.Option("--judge-key", help=Key)] = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFlags:
    """Where completions come from: a part of :class:`rrvf.runs.LoopOptions`."""

    PANEL: ClassVar = "Policy"

    policy: Annotated[
        str, typer.Option(help="Model at the server, a checkpoint, or a file of its answers.")
    ]
    backend: Annotated[
        Literal["endpoint", "transformers", "vllm"] | None,
        typer.Option(help="A server, or a checkpoint in this process; found out if not named."),
    ] = None
    base_url: Annotated[str | None, typer.Option(help=Server)] = None
    policy_name: Annotated[str | None, typer.Option(help=Name)] = None
    key_variable: Annotated[str, typer.Option("--key", help=Key)] = "OPENAI_API_KEY"
    policy_max_cost: Annotated[float | None, typer.Option(help="USD it may cost.")] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Conversations that a checkpoint goes on at a time.")
    ] = None
    device: Annotated[str | None, typer.Option(help="For transformers: cpu, cuda.")] = None
    repeats: Annotated[int, typer.Option(min=1, help="Episodes a sample; needs a temperature.")] = 1
    temperature: Annotated[float, typer.Option(min=0, help="0 for the likeliest words.")] = 0.0
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Nucleus sampling.")] = None
    seed: Annotated[int | None, typer.Option(help="Of sampling, where a server takes it.")] = None
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens a completion.")] = 4096
    policy_prompt: Annotated[
        Path | None, typer.Option(help="Your system message, below '# System'.")
    ] = None
    native_tools: Annotated[
        bool, typer.Option(help="Offer the tool by the server, not in words.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFlags:
    """The rules of the loop: a part of :class:`rrvf.runs.LoopOptions`."""

    PANEL: ClassVar = "Loop"

    max_turns: Annotated[int, typer.Option(min=1, help="Completions an episode.")] = 5
    max_episode_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens the policy may write in an episode.")
    ] = None
    max_seconds: Annotated[
        float | None, typer.Option(help="After which an episode begins no further turn.")
    ] = None
    tool_name: Annotated[str | None, typer.Option(help="Of the tool, not the paper's.")] = None
    tool_argument: Annotated[str | None, typer.Option(help="That holds the code.")] = None
    attach_rendering: Annotated[
        bool, typer.Option(help="Show the policy its renderings beside the comments.")
    ] = True
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Larger pictures are scaled down for the policy.")
    ] = 2048 * 1024
    unanswered: Annotated[
        Literal["nothing", "last_rendered"],
        typer.Option(help="What is scored of an episode without an answer."),
    ] = "nothing"
    concurrency: Annotated[int, typer.Option(min=1, help="Episodes that wait at a time.")] = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFlags:
    """Who comments: a part of :class:`rrvf.runs.LoopOptions`."""

    PANEL: ClassVar = "Teacher"

    teacher: Annotated[
        str | None, typer.Option(help="Model that comments; without it, renderings are shown.")
    ] = None
    teacher_base_url: Annotated[str | None, typer.Option(help=Server)] = None
    teacher_name: Annotated[str | None, typer.Option(help=Name)] = None
    teacher_key_variable: Annotated[str, typer.Option("--teacher-key", help=Key)] = "OPENAI_API_KEY"
    teacher_max_cost: Annotated[float | None, typer.Option(help="USD it may cost.")] = None
    teacher_prompt: Annotated[Path | None, typer.Option(help="Text to ask instead.")] = None


class SeveralValues(TyperCommand):
    """A command some of whose options take all the words up to the next option."""

    flags = frozenset({"--runs"})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--runs A B`` means ``--runs A --runs B``."""
        words: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            values = list(takewhile(lambda value: not value.startswith("-"), rest))
            if word in self.flags and values:
                words += [part for value in values for part in (word, value)]
                del rest[: len(values)]
            else:
                words.append(word)
        return super().parse_args(ctx, words)


def read_values(*groups: Any) -> dict[str, Any]:
    """The values of some groups by the names of their fields."""
    return {field.name: getattr(group, field.name) for group in groups for field in fields(group)}


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose arguments may be groups, as Typer wants it: every option an argument."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        option = parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name])
        parameters += _list_parameters(name, groups[name]) if name in groups else [option]

    @functools.wraps(command)
    def flat(**arguments: Any) -> None:
        for name, kind in groups.items():
            values = {field.name: arguments.pop(f"{name}_{field.name}") for field in fields(kind)}
            arguments[name] = kind(**values)
        command(**arguments)

    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(flat)["__signature__"] = inspect.Signature(parameters)
    return flat


def _list_parameters(name: str, group: Any) -> Iterator[inspect.Parameter]:
    """A parameter for each field of a group."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        kind, option = hints[field.name].__origin__, hints[field.name].__metadata__[0]
        yield inspect.Parameter(
            f"{name}_{field.name}",
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=Annotated[kind, _name_option(option, field.name, kind, group.PANEL)],
        )


def _name_option(option: OptionInfo, name: str, kind: Any, panel: str) -> OptionInfo:
    """An option with its name and the panel of the help in which it stands."""
    option = copy.copy(option)
    flag = name.replace("_", "-")
    names = f"--{flag}/--no-{flag}" if kind is bool else f"--{flag}"
    if option.default is ...:  # where Typer keeps the first name given within Annotated
        option.param_decls = (names,)
    option.rich_help_panel = panel
    return option
