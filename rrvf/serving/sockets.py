"""WebSocket conversations: how long they may be silent, and no cut-off during work."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

GOING_AWAY = 1001


class SocketWatch:
    """Stands in front of an application, and ends conversations in which nobody asks any more.

    A conversation is at work from a client's message until the next one is waited for, which is
    after the answer was sent.

    Args:
        app: The application.
        idle_seconds: How long a client may say nothing.
    """

    def __init__(self, app: ASGIApp, idle_seconds: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._at_work: set[object] = set()
        self._has_changed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; watch over it where it is a conversation."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        conversation = object()

        async def listen() -> Message:
            self._note(conversation, at_work=False)
            message = await self._receive(receive, send)
            self._note(conversation, at_work=message["type"] == "websocket.receive")
            return message

        try:
            await self._app(scope, listen, send)
        finally:
            self._note(conversation, at_work=False)

    async def _receive(self, receive: Receive, send: Send) -> Message:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await receive()
        except TimeoutError:
            reason = f"nobody asked for {self._idle_seconds:g} s"
            await send({"type": "websocket.close", "code": GOING_AWAY, "reason": reason})
            return {"type": "websocket.disconnect", "code": GOING_AWAY, "reason": reason}

    def _note(self, conversation: object, *, at_work: bool) -> None:
        if at_work:
            self._at_work.add(conversation)
        else:
            self._at_work.discard(conversation)
        self._has_changed.set()

    async def finish(self) -> None:
        """Wait until no conversation is at work."""
        while self._at_work:
            self._has_changed.clear()
            await self._has_changed.wait()
