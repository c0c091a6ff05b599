"""The teacher of the demo: an OpenAI-compatible server on this machine with recorded comments.

It takes the place of a vision-language model. The demo's loop asks it over HTTP, as a real run
does, without a key and without a network. It ignores the pictures.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "recorded comments, no model"


@contextmanager
def serve_comments(comments: Sequence[str]) -> Generator[str]:
    """Serve as long as the context lasts: each new question gets the next comment.

    A repeated question gets the same comment again. A question after the last comment is refused.

    Args:
        comments: In the order in which they are asked for.

    Yields:
        The base URL.
    """
    server = _Server(comments)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, comments: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._comments = comments
        self._questions: list[bytes] = []
        self._lock = threading.Lock()

    def comment_on(self, question: bytes) -> str | None:
        with self._lock:
            if question not in self._questions:
                self._questions.append(question)
            number = self._questions.index(question)
        return self._comments[number] if number < len(self._comments) else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        comment = self.server.comment_on(self.rfile.read(int(self.headers["Content-Length"])))
        status = 400 if comment is None else 200
        body = json.dumps(
            _build_refusal() if comment is None else _build_completion(comment)
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing to standard error."""


def _build_completion(text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"object": "chat.completion", "model": MODEL, "choices": [choice]}


def _build_refusal() -> dict[str, object]:
    return {"error": {"message": "no comment was recorded for this question", "code": None}}
