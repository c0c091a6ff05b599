"""The process behind ``rrvf serve``: a socket, a server, and a shutdown that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from rrvf.environment import Environment
from rrvf.errors import SetupError, UserError
from rrvf.options import ServiceOptions
from rrvf.serving.app import MOST_BODY, create_app
from rrvf.serving.service import Service

HEADER_SECONDS = 15.0
"""A request's head may take to arrive."""
MOST_CONNECTIONS = 4096
GRACE_SECONDS = 90
"""What is being drawn when the service ends may take."""
M_MMAP_THRESHOLD = -3
"""Of ``<malloc.h>``."""
LARGE_BUFFER = 128 * 2**10
"""Bytes above which a buffer is one of its own: where glibc begins."""
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")


class Served(Protocol):
    """What stands behind an application, as far as the end of its server goes."""

    def end(self) -> None:
        """Take on nothing more; send those who wait away."""
        ...

    async def finish(self) -> None:
        """Wait for answers under way that the server itself would cut off."""
        ...

    def close(self) -> None:
        """Leave what it holds."""
        ...


def serve_http(
    environment: Environment,
    options: ServiceOptions,
    workers: int,
    announce: Callable[[str], None],
) -> None:
    """Serve an environment by the interface of our own.

    Args:
        environment: Where episodes are played.
        options: Where to listen, and how much to take on.
        workers: Drawings at the same time.
        announce: Is told the address, once requests are taken.

    Raises:
        UserError: It cannot listen there.
    """
    token = read_token(options)
    service = Service(environment, options, workers)
    serve(create_app(service, token, choose_hosts(options, token)), service, options, announce)


def serve(
    app: ASGIApp, served: Served, options: ServiceOptions, announce: Callable[[str], None]
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish what is being drawn.

    Args:
        app: Answers them.
        served: What stands behind it.
        options: Where to listen.
        announce: Is told the address, once requests are taken.

    Raises:
        UserError: It cannot listen there.
    """
    return_large_buffers()
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws_max_size=MOST_BODY,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
    )
    with listen(options) as listener:
        host, port = listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        server = Server(config, served, lambda: announce(f"http://{name}:{port}"))
        try:
            server.run(sockets=[listener])
        finally:
            served.close()


def return_large_buffers() -> None:
    """Have memory of pictures given back to the system once it is free; glibc only.

    By itself glibc moves the bound between its heap and buffers of their own up to the largest one
    that was ever freed. Pictures then lie among what lives longer, and their gaps stay.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)


def choose_hosts(options: ServiceOptions, token: str | None) -> tuple[str, ...]:
    """Names by which clients may call a service; ``*`` for any."""
    return LOCAL_NAMES if is_local(options.host) and token is None else ("*",)


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(options: ServiceOptions) -> str | None:
    """The token that clients must send; ``None`` where none is needed.

    Raises:
        UserError: It is needed, and there is none.
    """
    name = options.token_variable
    if name is None:
        if not is_local(options.host):
            raise UserError(
                f"--host {options.host} is reached from other machines, so a token is needed: "
                "put one into an environment variable, and name it by --token-variable"
            )
        return None
    token = os.environ.get(name, "").strip()
    if not token or not token.isascii():
        raise UserError(
            f"the environment variable {name} (--token-variable) holds no token of ASCII characters"
        )
    return token


@contextmanager
def listen(options: ServiceOptions) -> Generator[socket.socket]:
    """A socket that listens.

    Raises:
        SetupError: The address is no address of this machine, or it is taken.
    """
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((options.host, options.port), family=family, backlog=1024)
    except OSError as error:
        raise SetupError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; name another "
            "--host or --port"
        ) from error
    with listener:
        yield listener


class Server(uvicorn.Server):
    """Tells when it is ready, and sends those who wait away before it ends."""

    def __init__(
        self, config: uvicorn.Config, served: Served, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._served = served
        self._announce = announce

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """A signal ends the service and nothing else: what it uses is closed afterwards."""
        signals = (signal.SIGINT, signal.SIGTERM)
        handlers = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send those who wait away; wait for what is being drawn."""
        self._served.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._served.finish()
        await super().shutdown(sockets)


class ImpatientProtocol(H11Protocol):
    """A connection on which the head of a request has to arrive in time."""

    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Give the first head some time."""
        super().connection_made(transport)
        self._set_watch()

    def data_received(self, data: bytes) -> None:
        """Give a head some time that has begun and is not there."""
        super().data_received(data)
        if not self._awaits_head():
            self._drop_watch()
        elif self._watch is None:
            self._set_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._drop_watch()
        super().connection_lost(exc)

    def _awaits_head(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _set_watch(self) -> None:
        self._watch = self.loop.call_later(HEADER_SECONDS, self._close_late)

    def _drop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _close_late(self) -> None:
        if self._awaits_head() and not self.transport.is_closing():
            self.transport.close()
