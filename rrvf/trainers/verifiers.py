"""RRVF as an environment of the package ``verifiers``, 0.4 or later.

``vf-eval rrvf`` finds the three classes by the name of this package. :class:`RrvfTaskset` makes a
task for each sample, and its tasks score episodes. :class:`RrvfHarness` plays our loop in this
process, with its model behind verifiers' interception server. :class:`RrvfEnv` keeps renderers and
scorers open as long as it serves. The manual is ``README.md`` in this folder.

Each setting and process opens one environment of ours, for any number of tasks. Tasks find it by
their setting, see :class:`OpenEnvironments`.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import MISSING, dataclass, fields
from functools import partial
from itertools import islice
from typing import Any, ParamSpec, Self, TypeVar, cast, get_type_hints
from urllib.parse import urlsplit

from rrvf.agent import STOP
from rrvf.chat import Answer, ToolCall, to_wire
from rrvf.chat.faults import is_too_long
from rrvf.chat.question import read_answer
from rrvf.chat.wire import is_here
from rrvf.environment import Environment, Play, open_environment
from rrvf.errors import HarnessError, SetupError, UserError
from rrvf.options import JudgeOptions, RewardOptions, RuleOptions, RunOptions, find_flags
from rrvf.policies import to_completion
from rrvf.rewards import Rewarded
from rrvf.run_folder import picture_name
from rrvf.trajectories import Completion
from rrvf.types import Sample

try:
    from pydantic import Field, PrivateAttr, SerializeAsAny, create_model, model_validator

    vf: Any = importlib.import_module("verifiers.v1")
    openai: Any = importlib.import_module("openai")
except ImportError as error:
    raise SetupError(
        f"this needs verifiers, 0.4 or later: pip install 'rrvf[verifiers]' ({error})"
    ) from error

_P = ParamSpec("_P")
_T = TypeVar("_T")

_TOO_LARGE = 413
_ATTEMPTS_AGAIN = 4
"""A provider that is busy is asked again so often, a second or a few apart."""


# ---------------------------------------------------------------------------------- the setting


@dataclass(frozen=True, slots=True)
class Setting:
    """What an environment is opened with; equal ones share it.

    Attributes:
        benchmark: A name, or ``my.module:MyBenchmark``.
        run: Data, scorers, renderers, judge.
        rules: Of an episode, and who comments.
        reward: How scores become a reward.
    """

    benchmark: str
    run: RunOptions
    rules: RuleOptions
    reward: RewardOptions


_GROUPS = (RunOptions, JudgeOptions, RuleOptions, RewardOptions)
_LEFT_OUT = frozenset({"pictures"})
"""Of the options: they speak of a run folder, which verifiers has of its own."""

_RENAMED = {"task": "benchmark_task"}
"""``task`` is verifiers' own."""


def _name_fields(options: type) -> dict[str, str]:
    """Field of a class of options -> its name in the configuration: that of the flag."""
    named = {
        name: (flag.name or name).replace("-", "_")
        for name, flag in find_flags(options).items()
        if name not in _LEFT_OUT
    }
    return {name: _RENAMED.get(key, key) for name, key in named.items()}


def _build_fields() -> dict[str, Any]:
    """Every option of the command line as a field of the configuration, with its default."""
    built: dict[str, Any] = {}
    for options in _GROUPS:
        hints = get_type_hints(options, include_extras=True)
        defaults = {field.name: field.default for field in fields(options)}
        flags = find_flags(options)
        for name, key in _name_fields(options).items():
            flag = flags[name]
            kind = str | None if flag.parse is not None else hints[name].__origin__
            default = None if defaults[name] is MISSING else defaults[name]
            bounds: dict[str, Any] = {"ge": flag.least, "le": flag.most, "description": flag.help}
            if flag.variable is None:
                built[key] = (kind, Field(default, **bounds))
            else:
                find = partial(_find_default, flag.variable, default)
                built[key] = (kind, Field(default_factory=find, validate_default=True, **bounds))
    return built


def _find_default(variable: str, default: Any) -> Any:
    """What a variable of the environment says, else the default."""
    return os.environ.get(variable) or default


class RrvfTaskConfig(vf.TaskConfig):
    """What a task is told. Its setting comes from the taskset's own configuration."""

    _setting: Setting | None = PrivateAttr(default=None)

    def find_setting(self) -> Setting:
        """The setting.

        Raises:
            UserError: It is not the configuration of a taskset.
        """
        if self._setting is None:
            raise UserError(
                "a task of rrvf needs the configuration of its taskset: set "
                "--env.taskset.benchmark and --env.taskset.data"
            )
        return self._setting

    def set_setting(self, setting: Setting) -> None:
        """Tell the setting; not part of what is saved."""
        self._setting = setting


_Options: Any = create_model("_Options", __base__=vf.TasksetConfig, **_build_fields())


class RrvfTasksetConfig(_Options):
    """Every option of ``rrvf eval`` that speaks of data, scores, loop, teacher and reward."""

    benchmark: str = Field("", description="Name, or my.module:MyBenchmark.")
    task: SerializeAsAny[RrvfTaskConfig] = Field(default_factory=RrvfTaskConfig)

    @model_validator(mode="after")
    def link_task(self) -> Self:
        """Have tasks know the setting, wherever verifiers builds them."""
        if self.benchmark:
            try:
                self.task.set_setting(self.read_setting())
            except UserError as error:
                raise ValueError(str(error)) from error  # as pydantic wants it
        return self

    def read_setting(self) -> Setting:
        """The options of this library that the fields spell out.

        Raises:
            UserError: They do not fit together.
        """
        judge = JudgeOptions(**self._read_values(JudgeOptions))
        return Setting(
            self.benchmark,
            RunOptions(
                **self._read_values(RunOptions), judge=None if judge.model is None else judge
            ),
            RuleOptions(**self._read_values(RuleOptions)),
            RewardOptions(**self._read_values(RewardOptions)),
        )

    def _read_values(self, options: type) -> dict[str, Any]:
        flags = find_flags(options)
        values = {name: getattr(self, key) for name, key in _name_fields(options).items()}
        return {
            name: parse(value) if (parse := flags[name].parse) and value is not None else value
            for name, value in values.items()
        }


# ------------------------------------------------------------------------------ what is held open


@dataclass(frozen=True)
class Opened:
    """An environment that is open, and the threads that use it.

    Attributes:
        environment: Draws, comments, scores.
        threads: Enough for all that draw at a time and all that wait for a teacher or a judge.
        workers: How many draw at a time.
    """

    environment: Environment
    threads: ThreadPoolExecutor
    workers: int

    async def run(self, function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call what takes a while in a thread. Once begun it is waited for, come what may."""
        work = asyncio.get_running_loop().run_in_executor(
            self.threads, partial(function, *arguments, **named)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise

    def list_openings(self) -> Iterator[tuple[Sample, Play]]:
        """Every sample with an episode of it that has just begun; some are drawn ahead."""
        samples = list(self.environment.samples.values())
        begin = self.environment.begin
        yield from zip(
            samples,
            _map_ahead(self.threads, begin, (sample.id for sample in samples), self.workers),
            strict=True,
        )


def _map_ahead(
    threads: ThreadPoolExecutor, function: Callable[[str], _T], names: Iterable[str], ahead: int
) -> Iterator[_T]:
    """Results in their order; so many are worked on before they are asked for."""
    rest = iter(names)
    waiting: deque[Future[_T]] = deque(
        threads.submit(function, name) for name in islice(rest, ahead)
    )
    while waiting:
        done = waiting.popleft()
        waiting.extend(threads.submit(function, name) for name in islice(rest, 1))
        yield done.result()


@dataclass
class _Held:
    opened: Opened
    parts: ExitStack
    n_users: int = 0


class OpenEnvironments:
    """The environments that are open in this process, one for each setting; starting one is dear.

    Whoever finds none opens it. It is closed when the last of those that entered has left, else
    at the end of the process.
    """

    def __init__(self) -> None:
        self._held: dict[Setting, _Held] = {}
        self._lock = threading.Lock()

    def settings(self) -> tuple[Setting, ...]:
        """Those for which one is open."""
        return tuple(self._held)

    def find(self, setting: Setting) -> Opened:
        """The environment of a setting.

        Raises:
            UserError: Something is missing, or does not fit together.
        """
        with self._lock:
            return self._find(setting).opened

    def _find(self, setting: Setting) -> _Held:
        if setting not in self._held:
            self._held[setting] = _open(setting)
            atexit.unregister(self.close)
            atexit.register(self.close)  # before what was registered by opening it
        return self._held[setting]

    def enter(self, setting: Setting) -> None:
        """Keep the environment of a setting open until :meth:`leave`."""
        with self._lock:
            self._find(setting).n_users += 1

    def leave(self, setting: Setting) -> None:
        """Have no further use for it."""
        with self._lock:
            held = self._held[setting]
            held.n_users -= 1
            if held.n_users == 0:
                del self._held[setting]
                held.parts.close()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].parts.close()


def _open(setting: Setting) -> _Held:
    if setting.run.data is None:
        raise UserError("no data: set --env.taskset.data to a folder, a file or a name")
    with ExitStack() as opening:
        environment = opening.enter_context(
            open_environment(setting.benchmark, setting.run, setting.rules, setting.reward)
        )
        n_threads = setting.run.workers + setting.rules.concurrency
        threads = opening.enter_context(ThreadPoolExecutor(n_threads, "rrvf"))
        return _Held(Opened(environment, threads, setting.run.workers), opening.pop_all())


OPEN = OpenEnvironments()
"""Those of this process."""


# ------------------------------------------------------------------------------- tasks and scores


class RrvfState(vf.State):
    """What the taskset's task and our harness share while an episode is under way.

    Attributes:
        opened: Where it is played; an :class:`Opened`.
        play: The episode; a :class:`rrvf.environment.Play`.
    """

    opened: Any = None
    play: Any = None


class RrvfTask(vf.Task[vf.TaskData, RrvfState, RrvfTaskConfig]):
    """A picture to turn into code. Its scores and rewards are those of this library."""

    @property
    def key(self) -> str:
        """The sample's id."""
        return str(self.data.id)

    async def find_opened(self) -> Opened:
        """Where it is played."""
        return await asyncio.to_thread(OPEN.find, self.config.find_setting())

    async def setup(self, trace: Any, runtime: Any) -> None:
        """Begin an episode.

        Raises:
            HarnessError: Its picture cannot be had, through a fault of ours.
        """
        opened = await self.find_opened()
        trace.rewards.update(dict.fromkeys(opened.environment.rewarder.settings.weights()))
        play = await opened.run(opened.environment.begin, self.key)
        trace.state.opened, trace.state.play = opened, play
        raise_failure(play)

    async def validate(self, runtime: Any) -> bool:
        """Whether the picture to reproduce can be drawn."""
        opened = await self.find_opened()
        play = await opened.run(opened.environment.begin, self.key)
        raise_failure(play)
        return True

    async def score(self, trace: Any, runtime: Any = None) -> None:
        """Score and reward the episode; then what verifiers' own configuration adds.

        An episode that was not played here, as in ``vf-replay`` or with another harness, is played
        again from what its trace says.

        Raises:
            HarnessError: It could not be measured, through a fault of ours. The rewards stay
                ``None``, and the trace has an error.
        """
        if not self.scoring_deferred:
            opened = await self.find_opened()
            environment = opened.environment
            weights = environment.rewarder.settings.weights()
            trace.rewards.update(dict.fromkeys(weights))
            play = cast("Play | None", getattr(trace.state, "play", None))
            if play is None or not play.is_over:
                play = await opened.run(environment.play, self.key, list_completions(trace))
            record(trace, await opened.run(play.rewarded), weights)
        await super().score(trace, runtime)  # pyright: ignore[reportUnknownMemberType]


def raise_failure(play: Play) -> None:
    """Tell verifiers of an episode that ended through a fault of ours.

    Raises:
        HarnessError: It did.
    """
    if play.stop_reason == "harness_error":
        raise HarnessError(play.error or "harness_error")


def list_completions(trace: Any) -> list[Completion]:
    """What the model wrote, as a trace tells it."""
    reasons = {call.node: call.finish_reason for call in trace.calls}
    return [
        to_completion(_to_answer(node.message, reasons.get(number)))
        for number, node in enumerate(trace.nodes)
        if node.sampled
    ]


def _to_answer(message: Any, finish_reason: str | None) -> Answer:
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls or ())
    thought = message.reasoning_content or ""
    return Answer(message.content or "", finish_reason, tool_calls=calls, thought=thought)


def record(trace: Any, rewarded: Rewarded, weights: Mapping[str, float]) -> None:
    """Write scores and rewards into a trace.

    Raises:
        HarnessError: There is no reward; all else is written nevertheless.
    """
    reward, result = rewarded.reward, rewarded.outcome.result
    trace.metrics.update({name: score.value for name, score in result.scores.items()})
    trace.metrics["reward"] = reward.total
    pictures = {side: picture_name(png) for side, png in rewarded.outcome.pictures.items()}
    trace.info["rrvf"] = {
        "sample_id": result.sample_id,
        "status": result.status,
        "stop_reason": rewarded.trajectory.stop_reason,
        "error": result.error,
        "reason": reward.reason,
        "pictures": pictures,
    }
    if reward.total is None:
        raise HarnessError(f"no reward: {reward.reason}")
    parts = reward.parts()
    for name, weight in weights.items():
        trace.record_reward(name, parts[name], weight)


class RrvfTaskset(vf.Taskset[RrvfTask, RrvfTasksetConfig]):
    """A task for each sample of a benchmark."""

    def load(self) -> Iterator[RrvfTask]:
        """Tasks whose prompt is what the loop tells first, the picture included.

        Raises:
            UserError: Something is missing, or does not fit together.
        """
        opened = OPEN.find(self.config.task.find_setting())
        text = opened.environment.rules.prompt.user
        for sample, play in opened.list_openings():
            messages = to_wire(play.messages())
            if not messages:  # without a picture; it fails when it is played, and says why
                messages = [{"role": "user", "content": sample.prompt or text}]
            system = messages.pop(0)["content"] if messages[0]["role"] == "system" else None
            data = vf.TaskData(id=sample.id, name=sample.id, system_prompt=system, prompt=messages)
            yield RrvfTask(data, self.config.task)


# --------------------------------------------------------------------------------------- the loop


class RrvfHarnessConfig(vf.HarnessConfig):
    """The loop's rules stand with the taskset."""


class RrvfHarness(vf.Harness[RrvfHarnessConfig]):
    """Plays the loop in this process; the model is asked through verifiers' server.

    No code of the model runs in verifiers' runtime: ours draws it, confined.
    """

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: Mapping[str, str],
        data: Any,
    ) -> Any:
        """Play an episode to its end.

        Raises:
            HarnessError: It ended through a fault of ours.
            openai.OpenAIError: The model's server failed.
        """
        opened = cast("Opened | None", getattr(trace.state, "opened", None))
        if opened is None:
            raise HarnessError("the harness rrvf plays tasks of the taskset rrvf alone")
        play: Play = trace.state.play
        try:
            async with _open_client(endpoint, secret) as client:
                while not play.is_over:
                    completion = await _ask(client, ctx.model, opened, play, data.system_prompt)
                    await opened.run(play.step, completion)
        except openai.OpenAIError as error:
            if not _end(play, trace, error):
                raise
        except asyncio.CancelledError:
            if not play.is_over:  # verifiers' own limit of time; what there is gets scored
                play.end("time_budget")
            raise
        raise_failure(play)
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")


def _open_client(endpoint: str, secret: str) -> Any:
    # A proxy of the environment is for other machines.
    http = openai.DefaultAsyncHttpxClient(trust_env=not is_here(urlsplit(endpoint).hostname or ""))
    return openai.AsyncOpenAI(
        base_url=endpoint,
        api_key=secret,
        max_retries=_ATTEMPTS_AGAIN,
        timeout=openai.Timeout(None, connect=10.0),  # the run's client has limits of its own
        http_client=http,
    )


async def _ask(
    client: Any, model: str, opened: Opened, play: Play, system_prompt: str | None
) -> Completion:
    """The model's next completion."""
    rules = opened.environment.rules
    tools = [rules.tool.schema()] if rules.native_calls and rules.max_turns > 1 else []
    body = {
        "model": model,
        "messages": _replace_system(to_wire(play.messages()), system_prompt),
        "stop": list(STOP),
        "max_tokens": play.tokens_left(),
        **({"tools": tools} if tools else {}),
    }
    reply: Any = await client.post("/chat/completions", cast_to=object, body=body)
    return to_completion(read_answer(reply))


def _replace_system(messages: Sequence[dict[str, Any]], text: str | None) -> list[dict[str, Any]]:
    """The conversation, its system message as verifiers' configuration has it."""
    rest = [message for message in messages if message["role"] != "system"]
    return [{"role": "system", "content": text}, *rest] if text is not None else rest


def _end(play: Play, trace: Any, error: Exception) -> bool:
    """End an episode whose model says no more; whether that is the model's own doing."""
    is_stopped = trace.stop_condition is not None  # by a limit or a rule of verifiers
    too_long = getattr(error, "status_code", None) == _TOO_LARGE or is_too_long(str(error))
    if is_stopped or (too_long and play.turns):
        play.end("token_budget")
        return True
    play.end("policy_error", str(error))
    return False


# ------------------------------------------------------------------------------------------ the env


class RrvfEnvConfig(vf.SingleAgentEnvConfig):
    """One seat; its program runs in this process, so that no sandbox is rented."""

    agent: vf.AgentConfig = (  # pyright: ignore[reportInvalidTypeForm, reportUnknownMemberType]
        vf.AgentConfig(runtime=vf.SubprocessConfig())
    )


class RrvfEnv(vf.SingleAgentEnv, vf.Env[RrvfEnvConfig]):
    """Holds what draws and scores open for as long as it serves."""

    _is_entered = False

    async def start(self) -> None:
        """Open it, where loading the tasks has not."""
        await asyncio.to_thread(OPEN.enter, self._find_setting())
        self._is_entered = True

    async def stop(self) -> None:
        """Close it."""
        if self._is_entered:
            self._is_entered = False
            await asyncio.to_thread(OPEN.leave, self._find_setting())

    def _find_setting(self) -> Setting:
        return self.taskset.config.task.find_setting()
