"""The HTTP side of the service: routes, and a guard that checks tokens and sizes."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import rrvf
from rrvf.environment import Environment
from rrvf.errors import RrvfError, UserError
from rrvf.serving.client import CLIENT_HEADER
from rrvf.serving.gate import ComeAgainError
from rrvf.serving.metrics import Metrics
from rrvf.serving.service import (
    RETRY_SECONDS,
    BusyError,
    ConflictError,
    Service,
    UnknownEpisodeError,
)
from rrvf.serving.wire import (
    EPISODE_ID,
    AnswerBody,
    CodeBody,
    EndBody,
    EpisodeBody,
    TurnBody,
    WholeBody,
    describe_problems,
)

MOST_BODY = 8 * 2**20
"""Bytes of a request's body."""
MOST_BODIES = 256 * 2**20
"""Bytes of all bodies that are being read or worked on."""
BODY_SECONDS = 30.0
"""A body may take to arrive."""
MOST_DISCARDED, DISCARD_SECONDS = 4 * MOST_BODY, 5.0
"""Of a body that is not looked at, so that its client hears why."""
MOST_LISTED = 1000
NEEDS_TOKEN = "a token is needed: Authorization: Bearer TOKEN"

_STATUSES: Sequence[tuple[type[Exception], int]] = (
    (UnknownEpisodeError, 404),
    (ConflictError, 409),
    (BusyError, 429),
    (ComeAgainError, 503),
    (UserError, 400),
    (RrvfError, 500),
)

EpisodeId = Annotated[str, Path(pattern=EPISODE_ID)]


def _find_client(request: Request) -> str:
    name = request.headers.get(CLIENT_HEADER, "")[:64]
    return name or (request.client.host if request.client else "")


Client = Annotated[str, Depends(_find_client)]


def create_app(service: Service, token: str | None, hosts: Sequence[str]) -> ASGIApp:
    """The application, for any ASGI server.

    Args:
        service: What answers.
        token: That clients must send; ``None`` where none is needed.
        hosts: Names by which clients may call it; ``*`` for any.
    """
    app = FastAPI(title="rrvf serve", version=rrvf.__version__)
    explain_failures(app)
    _add_episodes(app, service)
    _add_answers(app, service)
    _add_state(app, service)
    add_facts(app, service.environment, service.metrics)
    return put_guard(app, token, hosts, service.metrics)


def put_guard(app: ASGIApp, token: str | None, hosts: Sequence[str], metrics: Metrics) -> ASGIApp:
    """An application with a guard in front of it; the arguments are those of :func:`create_app`."""
    # A page in somebody's browser must not reach a service that needs no token.
    guarded = TrustedHostMiddleware(app, allowed_hosts=list(hosts), www_redirect=False)
    return Guard(guarded, token, metrics.note_request)


def _add_episodes(app: FastAPI, service: Service) -> None:
    @app.put("/episodes/{episode}", tags=["episodes"])
    async def begin(episode: EpisodeId, body: EpisodeBody, client: Client) -> Response:
        """Begin an episode of a sample, under an id of yours."""
        return AsciiResponse(await service.begin(client, episode, body))

    @app.put("/episodes/{episode}/turns/{turn}", tags=["episodes"])
    async def go_on(episode: EpisodeId, turn: int, body: TurnBody, client: Client) -> Response:
        """Take the completion of a turn, counted from 1; answer by what the policy is shown."""
        return AsciiResponse(await service.go_on(client, episode, turn, body))

    @app.put("/episodes/{episode}/turns/{turn}/end", tags=["episodes"])
    async def end(episode: EpisodeId, turn: int, body: EndBody, client: Client) -> Response:
        """End an episode in place of a turn that its policy cannot give."""
        return AsciiResponse(await service.go_on(client, episode, turn, body))

    @app.get("/episodes/{episode}", tags=["episodes"])
    async def read(episode: EpisodeId) -> Response:
        """What the last request was answered with."""
        return AsciiResponse(service.read(episode))

    @app.delete("/episodes/{episode}", tags=["episodes"])
    async def drop(episode: EpisodeId) -> Response:
        """Forget an episode."""
        service.drop(episode)
        return AsciiResponse({})


def _add_answers(app: FastAPI, service: Service) -> None:
    @app.post("/rewards", tags=["answers"])
    async def reward(body: WholeBody, client: Client) -> Response:
        """Scores and reward of an episode whose completions are all known."""
        return AsciiResponse(await service.play(client, body))

    @app.post("/observations", tags=["answers"])
    async def observe(body: CodeBody, client: Client) -> Response:
        """What a call with some code is answered by, for loops that keep no episode here."""
        return AsciiResponse(await service.observe(client, body))

    @app.post("/scores", tags=["answers"])
    async def score(body: AnswerBody, client: Client) -> Response:
        """Scores of one answer, without a loop."""
        return AsciiResponse(await service.score(client, body))

    @app.get("/samples", tags=["answers"])
    async def list_samples(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
    ) -> Response:
        """Ids of the samples, a page at a time."""
        names = list(service.environment.samples)
        return AsciiResponse({"n": len(names), "ids": names[offset : offset + limit]})


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> JSONResponse:
        """Whether requests are taken; needs no token."""
        return AsciiResponse(service.view_health(), 503 if service.is_ending else 200)


def add_facts(app: FastAPI, environment: Environment, metrics: Metrics) -> None:
    """Routes that tell counts and settings, in whatever interface."""

    @app.get("/metrics", tags=["state"])
    async def count() -> Response:
        """For Prometheus."""
        return Response(metrics.to_text(), media_type="text/plain; version=0.0.4")

    @app.get("/protocol", tags=["state"])
    async def protocol() -> Response:
        """What moves scores and rewards, and the versions of all that draws."""
        return AsciiResponse(
            {
                "protocol": environment.protocol(),
                "environment": environment.bench.environment(),
            }
        )


# ------------------------------------------------------------------------------- failures


def explain_failures(app: FastAPI) -> None:
    """Have every failure that is told on purpose answered by one line."""
    for kind, status in _STATUSES:
        app.add_exception_handler(kind, _explain_by(status))
    app.add_exception_handler(RequestValidationError, _explain_invalid)
    app.add_exception_handler(HTTPException, _explain_http)


class AsciiResponse(JSONResponse):
    """JSON in ASCII: what a script drew may hold characters that no other encoding can."""

    def render(self, content: Any) -> bytes:
        """The bytes of a body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def refuse(status: int, reason: str) -> JSONResponse:
    """An answer that says in one line what is wrong."""
    headers = {"retry-after": str(RETRY_SECONDS)} if status in (429, 503) else None
    return AsciiResponse({"error": reason}, status, headers)


def _explain_by(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def explain(_: Request, error: Exception) -> JSONResponse:
        return refuse(status, str(error))

    return explain


def _explain_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return refuse(error.status_code, error.detail)


def _explain_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return refuse(422, describe_problems(error.errors()))


# ---------------------------------------------------------------------------------- the guard


class Guard:
    """Stands in front of an application: asks for the token, bounds what is sent.

    Args:
        app: The application.
        token: ``None`` where none is needed.
        note_request: Is told of every answer's status.

    Attributes:
        n_bytes: Of all bodies that are being read or worked on.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, note_request: Callable[[int], None]
    ) -> None:
        self._app = app
        self._token = token
        self._note_request = note_request
        self.n_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif not self._is_allowed(scope):
            await self._refuse(scope, receive, send, 401, NEEDS_TOKEN)
        elif scope["type"] == "http":
            await self._pass_on(scope, receive, self._noting(send))
        else:
            await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        if self._token is None or (scope["type"] == "http" and scope["path"] == "/health"):
            return True
        sent: bytes = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = sent.partition(b" ")
        is_ours = hmac.compare_digest(token.strip(), self._token.encode())
        return is_ours and scheme.lower() == b"bearer"

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, status: int, reason: str
    ) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
            self._note_request(403)  # what a server makes of it
            return
        if status != 408:
            await _discard_body(receive)
        # Of a longer body a rest is there: the connection cannot be used again.
        response = refuse(status, reason)
        response.headers["connection"] = "close"
        await response(scope, receive, self._noting(send))

    def _noting(self, send: Send) -> Send:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note_request(message["status"])
            await send(message)

        return note

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body first, so that what works on it never waits for its client."""
        body = _Body(self)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await body.read(scope, receive)
            await self._app(scope, _replay(body.join(), receive), send)
        except TimeoutError:
            await self._refuse(scope, receive, send, 408, "the body takes too long")
        except _TooLargeError as error:
            await self._refuse(scope, receive, send, error.status, str(error))
        except _DisconnectedError:
            return
        finally:
            self.n_bytes -= body.n_bytes


class _Body:
    """A request's body; its bytes count from the moment that they arrive."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._chunks: list[bytes] = []
        self.n_bytes = 0

    def join(self) -> bytes:
        return b"".join(self._chunks)

    async def read(self, scope: Scope, receive: Receive) -> None:
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        self._require_room(int(announced) if announced.isdigit() else 0)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            chunk: bytes = message.get("body", b"")
            self._require_room(self.n_bytes + len(chunk))
            self._chunks.append(chunk)
            self.n_bytes += len(chunk)
            self._guard.n_bytes += len(chunk)
            if not message.get("more_body", False):
                return

    def _require_room(self, n_bytes: int) -> None:
        if n_bytes > MOST_BODY:
            raise _TooLargeError(413, f"a body of more than {MOST_BODY:,} bytes")
        if self._guard.n_bytes - self.n_bytes + n_bytes > MOST_BODIES:
            raise _TooLargeError(503, "too much is being worked on; come again")


async def _discard_body(receive: Receive) -> None:
    """Read what a client still sends, within bounds: most read no answer before they have sent."""
    n_bytes = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while n_bytes < MOST_DISCARDED:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                n_bytes += len(message.get("body", b""))


class _TooLargeError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _DisconnectedError(Exception):
    pass


def _replay(body: bytes, receive: Receive) -> Receive:
    """A channel that gives a body that was read before, then what follows."""
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
