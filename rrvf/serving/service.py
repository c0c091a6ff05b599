"""The service without HTTP: episodes by id, work in threads, a shutdown that loses nothing.

Requests may be sent twice. A client whose connection broke sends the same request again and gets
the result of the first one; one completion never moves an episode twice.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from rrvf.environment import Environment, Play
from rrvf.errors import RrvfError
from rrvf.options import ServiceOptions
from rrvf.rewards import Rewarded
from rrvf.serving.gate import CLIENT, ComeAgainError, FairGate, GatedDrawer, Watcher
from rrvf.serving.metrics import Metrics
from rrvf.serving.wire import (
    AnswerBody,
    CodeBody,
    EndBody,
    EpisodeBody,
    TurnBody,
    WholeBody,
    view_outcome,
    view_play,
    view_response,
    view_rewarded,
)

T = TypeVar("T")
View = dict[str, Any]

MOST_FINISHED = 128
"""Finished episodes whose outcome can still be read; the oldest go first."""

RETRY_SECONDS = 2
"""After which a client that was sent away may come again."""


class BusyError(RrvfError):
    """Too much is under way; come again."""


class ConflictError(RrvfError):
    """The request does not fit what the episode has come to."""


class UnknownEpisodeError(RrvfError):
    """There is no such episode here, or no longer."""


@dataclass
class Session:
    """One episode that a client plays.

    Attributes:
        body: What it was begun with.
        play: ``None`` once it is over, and while it begins.
        requests: What each turn was asked with.
        view: What the last request was answered with.
        task: What is under way for it.
        touched: When somebody last asked for it, on the monotonic clock.
    """

    body: EpisodeBody
    play: Play | None = None
    requests: list[TurnBody | EndBody] = field(default_factory=list[TurnBody | EndBody])
    view: View | None = None
    task: asyncio.Task[View] | None = None
    touched: float = field(default_factory=time.monotonic)

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.view is None or self.view["outcome"] is None


def put_gate(environment: Environment, gate: FairGate, watcher: Watcher) -> Environment:
    """The same environment, its drawings let in by a gate."""
    bench = environment.bench
    return environment.with_drawer(GatedDrawer(bench.drawer or bench.kind, gate, watcher))


class Service:
    """An environment for many clients; its methods belong to one event loop.

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
        self._threads = ThreadPoolExecutor(options.max_requests, thread_name_prefix="service")
        self._sessions: dict[str, Session] = {}
        self._at_work: Counter[str] = Counter()
        self.is_ending = False
        self.metrics.watch("renders_waiting", self._gate.count_waiting)
        self.metrics.watch("requests_at_work", self._at_work.total)
        self.metrics.watch("episodes_open", self._count_open)

    def end(self) -> None:
        """Take on nothing more; what waits is sent away, what is being drawn is finished."""
        self.is_ending = True
        self._gate.close()

    async def finish(self) -> None:
        """Nothing: the server waits for the answers to requests."""

    def close(self) -> None:
        """Leave the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def view_health(self) -> View:
        """Whether requests are taken, and how many are under way."""
        return {
            "status": "ending" if self.is_ending else "ok",
            "benchmark": self.environment.bench.benchmark.name,
            "samples": len(self.environment.samples),
            "episodes": self._count_open(),
            "requests": self._at_work.total(),
            "waiting": self._gate.count_waiting(),
        }

    def _count_open(self) -> int:
        return sum(session.is_open for session in self._sessions.values())

    # --------------------------------------------------------------------------- episodes

    async def begin(self, client: str, episode: str, body: EpisodeBody) -> View:
        """Begin an episode under an id that the client chose.

        Raises:
            ConflictError: The id is another episode's.
            BusyError, ComeAgainError, UserError: It cannot be begun.
        """
        session = self._sessions.get(episode)
        if session is None:
            self.environment.find_sample(body.sample)
            self._drop_idle()
            self._forget_oldest()
            if len(self._sessions) >= self.options.max_episodes:
                self._make_room()
            session = self._sessions[episode] = Session(body)
            session.task = self._start(client, partial(self._begin, session))
            session.task.add_done_callback(partial(self._forget_failed, episode))
        elif session.body != body:
            raise ConflictError(f"the episode {episode} is of another sample; choose another id")
        elif session.requests:
            raise ConflictError(f"the episode {episode} has turns already; read it, or go on")
        return await self._await(session)

    def _begin(self, session: Session) -> View:
        play = self.environment.begin(session.body.sample, session.body.repeat)
        session.play = play
        return self._view(play, session, n_shown=0)

    def _forget_failed(self, episode: str, task: asyncio.Task[View]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._sessions.pop(episode, None)

    async def go_on(self, client: str, episode: str, turn: int, body: TurnBody | EndBody) -> View:
        """Take the completion of a turn, or the end in place of one.

        Args:
            client: Who asks.
            episode: Its id.
            turn: Which one it is, from 1.
            body: The completion, or why there is none.

        Raises:
            ConflictError: It is not that turn's time, or it had another completion.
            UnknownEpisodeError: There is no such episode.
            BusyError, ComeAgainError: Not now.
        """
        session = self._find(episode)
        n_known = len(session.requests)
        if 1 <= turn <= n_known and session.requests[turn - 1] == body and turn == n_known:
            return await self._await(session)  # it was sent before
        if turn != n_known + 1 or not session.is_open:
            state = "is over" if not session.is_open else f"waits for turn {n_known + 1}"
            raise ConflictError(f"turn {turn} does not fit: the episode {episode} {state}")
        if session.task is not None and not session.task.done():
            raise ConflictError(f"the episode {episode} is at work on turn {n_known}")
        task = self._start(client, partial(self._go_on, session, body))
        session.requests.append(body)
        session.task = task
        return await self._await(session)

    def _go_on(self, session: Session, body: TurnBody | EndBody) -> View:
        play = session.play
        assert play is not None
        n_known = len(play.messages())
        if isinstance(body, EndBody):
            play.end(body.reason, body.error)
        else:
            play.step(body.completion.to_completion())
        return self._view(play, session, n_shown=n_known + 1)

    def _view(self, play: Play, session: Session, n_shown: int) -> View:
        view = view_play(play, [] if play.is_over else play.messages()[n_shown:])
        if play.is_over:
            self.metrics.note_episode(play.rewarded())
            session.play = None  # its pictures are of no more use
        session.view = view
        return view

    def _forget_oldest(self) -> None:
        """Keep no more finished episodes than may be asked for again."""
        for name in self._list_finished()[:-MOST_FINISHED]:
            del self._sessions[name]

    def _list_finished(self) -> list[str]:
        """Episodes that are over; the one that was asked for longest ago comes first."""
        names = [name for name, session in self._sessions.items() if not session.is_open]
        return sorted(names, key=lambda name: self._sessions[name].touched)

    async def _await(self, session: Session) -> View:
        assert session.task is not None
        try:
            return await asyncio.shield(session.task)
        finally:
            session.touched = time.monotonic()

    def read(self, episode: str) -> View:
        """What the last request of an episode was answered with.

        Raises:
            UnknownEpisodeError: There is no such episode.
            ConflictError: It is at work.
        """
        session = self._find(episode)
        if session.view is None or (session.task is not None and not session.task.done()):
            raise ConflictError(f"the episode {episode} is at work; send its last request again")
        session.touched = time.monotonic()
        return session.view

    def drop(self, episode: str) -> None:
        """Forget an episode; whatever is under way for it comes to its end."""
        self._sessions.pop(episode, None)

    def _find(self, episode: str) -> Session:
        if episode not in self._sessions:
            raise UnknownEpisodeError(f"no episode {episode}: it was dropped, or never begun here")
        return self._sessions[episode]

    def _drop_idle(self) -> None:
        oldest = time.monotonic() - self.options.idle_seconds
        for name, session in list(self._sessions.items()):
            is_at_work = session.task is not None and not session.task.done()
            if session.touched < oldest and not is_at_work:
                del self._sessions[name]

    def _make_room(self) -> None:
        """Forget the finished episode that was read longest ago.

        Raises:
            BusyError: None is finished.
        """
        finished = self._list_finished()
        if not finished:
            raise BusyError(f"{len(self._sessions)} episodes are under way; finish some, or wait")
        del self._sessions[finished[0]]

    # ------------------------------------------------------------------- without an episode

    async def play(self, client: str, body: WholeBody) -> View:
        """Scores and reward of an episode whose completions are all known.

        Raises:
            BusyError, ComeAgainError, UserError: Not now, or no such sample.
        """
        self.environment.find_sample(body.sample)
        completions = [completion.to_completion() for completion in body.completions]
        return await asyncio.shield(self._start(client, partial(self._play, body, completions)))

    def _play(self, body: WholeBody, completions: list[Any]) -> View:
        rewarded: Rewarded = self.environment.play(body.sample, completions, body.repeat).rewarded()
        self.metrics.note_episode(rewarded)
        return view_rewarded(rewarded)

    async def observe(self, client: str, body: CodeBody) -> View:
        """What a call with some code is answered by.

        Raises:
            BusyError, ComeAgainError, UserError: Not now, or no such sample.
            HarnessError: It cannot be drawn, through no fault of the code.
        """
        self.environment.find_sample(body.sample)
        work = partial(self.environment.observe, body.sample, body.code)
        observation = await asyncio.shield(self._start(client, work))
        return view_response(observation, self.environment.rules.max_pixels)

    async def score(self, client: str, body: AnswerBody) -> View:
        """Scores of one answer.

        Raises:
            BusyError, ComeAgainError, UserError: Not now, or no such sample.
        """
        self.environment.find_sample(body.sample)
        work = partial(self.environment.score, body.sample, body.completion)
        return {"result": view_outcome(await asyncio.shield(self._start(client, work)))}

    # ------------------------------------------------------------------------------- work

    def _start(self, client: str, work: Callable[[], T]) -> asyncio.Task[T]:
        """Have work done in a thread, for a client.

        Raises:
            BusyError: Too much is under way, by this client or by all.
            ComeAgainError: The service ends.
        """
        if self.is_ending:
            raise ComeAgainError("the service ends; ask again elsewhere")
        most = self.options.max_requests
        if self._at_work.total() >= most or self._at_work[client] >= max(1, most - most // 5):
            raise BusyError(f"{self._at_work.total()} requests are under way; come again")
        self._at_work[client] += 1
        context = contextvars.copy_context()
        context.run(CLIENT.set, client)
        return asyncio.get_running_loop().create_task(
            self._work(client, partial(context.run, work))
        )

    async def _work(self, client: str, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._at_work[client] -= 1
            if not self._at_work[client]:
                del self._at_work[client]
