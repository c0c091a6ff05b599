"""Recent drawings in memory: policy, teacher, scores and rewards share one execution.

Within a run, everyone who asks for the same script gets the same execution, at the same time or
later. Results that may differ on another try (our failures, and reached limits) are not kept. When
there are too many bytes, the oldest drawings are dropped.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from rrvf.types import Status

MOST_BYTES = 128 * 2**20
"""Enough for the drafts of a thousand episodes."""
OVERHEAD = 4096
"""Bytes that an entry is taken to need beside its pictures."""
LASTING: frozenset[Status] = frozenset({"ok", "code_error"})


class HasPicture(Protocol):
    """What can be kept."""

    @property
    def png(self) -> bytes | None:
        """Its picture."""
        ...


Entry = TypeVar("Entry", bound=HasPicture)


class Memo(Generic[Entry]):
    """Renderings by what was asked for; may be used from many threads at once.

    Args:
        status_of: Of an entry; only what would come out the same again is kept.
        most_bytes: Of all entries together; 0 remembers and shares nothing.
    """

    def __init__(self, status_of: Callable[[Entry], Status], most_bytes: int) -> None:
        self._status_of, self._most_bytes = status_of, most_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._under_way: dict[Hashable, Future[Entry]] = {}
        self._bytes = 0

    def find(self, key: Hashable) -> Entry | None:
        """What is kept under ``key``."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def get(self, key: Hashable, draw: Callable[[], Entry]) -> Entry:
        """What is kept under ``key``, or is being drawn, or is drawn now.

        Args:
            key: Everything that it depends on.
            draw: Draws it; what it raises reaches its own caller alone, others try by themselves.
        """
        if self._most_bytes == 0:
            return draw()
        while True:
            with self._lock:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return self._entries[key]
                future = self._under_way.get(key)
                if future is None:
                    own_future: Future[Entry] = Future()
                    self._under_way[key] = own_future
                    break
            if future.exception() is None and self._status_of(future.result()) in LASTING:
                return future.result()
        try:
            entry = draw()
        except BaseException as error:
            self._end(key, None)
            own_future.set_exception(error)
            raise
        self._end(key, entry)
        own_future.set_result(entry)
        return entry

    def _end(self, key: Hashable, entry: Entry | None) -> None:
        with self._lock:
            del self._under_way[key]
            if entry is None or self._status_of(entry) not in LASTING:
                return
            self._entries[key] = entry
            self._bytes += size_of(entry)
            while self._bytes > self._most_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= size_of(oldest)


def size_of(entry: HasPicture) -> int:
    """Bytes of an entry, its pictures above all."""
    pictures = (entry.png, getattr(entry, "judge_png", None), getattr(entry, "pdf", None))
    return OVERHEAD + sum(len(picture) for picture in pictures if picture)
