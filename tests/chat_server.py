"""An OpenAI-compatible server for tests; what it replies is a function of the request.

::

    with ChatServer(lambda request: answer("91/100")) as server:
        settings = ChatSettings("judge", base_url=server.url)
        ...
    assert server.requests[0].pictures == [reference, generated]
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    number: int
    path: str
    headers: HTTPMessage
    body: dict[str, Any]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Parts of all messages, in their order; a plain string is a text part."""
        parts: list[dict[str, Any]] = []
        for message in self.body["messages"]:
            content = message["content"] or []
            text = isinstance(content, str)
            parts += [{"type": "text", "text": content}] if text else content
        return parts

    @property
    def text(self) -> str:
        """All texts, joined by line breaks."""
        return "\n".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def pictures(self) -> list[bytes]:
        """All pictures, in the order in which they stand."""
        urls = [part["image_url"]["url"] for part in self.parts if part["type"] == "image_url"]
        heads = {url.partition(",")[0] for url in urls}
        assert heads <= {"data:image/png;base64"}, heads
        return [base64.b64decode(url.partition(",")[2], validate=True) for url in urls]


@dataclass(frozen=True)
class Reply:
    """What the server does.

    Attributes:
        drop: Close the connection before the head, after the head, or after half of the body.
        stall: Say nothing until the server is closed, then drop.
        trickle: Send a head, then a blank now and then, and never an end.
        wait_for: Say nothing until this is set, or the server is closed.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: Literal["before_head", "after_head", "half"] | None = None
    stall: bool = False
    trickle: bool = False
    wait_for: threading.Event | None = None

    @property
    def is_answer(self) -> bool:
        """Whether a client gets an answer out of it."""
        if self.status != 200 or self.drop or self.stall or self.trickle:
            return False
        try:
            return bool(json.loads(self.body)["choices"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return False


def completion(text: str | None = None, **message: Any) -> dict[str, Any]:
    """The JSON of an answer; change it to taste, then :func:`reply` with it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "test",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def reply(content: object, status: int = 200, **headers: str) -> Reply:
    """Any JSON; ``Retry_After="3"`` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), named)


def answer(text: str | None, **message: Any) -> Reply:
    """An ordinary answer."""
    return reply(completion(text, **message))


def error(status: int, message: str = "", code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI words it."""
    said = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return reply(said, status, **headers)


def rate_limited(until: float | datetime) -> Reply:
    """429 that asks to wait, for so many seconds or until a moment."""
    after = format_datetime(until, usegmt=True) if isinstance(until, datetime) else str(until)
    return error(429, "slow down", Retry_After=after)


def no_choices() -> Reply:
    """A reply with an empty list of answers."""
    return reply({**completion(), "choices": []})


def models(*entries: Mapping[str, Any]) -> Callable[[], Reply]:
    """A list of models as ``/v1/models`` gives it."""
    return lambda: reply({"object": "list", "data": list(entries)})


NO_SUCH_PAGE = Reply(404, b'{"detail":"Not Found"}')
MALFORMED = Reply(body=b'{"choices": [{"message": {"content": "9')
HALF = Reply(body=json.dumps(completion("cut off")).encode(), drop="half")
DROPPED_BEFORE_HEAD = Reply(drop="before_head")
DROPPED_AFTER_HEAD = Reply(body=b"{}", drop="after_head")
STALLED = Reply(stall=True)
TRICKLED = Reply(trickle=True)


class ChatServer:
    """Serves on a free port of 127.0.0.1 from ``with`` to its end.

    Attributes:
        requests: In the order of their arrival.
        answered: Text of a request -> how many times it was answered.
        most_at_once: The largest number of requests that were under way at a time.
        models: What ``/v1/models`` replies; by default that there is no such page.
        n_listed: How often it was asked for.

    Args:
        replier: Gives the reply to a request.
        port: Where to serve, a free one by default.
    """

    def __init__(self, replier: Callable[[Request], Reply], port: int = 0) -> None:
        self.replier = replier
        self.models: Callable[[], Reply] = lambda: NO_SUCH_PAGE
        self.n_listed = 0
        self.requests: list[Request] = []
        self.answered: Counter[str] = Counter()
        self.most_at_once = 0
        self.closing = threading.Event()
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        """Where it serves."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more; whoever stalls is dropped."""
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    def arrived(self, path: str, headers: HTTPMessage, raw: bytes) -> Request:
        """Note a request."""
        with self._lock:
            request = Request(len(self.requests), path, headers, json.loads(raw))
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return request

    def left(self, request: Request, *, answered: bool) -> None:
        """Note that its reply is about to go out."""
        with self._lock:
            self._at_once -= 1
            self.answered[request.text] += answered


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: ChatServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.owner = owner
        self.connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        self.server.connections.add(self.connection)
        with contextlib.suppress(OSError):  # the client went away
            super().handle()
        self.server.connections.discard(self.connection)

    def do_GET(self) -> None:
        listed = self.path.partition("?")[0].endswith("/models")
        self.server.owner.n_listed += listed
        self.send(self.server.owner.models() if listed else NO_SUCH_PAGE)

    def do_POST(self) -> None:
        owner = self.server.owner
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        request = owner.arrived(self.path, self.headers, raw)
        reply = NO_SUCH_PAGE
        try:
            if request.path.partition("?")[0].endswith("/chat/completions"):
                reply = owner.replier(request)
            gate = owner.closing if reply.stall else reply.wait_for
            while gate and not gate.wait(0.05) and not owner.closing.is_set():
                pass
        finally:
            owner.left(request, answered=reply.is_answer)
        self.send(reply)

    def send(self, reply: Reply) -> None:
        self.close_connection = bool(reply.drop or reply.stall)
        if reply.stall or reply.drop == "before_head":
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(max(len(reply.body), 1000 * reply.trickle)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        while reply.trickle and not self.server.owner.closing.wait(0.05):
            self.wfile.write(b" ")
        length = {"after_head": 0, "half": len(reply.body) // 2}.get(reply.drop or "")
        self.wfile.write(reply.body[:length])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass
