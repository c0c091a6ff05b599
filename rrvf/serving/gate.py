"""The order of drawing: clients take turns, so a busy client does not block the others."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from rrvf.errors import RrvfError
from rrvf.kinds.kind import Drawer, Drawn, Script
from rrvf.types import Pictures, Sample, Status

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""For whom this thread works."""


class ComeAgainError(RrvfError):
    """The service ends: what was asked for was not begun, and can be asked for elsewhere."""


class FairGate:
    """So many may draw at a time. Where more want to, their clients take turns, one drawing each.

    So one client's drawing waits, at the most, for what is being drawn and for one drawing of each
    other client, however many of theirs were there before it.

    Args:
        slots: Drawings at the same time.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._lock = threading.Lock()
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._is_closed = False

    def count_waiting(self) -> int:
        """How many wait."""
        with self._lock:
            return sum(map(len, self._queues.values()))

    def close(self) -> None:
        """Send all who wait away; whoever draws goes on."""
        with self._lock:
            self._is_closed = True
            for queue in self._queues.values():
                for waiter in queue:
                    waiter.send_away()
            self._queues.clear()

    @contextmanager
    def pass_through(self, client: str) -> Generator[None]:
        """Wait for the client's turn, and draw.

        Raises:
            ComeAgainError: The gate is closed.
        """
        self._wait(client)
        try:
            yield
        finally:
            self._release()

    def _wait(self, client: str) -> None:
        with self._lock:
            if self._is_closed:
                raise ComeAgainError("the service ends; ask again elsewhere")
            if self._free and not self._queues:
                self._free -= 1
                return
            waiter = _Waiter()
            self._queues.setdefault(client, deque()).append(waiter)
        waiter.wait()

    def _release(self) -> None:
        with self._lock:
            if not self._queues:
                self._free += 1
                return
            client, queue = self._queues.popitem(last=False)
            queue.popleft().let_in()
            if queue:
                self._queues[client] = queue  # behind the other clients


class _Waiter:
    """One thread at the gate."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._may_enter = False

    def wait(self) -> None:
        self._event.wait()
        if not self._may_enter:
            raise ComeAgainError("the service ends; ask again elsewhere")

    def let_in(self) -> None:
        self._may_enter = True
        self._event.set()

    def send_away(self) -> None:
        self._event.set()


class Watcher(Protocol):
    """Is told of every drawing."""

    def note_drawing(self, status: Status, seconds: float) -> None:
        """One is done: what became of it, and the seconds it took."""
        ...


@dataclass(frozen=True, slots=True)
class GatedDrawer:
    """Draws in turn.

    Attributes:
        drawer: Who draws.
        gate: Lets the drawings of :data:`CLIENT` in.
        watcher: Who is told.
    """

    drawer: Drawer
    gate: FairGate
    watcher: Watcher

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code, when it is this client's turn."""
        return self._pass(lambda: self.drawer.draw(script, pictures))

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """What answers to a sample are compared with, when it is this client's turn."""
        return self._pass(lambda: self.drawer.draw_target(sample, pictures))

    def _pass(self, draw: Callable[[], Drawn]) -> Drawn:
        with self.gate.pass_through(CLIENT.get()):
            start = time.monotonic()
            rendering = draw()
            # What is remembered from before takes no time, whatever it took then.
            self.watcher.note_drawing(rendering.status, time.monotonic() - start)
        return rendering
