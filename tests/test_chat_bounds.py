"""The client of judges, teachers and policies, against servers without an end."""

from __future__ import annotations

import json
import logging
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress

import pytest

from rrvf.chat import Chat, ChatSettings, Message
from rrvf.errors import HarnessError, UserError
from tests.chat_server import ChatServer, completion, error

MIB = 2**20
GOOD = json.dumps(completion("7/10")).encode()
Parts = Callable[[], Iterator[bytes]]


@contextmanager
def endless(parts: Parts, pause: float = 0.0) -> Generator[tuple[str, threading.Event]]:
    """Sends ``parts`` to whoever asks; the event is set when all of them could be sent."""
    ended, closing = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(MIB)
            for part in parts():
                if pause and closing.wait(pause):
                    return
                connection.sendall(part)
            ended.set()

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", ended
        closing.set()
        server.shutdown(socket.SHUT_RDWR)


def ask(url: str, seconds: float = 1.0) -> str:
    settings = ChatSettings("m", base_url=url, attempts=1, timeout_seconds=seconds)
    with Chat(settings) as chat:
        return chat.ask([Message("user", ("How alike?",))]).text


def head(status: int = 200, length: int = 10**9, **headers: str) -> bytes:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{named}\r\n".encode()


def slow_head() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Slow: "
    yield from [b"a"] * 100
    yield f"\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD


def slow_status_line() -> Iterator[bytes]:
    yield from (bytes([sign]) for sign in b"HTTP/1.1 200 OK" + b" " * 100)


def slow_error() -> Iterator[bytes]:
    yield head(500, 100)
    yield from [b"a"] * 100


def slow_answer() -> Iterator[bytes]:
    yield head(200, 100 + len(GOOD))
    yield from [b" "] * 100
    yield GOOD


def slow_answer_of_unknown_length() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n" + GOOD
    yield from [b" "] * 100


def informed_for_ever() -> Iterator[bytes]:
    yield from [b"HTTP/1.1 102 Processing\r\n\r\n"] * 100


SLOW = (
    slow_head,
    slow_status_line,
    slow_error,
    slow_answer,
    slow_answer_of_unknown_length,
    informed_for_ever,
)


@pytest.mark.parametrize("parts", SLOW)
def test_a_server_that_dribbles_is_hung_up_on(parts: Parts) -> None:
    with endless(parts, pause=0.1) as (url, ended):
        with pytest.raises(HarnessError, match="no answer in time"):
            ask(url)
        assert not ended.is_set()


def big(status: int) -> Parts:
    def parts() -> Iterator[bytes]:
        yield head(status)
        yield from [b" " * MIB] * 300

    return parts


def wide() -> Iterator[bytes]:
    yield head() + b'{"choices":['
    yield from [b"[]," * (MIB // 3)] * 60
    yield b"[]]}"


def bomb(status: int, levels: int) -> Parts:
    def parts() -> Iterator[bytes]:
        packed = b"".join(packed_zeros(300))
        for _ in range(levels - 1):
            packed = zlib.compress(packed, wbits=31)
        yield head(status, len(packed), Content_Encoding=", ".join(["gzip"] * levels)) + packed

    return parts


def packed_zeros(mebibytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(mebibytes):
        yield packer.compress(bytes(MIB))
    yield packer.flush()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        pytest.param(big(200), "more than", id="answer"),
        pytest.param(big(400), "HTTP 400", id="refusal"),
        pytest.param(wide, "more than", id="wide"),
        pytest.param(bomb(200, 1), "more than", id="packed answer"),
        pytest.param(bomb(400, 1), "HTTP 400", id="packed refusal"),
        pytest.param(bomb(200, 2), "packed as", id="twice packed answer"),
        pytest.param(bomb(500, 2), "HTTP 500", id="twice packed refusal"),
    ],
)
def test_a_reply_without_end_takes_little_memory(parts: Parts, told: str) -> None:
    with endless(parts) as (url, _):
        ask_once = pytest.raises(HarnessError, match=told)
        tracemalloc.start()
        try:
            with ask_once:
                ask(url, 60.0)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 100 * MIB


def test_a_gateway_that_packs_unasked_is_understood() -> None:
    packed = zlib.compress(GOOD, wbits=31)

    def parts() -> Iterator[bytes]:
        yield head(200, len(packed), Content_Encoding="gzip") + packed

    with endless(parts) as (url, _):
        assert ask(url, 60.0) == "7/10"


# ----------------------------------------------------------------------- a password in the URL


def test_a_password_in_the_address_is_sent_and_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    pair = "bWU6aHVudGVyMg=="  # "me:hunter2" in base 64
    with ChatServer(lambda request: error(400, f"{request.headers['authorization']}")) as server:
        url = server.url.replace("http://", "http://me:hunter2@")
        settings = ChatSettings("m", base_url=url, attempts=1)
        with Chat(settings) as chat, pytest.raises(HarnessError) as caught:
            chat.ask([Message("user", ("How alike?",))])
        assert server.requests[0].headers["authorization"] == f"Basic {pair}"
    seen = f"{caught.value} {settings!r} {vars(chat)!r} {caplog.text}"
    assert "hunter2" not in seen
    assert pair not in seen


def test_an_address_without_a_scheme_is_refused_without_its_password() -> None:
    with pytest.raises(UserError, match="must begin with http") as caught:
        ChatSettings("m", base_url="me:hunter2@judge.example/v1")
    assert "hunter2" not in str(caught.value)


def test_what_follows_the_question_mark_stays_behind_the_path() -> None:
    with ChatServer(lambda request: error(400, request.path)) as server:
        settings = ChatSettings("m", base_url=f"{server.url}?api_key=QUERYSECRET", attempts=1)
        with Chat(settings) as chat, pytest.raises(HarnessError) as caught:
            chat.ask([Message("user", ("How alike?",))])
        assert server.requests[0].path == "/v1/chat/completions?api_key=QUERYSECRET"
    assert "QUERYSECRET" not in str(caught.value)
