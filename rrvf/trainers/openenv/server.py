"""An environment behind OpenEnv's protocol: one session per connection, one bench for all.

The routes are OpenEnv's own. The guard, the limits and the loss-free shutdown of
:mod:`rrvf.serving` stand in front of them.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field, ValidationError
from starlette.types import ASGIApp

import rrvf
from rrvf.environment import Environment, Play
from rrvf.errors import UserError
from rrvf.options import ServiceOptions
from rrvf.serving.app import add_facts, explain_failures, put_guard
from rrvf.serving.gate import CLIENT, FairGate
from rrvf.serving.metrics import Metrics
from rrvf.serving.server import choose_hosts, read_token, serve
from rrvf.serving.service import put_gate
from rrvf.serving.sockets import SocketWatch
from rrvf.serving.wire import Body, CompletionBody, SampleId, describe_problems, view_play
from rrvf.trainers.openenv.models import RrvfAction, RrvfObservation, RrvfState
from rrvf.trainers.openenv.package import import_openenv
from rrvf.trajectories import Completion

ENV_NAME = "rrvf"
SPLIT = "all"
"""The one split of a service: the samples of its data, in their order."""

_Environment: Any = import_openenv("env_server.interfaces").Environment
_Metadata: Any = import_openenv("env_server.types").EnvironmentMetadata
_http_server = import_openenv("env_server.http_server")

_UNSERVED = ("/mcp",)
"""Routes of OpenEnv's for environments that are tools themselves; sessions begun by them idle."""


class ResetBody(Body):
    """Which episode to begin: of a sample, or of one that a number chooses."""

    sample: SampleId | None = None
    repeat: Annotated[int, Field(ge=0)] = 0
    split: str = SPLIT
    index: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


class Sessions:
    """What all sessions share: the environment, its renderers, and the gate in front of them.

    Args:
        environment: Where episodes are played.
        options: How much is taken on.
        workers: Drawings at the same time.
    """

    def __init__(self, environment: Environment, options: ServiceOptions, workers: int) -> None:
        self.metrics = Metrics()
        self.options = options
        self._gate = FairGate(workers)
        self.environment = put_gate(environment, self._gate, self.metrics)
        self.sample_ids = tuple(environment.samples)
        self._watch: SocketWatch | None = None
        self.metrics.watch("renders_waiting", self._gate.count_waiting)

    def watch(self, app: ASGIApp) -> ASGIApp:
        """The application, its conversations watched over from now on."""
        self._watch = SocketWatch(app, self.options.idle_seconds)
        return self._watch

    def end(self) -> None:
        """Draw nothing more; what waits is sent away, what is being drawn is finished."""
        self._gate.close()

    async def finish(self) -> None:
        """Wait until every session has its answer."""
        if self._watch is not None:
            await self._watch.finish()

    def close(self) -> None:
        """Nothing is left to close: every session closes its own thread."""

    def tasks(self, split: str) -> Sequence[str]:
        """Ids of the samples of a split.

        Raises:
            UserError: There is no such split.
        """
        if split != SPLIT:
            raise UserError(f"no split {split!r}; the only one is {SPLIT!r}")
        return self.sample_ids

    def choose_sample(self, body: ResetBody, n_begun: int) -> str:
        """The sample of an episode.

        Args:
            body: What was asked for.
            n_begun: Episodes that this session has begun before.

        Raises:
            UserError: There is none of this number, or there are none at all.
        """
        if body.sample is not None:
            if body.index is not None:
                raise UserError("reset: name a sample or an index, not both")
            return body.sample
        ids = self.tasks(body.split)
        if not ids:
            raise UserError("this service has no samples; serve it with --data")
        if body.index is not None:
            if body.index >= len(ids):
                raise UserError(f"no sample with the index {body.index}; there are {len(ids)}")
            return ids[body.index]
        if body.seed is not None:
            return random.Random(body.seed).choice(ids)
        return ids[n_begun % len(ids)]


def _replace_halves(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without halves of surrogates, which a script may draw and OpenEnv cannot send."""
    text = json.dumps(result, ensure_ascii=False)
    return json.loads(text.encode("utf-8", "replace"))


class RrvfEnvironment(_Environment):
    """One session; belongs to one thread at a time.

    Args:
        sessions: What it shares with the others.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._sessions = sessions
        self._environment = sessions.environment
        self._name = f"session {uuid.uuid4().hex}"
        self._n_begun = 0
        self._episode_id: str | None = None
        self._play: Play | None = None
        self._repeat = 0
        self._n_steps = 0

    # ------------------------------------------------------------------------------- episodes

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **options: Any
    ) -> RrvfObservation:
        """Begin an episode.

        Args:
            seed: Chooses a sample where none is named.
            episode_id: A name of the caller's for the episode.
            options: ``sample``, ``repeat``, ``index``, ``split``.

        Returns:
            The conversation for the policy to continue, with the picture to reproduce.

        Raises:
            UserError: There is no such sample or option.
            ComeAgainError: The service ends.
        """
        body = _read_reset({"seed": seed, **options})
        CLIENT.set(self._name)
        sample = self._sessions.choose_sample(body, self._n_begun)
        self._play = self._environment.begin(sample, body.repeat)
        self._n_begun += 1
        self._repeat = body.repeat
        self._episode_id = episode_id or uuid.uuid4().hex
        self._n_steps = 0
        return self._observe(self._play, n_known=0)

    def step(self, action: RrvfAction, timeout_s: float | None = None, **_: Any) -> RrvfObservation:
        """Take a completion, an end in place of one, or a whole episode.

        Args:
            action: Of the policy.
            timeout_s: Is not looked at: the limits of renderers, teacher and judge hold.

        Returns:
            The next messages for the policy; or, at the end, scores and reward.

        Raises:
            UserError: No episode is under way, or the action is ambiguous.
            ComeAgainError: The service ends.
        """
        play = self._require_play()
        CLIENT.set(self._name)
        if action.completions is not None:
            _require_alone(action, "completions")
            completions = [completion.to_completion() for completion in action.completions]
            self._play = self._environment.play(play.sample.id, completions, self._repeat)
            self._n_steps = len(self._play.turns)
            return self._observe(self._play, n_known=0)
        if play.is_over:
            raise UserError(f"the episode is over ({play.stop_reason}); reset begins another")
        n_known = len(play.messages())
        if action.end is not None:
            _require_alone(action, "end", "error")
            play.end(action.end, action.error)
        else:
            play.step(_read_completion(action))
        self._n_steps += 1
        return self._observe(play, n_known + 1)

    def _require_play(self) -> Play:
        if self._play is None:
            raise UserError("no episode was begun in this session, or it was closed: reset first")
        return self._play

    def _observe(self, play: Play, n_known: int) -> RrvfObservation:
        view = view_play(play, [] if play.is_over else play.messages()[n_known:])
        outcome = view.pop("outcome")
        if outcome is None:
            return RrvfObservation(repeat=self._repeat, **view)
        self._sessions.metrics.note_episode(play.rewarded())
        result, parts = outcome["result"], outcome["reward"]
        return RrvfObservation(
            repeat=self._repeat,
            done=True,
            reward=parts["total"],
            reward_parts=parts,
            scores={name: score["value"] for name, score in result["scores"].items()},
            result=_replace_halves(result),
            **view,
        )

    @property
    def state(self) -> RrvfState:
        """The state of the session."""
        environment, play = self._environment, self._play
        return RrvfState(
            episode_id=self._episode_id,
            step_count=self._n_steps,
            benchmark=environment.bench.benchmark.name,
            language=environment.bench.language,
            n_samples=len(self._sessions.sample_ids),
            native_tools=environment.rules.native_calls and environment.rules.max_turns > 1,
            sample=play.sample.id if play is not None else None,
            repeat=self._repeat,
            stop_reason=play.stop_reason if play is not None else None,
        )

    def close(self) -> None:
        """Forget the episode."""
        self._play = None

    # ----------------------------------------------------------------------------------- tasks

    def get_metadata(self) -> Any:
        """Name and version."""
        title = self._environment.bench.benchmark.title
        text = f"Pictures of {title} turned back into code, with renderings in between"
        return _Metadata(name=ENV_NAME, description=text, version=rrvf.__version__)

    def list_splits(self) -> list[Any]:
        """The one split there is."""
        return [{"name": SPLIT, "type": "train"}]

    def num_tasks(self, split: str) -> int:
        """How many samples there are."""
        return len(self._sessions.tasks(split))

    def list_tasks(self, split: str) -> list[Any]:
        """Every sample; ``reset(sample=...)`` takes the id."""
        return self.get_task_range(split)

    def get_task(self, split: str, index: int) -> Any:
        """One sample.

        Raises:
            IndexError: There is none of this number.
        """
        if index < 0:
            raise IndexError(index)
        return {"id": self._sessions.tasks(split)[index], "index": index}

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[Any]:
        """Some of the samples."""
        numbers = range(self.num_tasks(split))[start:stop]
        return [self.get_task(split, index) for index in numbers]


def _read_reset(options: Mapping[str, Any]) -> ResetBody:
    try:
        return ResetBody.model_validate(options)
    except ValidationError as error:
        raise UserError(f"reset: {describe_problems(error.errors())}") from error


def _read_completion(action: RrvfAction) -> Completion:
    fields = {name: getattr(action, name) for name in CompletionBody.model_fields}
    return CompletionBody(**fields).to_completion()


def _require_alone(action: RrvfAction, *names: str) -> None:
    others = action.model_dump(exclude_defaults=True).keys() - {*names, "metadata"}
    if others:
        raise UserError(f"an action with {names[0]} has no {', '.join(sorted(others))}")


# ---------------------------------------------------------------------------------- the service


def create_app(sessions: Sessions, token: str | None, hosts: Sequence[str]) -> ASGIApp:
    """The application, for any ASGI server.

    Args:
        sessions: What all sessions share.
        token: That clients must send; ``None`` where none is needed.
        hosts: Names by which clients may call it; ``*`` for any.
    """
    app: FastAPI = _http_server.create_fastapi_app(
        partial(RrvfEnvironment, sessions),
        RrvfAction,
        RrvfObservation,
        max_concurrent_envs=sessions.options.max_episodes,
        env_name=ENV_NAME,
        state_cls=RrvfState,
        mode="simulation",
    )
    routes = app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", "") not in _UNSERVED]
    explain_failures(app)
    add_facts(app, sessions.environment, sessions.metrics)
    return put_guard(sessions.watch(app), token, hosts, sessions.metrics)


def serve_openenv(
    environment: Environment,
    options: ServiceOptions,
    workers: int,
    announce: Callable[[str], None],
) -> None:
    """Serve an environment by OpenEnv's protocol.

    Args:
        environment: Where episodes are played.
        options: Where to listen, and how much to take on.
        workers: Drawings at the same time.
        announce: Called with the address when the service accepts requests.

    Raises:
        UserError: It cannot listen there.
    """
    token = read_token(options)
    sessions = Sessions(environment, options, workers)
    serve(create_app(sessions, token, choose_hosts(options, token)), sessions, options, announce)
