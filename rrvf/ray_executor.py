"""Scoring on the nodes of a Ray cluster: the same files and numbers as on this machine.

A :class:`Slot` is an actor that executes one item at a time, with its own renderer and connections.
This process hands out items, collects results and alone writes the run. A slot is used only after
it has shown that it scores as this process does: same protocol, versions and confinement. When a
slot is lost, alone or with its node, its items go to other slots.

* Samples travel complete, with their pictures, so a node needs neither data nor predictions. Other
  paths in options (an interpreter, a browser, weights, a prompt, recorded answers) must exist on
  each node.
* Keys never travel: options hold names of environment variables, and a slot reads its node's own.
* An item that was running when a slot died three times is left unscored. The third time it runs
  alone, so that no other item is blamed.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import secrets
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from rrvf.bench import Bench, Scoring
from rrvf.benchmarks import find_benchmark
from rrvf.chat import REFUSED_PARTS
from rrvf.episodes import LoopScoring
from rrvf.errors import HarnessError, RrvfError, SetupError, UserError, boundary
from rrvf.evaluate import score_item
from rrvf.kinds.kind import Drawn, Script
from rrvf.renderers import cache
from rrvf.run_folder import ensure_token
from rrvf.runs import JudgeOptions, LoopOptions, RunOptions, open_episodes, open_run
from rrvf.scoring import Item, Outcome, make_unscored
from rrvf.trajectories import Trajectory
from rrvf.types import Pictures, Sample

Build = Callable[[], AbstractContextManager[Scoring]]
"""Opens on a node what scores there. It is pickled: a module's function, with its options."""

LOSSES = 3
"""After so many an item is given up; after so many slots that never opened, the run."""

NO_CLUSTER = (
    "no Ray cluster answers {address}; start one (ray start --head) or name one "
    "(--ray-address host:port)"
)

_Options = TypeVar("_Options", RunOptions, JudgeOptions, LoopOptions)
_ANSWER_SECONDS = 10.0
_CLOSING_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Scores items as Ray actors; see :class:`rrvf.evaluate.Executor`.

    Attributes:
        build: Opens what scores on a node. Its renderer and its connections serve one slot.
        address: Of the cluster, ``host:port``; ``None`` for ``$RAY_ADDRESS``, else the one that
            was started on this machine.
    """

    build: Build
    address: str | None = None

    def __call__(self, items: Sequence[Item], scoring: Scoring, workers: int) -> Generator[Outcome]:
        """Score on ``workers`` slots; see :class:`rrvf.evaluate.Executor`.

        Raises:
            UserError: No Ray, no cluster, or a node that would score otherwise.
        """
        if not items:
            return
        with connect(self.address) as ray:
            crew = _Crew(ray, self.build, scoring, items, workers)
            try:
                yield from crew.outcomes()
            finally:
                crew.close()


@contextmanager
def connect(address: str | None) -> Generator[Any]:
    """The module ``ray``, connected; a connection that is there already is used and left."""
    # Under "uv run" Ray would copy the working folder, whatever lies in it, to every node.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # A call that comes after the end would start a cluster of its own on this machine.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray
    except ImportError as error:
        raise SetupError("--executor ray needs Ray: pip install 'rrvf[ray]'") from error
    module = cast("Any", ray)
    if module.is_initialized():
        yield module
        return
    named = address or os.environ.get("RAY_ADDRESS")
    cluster = _find_cluster(named)
    try:
        # Ray takes this machine's token for a cluster that it finds itself, and for no other.
        module.init(cluster if named else "auto", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # another version of Ray or Python there, and the like
        raise SetupError(
            f"{cluster}: the Ray cluster cannot be used: {_first_line(error)}"
        ) from error
    try:
        yield module
    finally:
        module.shutdown()


def _find_cluster(address: str | None) -> str:
    """The address of a cluster that answers: Ray itself would wait for one for ever."""
    note = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    with suppress(OSError):
        address = address or note.read_text().strip()
    if not address:
        raise SetupError(NO_CLUSTER.format(address="on this machine"))
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise SetupError(NO_CLUSTER.format(address=f"at {address}")) from error
    return address


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


# --------------------------------------------------------------------------- from options


def build_executor(
    benchmark: str,
    options: RunOptions,
    loop: LoopOptions | None = None,
    address: str | None = None,
    out: Path | None = None,
) -> RayExecutor:
    """The executor of a run with these options; with ``loop``, of one that plays episodes.

    Questions that may be under way at a time are shared out among the slots. What a policy says is
    kept on each node for this run alone, which is known by its folder ``out``.

    Raises:
        UserError: Something was asked for that only a single process can keep.
    """
    costs = [options.judge and options.judge.max_cost]
    if loop is not None:
        costs += [loop.policy_max_cost, loop.teacher_max_cost]
        if loop.source() in ("transformers", "vllm"):
            raise UserError(
                "--executor ray needs a policy behind a server (vllm serve, --base-url), or "
                "recorded answers; a checkpoint would be loaded once for each of the workers"
            )
    if any(cost is not None for cost in costs):
        raise UserError(
            "a limit of cost works only in one process; leave it out with --executor ray"
        )
    run = None if loop is None or out is None else ensure_token(out)
    assets = find_benchmark(benchmark).find_assets(options.data)
    arguments = (
        fit_to_slot(replace(options, assets=assets)),
        _fit_loop_to_slot(options, loop),
        run,
    )
    build = partial(scoring_on_node, benchmark, *arguments)
    return RayExecutor(build, address)


def fit_to_slot(options: RunOptions) -> RunOptions:
    """The options of a slot, which draws one thing at a time and is sent its samples."""
    judge = options.judge
    if judge is not None:
        judge = _make_absolute(replace(judge, concurrency=-(-judge.concurrency // options.workers)))
    weights = options.clip_weights
    if weights is not None and Path(weights).is_file():
        weights = str(Path(weights).absolute())
    slot_options = replace(options, workers=1, judge=judge, clip_weights=weights)
    return _make_absolute(replace(slot_options, data=None, predictions=None, limit=None))


def _fit_loop_to_slot(options: RunOptions, loop: LoopOptions | None) -> LoopOptions | None:
    if loop is None:
        return None
    policy = str(Path(loop.policy).absolute()) if loop.source() == "recorded" else loop.policy
    share = -(-loop.concurrency // options.workers)
    return _make_absolute(replace(loop, policy=policy, concurrency=share))


def _make_absolute(options: _Options) -> _Options:
    """The same, its paths no matter of the working folder."""
    values = {option.name: getattr(options, option.name) for option in fields(options)}
    paths = {name: path.absolute() for name, path in values.items() if isinstance(path, Path)}
    return replace(options, **paths)


@contextmanager
def scoring_on_node(
    benchmark: str, options: RunOptions, loop: LoopOptions | None, run: str | None = None
) -> Generator[Scoring]:
    """What scores items that are sent to it.

    Args:
        benchmark: Its name.
        options: Without data and predictions.
        loop: For items that are episodes yet to be played.
        run: Names the run whose answers of a policy are kept here.
    """
    if loop is None:
        with open_run(benchmark, options) as (_, scoring):
            yield scoring
        return
    # Every item brings the place for its trajectory with it.
    answers = cache.folder() / "runs" / (run or secrets.token_hex(16))
    with open_episodes(benchmark, options, loop, Path(os.devnull), answers) as (_, scoring):
        yield scoring


# ------------------------------------------------------------------------------- what travels


@dataclass(frozen=True, slots=True)
class Parcel:
    """An item on its way to a slot.

    Attributes:
        item: As it stands here.
        image: Contents of the sample's picture, ``None`` where it has none that can be read.
        played: Its episode, where an earlier start played it.
    """

    item: Item
    image: bytes | None
    played: Trajectory | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What comes back: the outcome, and the episode if one was played for it."""

    outcome: Outcome
    played: Trajectory | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A user's mistake, in one line; as data, because exceptions travel with their traceback."""

    message: str


@dataclass(slots=True)
class InMemory:
    """Stands for :class:`rrvf.episodes.Trajectories`; what was played is taken home."""

    old: Trajectory | None = None
    new: Trajectory | None = None

    def find(self, sample_id: str, key: str) -> Trajectory | None:
        """The episode that was played before; who sent it has looked at the key."""
        is_same = self.old is not None and self.old.sample_id == sample_id
        return self.old if is_same else None

    def add(self, trajectory: Trajectory, key: str) -> None:
        """Keep the episode that was played now."""
        self.new = trajectory


# ---------------------------------------------------------------------------------- on a node


class Slot:
    """One execution at a time on a node; an actor whose methods run in several threads."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._open = ExitStack()

    def open(self) -> tuple[str, Mapping[str, Any]] | Refusal:
        """Start what draws and asks; returns the node's name and what moves scores there."""
        try:
            with boundary("opening a renderer"):
                self._scoring = self._open.enter_context(self._build())
                return platform.node(), describe_setup(self._scoring)
        except RrvfError as error:
            return Refusal(f"{platform.node()}: {error}")

    def score(self, parcel: Parcel) -> Parts | Refusal:
        """Score one item, playing its episode first where that is how this is scored."""
        trajectories = InMemory(parcel.played)
        scoring = self._scoring
        if isinstance(scoring, LoopScoring):
            scoring = replace(scoring, trajectories=trajectories)
        try:
            with _unpack(parcel) as item:
                return Parts(score_item(item, scoring), trajectories.new)
        except UserError as error:
            return Refusal(f"{platform.node()}: {error}")

    def draw(self, script: Script, pictures: Pictures) -> Drawn:
        """Execute code; nothing is scored here."""
        return self._find_bench().kind.draw(script, pictures)

    def draw_target(self, parcel: Parcel, pictures: Pictures) -> Drawn | Refusal:
        """What answers to a sample are compared with."""
        try:
            with _unpack(parcel) as (sample, _):
                return self._find_bench().kind.draw_target(sample, pictures)
        except RrvfError as error:
            return Refusal(str(error))

    def _find_bench(self) -> Bench:
        scoring = self._scoring
        assert isinstance(scoring, Bench)
        return scoring

    def close(self) -> None:
        """End what is under way."""
        scoring = getattr(self, "_scoring", None)
        if scoring is not None:
            scoring.close()
        self._open.close()


@contextmanager
def _unpack(parcel: Parcel) -> Generator[Item]:
    """The item, its picture a file on this node."""
    sample, completion = parcel.item
    if parcel.image is None or sample.image is None:
        yield parcel.item
        return
    with tempfile.TemporaryDirectory(prefix="rrvf-") as folder:
        image = Path(folder) / sample.image.name
        image.write_bytes(parcel.image)
        yield replace(sample, image=image), completion


def describe_setup(scoring: Scoring) -> dict[str, Any]:
    """What must be the same wherever items of one run are scored.

    Where the data are from is left out, and with it the hash: only one process reads them.
    """
    protocol = {k: v for k, v in scoring.protocol().items() if k not in ("data", "hash")}
    return {
        "protocol": protocol,
        "environment": scoring.environment(),
        "lacks": list(scoring.lacks()),
    }


def find_difference(local: object, remote: object, name: str = "") -> str | None:
    """The first setting that differs, with both values; ``None`` where all are the same."""
    if isinstance(local, Mapping) and isinstance(remote, Mapping):
        ours, theirs = cast("Mapping[str, Any]", local), cast("Mapping[str, Any]", remote)
        # What servers did not take is found out where they are asked.
        for key in (name for name in {**ours, **theirs} if name not in REFUSED_PARTS):
            text = find_difference(ours.get(key), theirs.get(key), f"{name}.{key}".lstrip("."))
            if text:
                return text
        return None
    return None if local == remote else f"{name}: {remote!r} there, {local!r} here"


# --------------------------------------------------------------------------- in this process


@dataclass(eq=False)
class _Task:
    item: Item
    losses: int = 0


@dataclass(eq=False)
class _Member:
    """A slot, seen from here."""

    actor: Any
    is_open: bool = False
    tasks: list[_Task] = field(default_factory=list[_Task])


class _Crew:
    """The slots of one run, and what is left to do.

    Args:
        ray: The module.
        build: As in :class:`RayExecutor`.
        scoring: How this process would score.
        items: What to score.
        workers: Slots.
    """

    def __init__(
        self, ray: Any, build: Build, scoring: Scoring, items: Sequence[Item], workers: int
    ) -> None:
        self._ray = ray
        self._build = build
        self._scoring = scoring
        self._loop = scoring if isinstance(scoring, LoopScoring) else None
        self._expected = describe_setup(scoring)
        self._workers = workers
        # An item that waits for an answer keeps no renderer busy.
        self._threads = 1 + math.ceil(scoring.count_waiting() / workers)
        self._n_left = len(items)
        self._queue = deque(_Task(item) for item in items)
        self._suspects: deque[_Task] = deque()
        self._members: list[_Member] = []
        self._under_way: dict[Any, tuple[_Member, _Task | None]] = {}
        self._n_stillborn = 0

    def outcomes(self) -> Iterator[Outcome]:
        """Every item's, as they are finished."""
        while self._n_left:
            self._fill()
            for outcome in self._take_next():
                self._n_left -= 1
                yield outcome

    def close(self) -> None:
        """End every slot, and what it has under way."""
        refs = [member.actor.close.remote() for member in self._members if member.is_open]
        if refs:
            self._ray.wait(refs, num_returns=len(refs), timeout=_CLOSING_SECONDS)
        for member in self._members:
            self._ray.kill(member.actor)

    # ------------------------------------------------------------------- giving out

    def _fill(self) -> None:
        while len(self._members) < min(self._workers, self._n_left):
            self._hire()
        for member in self._members:
            while member.is_open and (task := self._choose_task(member)):
                member.tasks.append(task)
                ref = member.actor.score.remote(self._pack(task.item))
                self._under_way[ref] = member, task

    def _hire(self) -> None:
        options = {
            "num_cpus": 1,
            "max_restarts": 0,
            "max_concurrency": self._threads + 1,  # one is free to close
            "scheduling_strategy": "SPREAD",
        }
        member = _Member(self._ray.remote(Slot).options(**options).remote(self._build))
        self._members.append(member)
        self._under_way[member.actor.open.remote()] = member, None

    def _choose_task(self, member: _Member) -> _Task | None:
        if self._suspects and not member.tasks:
            return self._suspects.popleft()
        is_alone = any(_is_suspect(task) for task in member.tasks)
        if is_alone or len(member.tasks) >= self._threads or not self._queue:
            return None
        return self._queue.popleft()

    def _pack(self, item: Item) -> Parcel:
        sample = item[0]
        loop = self._loop
        trajectory = None if loop is None else loop.trajectories.find(sample.id, loop.key(sample))
        return Parcel(item, read_image(sample), trajectory)

    # ------------------------------------------------------------------- taking up

    def _take_next(self) -> Iterable[Outcome]:
        """Wait for something to come back; what that amounts to."""
        ready, _ = self._ray.wait(list(self._under_way), timeout=PATIENCE_SECONDS)
        if not ready:
            if not any(member.is_open for member in self._members):
                _log.warning("waiting for a free CPU in the Ray cluster")
            return ()
        ref = ready[0]
        member, task = self._under_way.pop(ref)
        try:
            reply = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # it came back, with an exception
            if task is None:
                raise SetupError(f"a node cannot score: {_describe_cause(error)}") from error
            member.tasks.remove(task)
            return (self._give_up(task, _describe_cause(error)),)
        except self._ray.exceptions.RayError as error:
            return self._handle_loss(member, task, error)
        if isinstance(reply, Refusal):
            raise UserError(reply.message)
        if task is None:
            self._accept(member, *reply)
            return ()
        member.tasks.remove(task)
        return (self._take_parts(reply, task.item),)

    def _accept(self, member: _Member, node: str, setup: Mapping[str, Any]) -> None:
        difference = find_difference(self._expected, setup)
        if difference:
            raise SetupError(
                f"the node {node} scores differently from this machine ({difference}); give all "
                "nodes the same packages, fonts and confinement"
            )
        member.is_open = True
        self._n_stillborn = 0

    def _take_parts(self, parts: Parts, item: Item) -> Outcome:
        if parts.played is not None and self._loop is not None:
            with boundary("writing a trajectory"):
                self._loop.trajectories.add(parts.played, self._loop.key(item[0]))
        return parts.outcome

    def _handle_loss(self, member: _Member, task: _Task | None, error: Exception) -> list[Outcome]:
        """A slot is gone: its items go elsewhere, or are given up."""
        self._members.remove(member)
        for ref in [ref for ref, (owner, _) in self._under_way.items() if owner is member]:
            del self._under_way[ref]
        with suppress(Exception):  # it may be alive and out of reach
            self._ray.kill(member.actor)
        if task is None:
            self._n_stillborn += 1
            if self._n_stillborn >= LOSSES:
                raise SetupError(
                    "no slot could be opened in the Ray cluster; is the same rrvf installed on "
                    f"every node? ({_first_line(error)})"
                ) from error
        outcomes: list[Outcome] = []
        for orphan in member.tasks:
            orphan.losses += 1
            if orphan.losses >= LOSSES:
                reason = f"it was under way {LOSSES} times when a slot was lost: "
                outcomes.append(self._give_up(orphan, reason + _first_line(error)))
            else:
                (self._suspects if _is_suspect(orphan) else self._queue).appendleft(orphan)
        return outcomes

    def _give_up(self, task: _Task, reason: str) -> Outcome:
        error = HarnessError(f"scoring {task.item[0].id}: {reason}")
        return Outcome(make_unscored(task.item, self._scoring.names(), error))


def _is_suspect(task: _Task) -> bool:
    return task.losses == LOSSES - 1


def read_image(sample: Sample) -> bytes | None:
    """A picture that cannot be read fails where it is used, as it would here."""
    with suppress(OSError):
        return None if sample.image is None else sample.image.read_bytes()
    return None


def _describe_cause(error: Any) -> str:
    cause = error.cause
    return f"{type(cause).__name__}: {_first_line(cause)}"
