"""Requests to a server that may be slow, endless or hostile; bounded in time and size."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from rrvf.chat.faults import Endpoint
from rrvf.errors import SetupError
from rrvf.private_ca import find_trusted

MOST_BYTES = 4 * 2**20
"""Of a body, unpacked: an answer of a million tokens is smaller. JSON of many empty lists takes
about thirty times its size in memory."""

_CONNECT_SECONDS = 10.0
_ANY_ZLIB = 47
"""For zlib: gzip or deflate, whichever the data begin with."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Connections to one server; every method may be called from any thread.

    Every request has a connection of its own, which a watchdog closes when its time is over:
    a timeout of the HTTP library counts anew with every byte that arrives.

    Args:
        endpoint: The server. A name and a password in its address are sent as basic
            authentication, and never as part of an address.

    Raises:
        SetupError: The ``openai`` package, whose HTTP client this uses, is missing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import openai
        except ImportError as error:
            raise SetupError("asking a model needs openai: pip install 'rrvf[judge]'") from error
        parts = urlsplit(endpoint.url)
        host = parts.netloc.rpartition("@")[2]
        self._base = parts._replace(netloc=host, fragment="")
        self._key = endpoint.key or "none"
        self._auth: tuple[str, str] | None = None
        if parts.username or parts.password:
            self._auth = (unquote(parts.username or ""), unquote(parts.password or ""))
        # A proxy of the environment is for other machines.
        self._client: Any = openai.DefaultHttpxClient(
            trust_env=not is_here(parts.hostname or ""), verify=find_trusted()
        )
        self._timeout: Any = openai.Timeout
        self._lock = threading.Lock()
        self._under_way: set[Watchdog] = set()

    def close(self) -> None:
        """End all connections; whoever waits for a reply fails at once."""
        with self._lock:
            for watchdog in self._under_way:
                watchdog.shut()
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Reply:
        """Send JSON to ``path`` below the base URL; see :meth:`_exchange` for what it raises."""
        return self._exchange("POST", path, seconds, json=body)

    def get(self, path: str, seconds: float) -> Reply:
        """Read ``path`` below the base URL; see :meth:`_exchange` for what it raises."""
        return self._exchange("GET", path, seconds)

    def _exchange(self, method: str, path: str, seconds: float, **content: Any) -> Reply:
        """One request, redirects included.

        Raises:
            TimeoutError: It was not over after ``seconds``.
            ValueError: The answer's body is too large, or packed in an unknown way.
            Exception: Those of the HTTP library: no connection, a torn reply.
        """
        address = self._base._replace(path=f"{self._base.path.rstrip('/')}{path}").geturl()
        headers = {"accept-encoding": "identity", "connection": "close"}
        if self._auth is None:
            headers["authorization"] = f"Bearer {self._key}"
        with (
            self._watch(seconds) as watchdog,
            self._client.stream(
                method,
                address,
                headers=headers,
                auth=self._auth,
                timeout=self._timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
                extensions={"trace": watchdog.note},
                **content,
            ) as response,
        ):
            return Reply(response.status_code, response.headers, _read_body(response))

    @contextmanager
    def _watch(self, seconds: float) -> Generator[Watchdog]:
        with Watchdog(seconds) as watchdog:
            with self._lock:
                self._under_way.add(watchdog)
            try:
                yield watchdog
            finally:
                with self._lock:
                    self._under_way.discard(watchdog)


class Watchdog:
    """Shuts the connections of one request when its time is over.

    A socket that is shut wakes whoever reads it or writes to it. Leaving raises TimeoutError
    instead of whatever that led to.
    """

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self.shut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        is_late = time.monotonic() >= self._deadline
        if is_late and (error is None or isinstance(error, Exception)):
            raise TimeoutError from error

    def note(self, event: str, details: Mapping[str, Any]) -> None:
        """Take up every connection that the HTTP library makes (its ``trace`` extension)."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._sockets.append(details["return_value"].get_extra_info("socket"))
            if time.monotonic() >= self._deadline:
                self.shut()

    def shut(self) -> None:
        """Shut its connections now."""
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):  # closed already
                    # That of an ssl.SSLSocket would take away what its reader works with.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _read_body(response: Any) -> bytes:
    """The body; of a refusal, whose status is enough, nothing where it cannot be read."""
    try:
        packing = response.headers.get("content-encoding", "identity")
        return read_bounded(response.iter_raw(), packing)
    except Exception:
        if response.is_success:
            raise
        return b""


def read_bounded(chunks: Iterable[bytes], packing: str = "identity") -> bytes:
    """A whole body of at most :data:`MOST_BYTES`.

    Args:
        chunks: As they come from the connection.
        packing: The ``Content-Encoding``; some gateways pack what nobody asked them to.

    Raises:
        ValueError: It is longer, or packed in a way that is not known here.
    """
    unpack = _build_unpacker(packing)
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        part = unpack(chunk, MOST_BYTES + 1 - size)
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError(f"a reply of more than {MOST_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _build_unpacker(packing: str) -> Callable[[bytes, int], bytes]:
    """What turns a chunk into at most so many bytes."""
    name = packing.strip().lower()
    if name in ("", "identity"):
        return lambda chunk, limit: chunk
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"a reply packed as {name[:40]!r}")
    decoder = zlib.decompressobj(_ANY_ZLIB)

    def unpack(chunk: bytes, limit: int) -> bytes:
        try:
            return decoder.decompress(chunk, limit)
        except zlib.error as error:
            raise ValueError(f"a reply that cannot be unpacked: {error}") from error

    return unpack


def is_here(host: str) -> bool:
    """Whether a host is this machine, as far as its name or address tells."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
