"""The battlefield for pages: renderers that can linger over one, and a listener that counts knocks.

Whatever a page starts may come late: on demand a session waits before it takes the picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import SetupError
from rrvf.renderers import page
from rrvf.renderers.browser import find_browser
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.renderers.page_session import Session
from rrvf.types import PageRendering

LINGER = 0.2
LIMITS = PageLimits(seconds=30)
NORMAL = "<body style='margin: 0; background: #102030'><p style='color: #FFFFFF'>normal</p>"

REPLY = (
    b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: text/html\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Listener:
    """A loopback port, TCP and UDP, that notes every connection and every datagram.

    Attributes:
        hits: One entry each: the first line that was said, or what came without a word.
    """

    def __init__(self) -> None:
        self.hits: list[str] = []
        self._tcp = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        for serve in (self._accept, self._receive):
            threading.Thread(target=serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        for server in (self._tcp, self._udp):
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        index = len(self.hits)
        self.hits.append("a connection")
        with connection, contextlib.suppress(OSError):
            said = connection.recv(65536)
            self.hits[index] = said.split(b"\r\n")[0].decode("latin-1")
            connection.sendall(REPLY)

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while self._udp.recv(65536):
                self.hits.append("a datagram")


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


# ------------------------------------------------------------------------------ the renderers


class LingeringSession(Session):
    """Gives a page time for what it does after it has loaded."""

    seconds = 0.0
    happened: Callable[[], bool] = staticmethod(lambda: False)
    """Whether it need not wait on, asked every few milliseconds."""

    async def _take_rendering(self, tab: Any) -> PageRendering:
        until = time.monotonic() + self.seconds
        while time.monotonic() < until and not self.happened():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await super()._take_rendering(tab)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; skips where there is none."""
    try:
        return find_browser()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def started(chromium: Path) -> Iterator[Callable[..., PageRenderer]]:
    """``started(javascript=True)``: a renderer with these settings, the same one every time."""
    renderers: dict[str, PageRenderer] = {}

    def start(**settings: Any) -> PageRenderer:
        key = repr(sorted(settings.items()))
        if key not in renderers:
            settings = {"workers": 1, "limits": LIMITS, **settings}
            renderers[key] = PageRenderer(chromium, **settings)
        return renderers[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-attack" + "-7f3a")
        patch.delenv("RRVF_CONFINEMENT", raising=False)
        patch.setattr(page, "Session", LingeringSession)
        yield start
        for renderer in renderers.values():
            renderer.close()


@pytest.fixture
def lingering(started: Callable[..., PageRenderer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages have time for what comes after they have loaded."""
    monkeypatch.setattr(page.Session, "seconds", LINGER)


def defended(renderer: PageRenderer) -> Iterator[PageRenderer]:
    yield renderer
    assert shown(renderer, NORMAL).blocks[0].text == "normal"


@pytest.fixture
def still(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """As it comes: no scripts, a fresh context a page. Must work on after the test."""
    yield from defended(started())


@pytest.fixture
def scripted(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """With the pages' scripts. Must work on after the test."""
    yield from defended(started(javascript=True))


@pytest.fixture
def impatient(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """With scripts and a short deadline. Must work on after the test."""
    yield from defended(started(javascript=True, limits=PageLimits(seconds=2)))


@pytest.fixture
def official(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """By Design2Code's rules, with scripts. Must work on after the test."""
    yield from defended(started(mode="official", limits=PageLimits(seconds=10)))


@pytest.fixture
def reused(started: Callable[..., PageRenderer]) -> Iterator[PageRenderer]:
    """All documents in one page. Must work on after the test."""
    yield from defended(started(reuse_pages=True))


def shown(renderer: PageRenderer, html: str) -> PageRendering:
    rendering = renderer.render(html)
    assert rendering.status == "ok", rendering.error
    return rendering


@pytest.fixture
def show() -> Callable[[PageRenderer, str], PageRendering]:
    """``show(renderer, html)``: a rendering that must come out."""
    return shown


@pytest.fixture
def browser_pid() -> Callable[[PageRenderer], int]:
    """``browser_pid(renderer)``: of the browser that shows the next page."""

    def pid(renderer: PageRenderer) -> int:
        (session,) = renderer._pool._live_sessions
        return session.process.pid

    return pid


# ------------------------------------------------------------------------------- what is left


def process(pid: int) -> bool:
    """Whether a process still runs; one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def gone() -> Callable[[int], bool]:
    return lambda pid: not process(pid)


@pytest.fixture
def kill() -> Callable[[int], None]:
    def killed(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    return killed
