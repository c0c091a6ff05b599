"""Shared by the tests of episodes: a canvas without a renderer, a policy that follows a script."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from rrvf.chat import Chat, ChatSettings, Message, Picture, ToolCall
from rrvf.errors import HarnessError
from rrvf.kinds.kind import Drawn
from rrvf.trajectories import Completion
from rrvf.types import Language, Sample
from tests.chat_server import ChatServer, Reply, Request

SECRET = "reference_code_nobody_may_see"


def png(
    color: str = "white", size: tuple[int, int] = (40, 30), mark: str | None = "black"
) -> bytes:
    """A picture of one colour, with a mark in it unless it shall be blank."""
    picture = Image.new("RGB", size, color)
    if mark is not None:
        ImageDraw.Draw(picture).rectangle((5, 5, 15, 15), fill=mark)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    """What is to be seen, however it is stored."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size, picture.convert("RGB").tobytes()


TARGET = png("red", (60, 40))
SAMPLE = Sample("bar_1", SECRET)


def drawn(code: str) -> bytes:
    """What :class:`FakeCanvas` makes of ``ok <colour>``."""
    return png(code.split()[1])


@dataclass
class FakeCanvas:
    """Code is a status and then a colour: ``ok blue``, ``blank``, ``timeout``, ``broken``."""

    language: Language = "python"
    drawn: list[str] = field(default_factory=list)

    def target(self, sample: Sample) -> bytes:
        if sample.id == "no_target":
            raise HarnessError("the reference cannot be drawn")
        return TARGET

    def draw(self, sample: Sample, code: str) -> Drawn:
        self.drawn.append(code)
        status = code.split()[0]
        if status == "broken":
            raise HarnessError("the chart server is gone")
        if status == "ok":
            return Drawn("ok", None, drawn(code), 0.5)
        if status == "blank":
            return Drawn("ok", None, png(mark=None), 0.5)
        if status == "timeout":
            return Drawn("timeout", "stopped after 30 s", seconds=30.0)
        return Drawn("code_error", f"NameError: name '{status}' is not defined", seconds=0.1)


@dataclass
class ScriptedPolicy:
    """Says what it was told to say, in this order, and keeps what it was shown."""

    script: Sequence[str | Completion | Exception]
    shown: list[list[Message]] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def protocol(self) -> Mapping[str, Any]:
        return {"policy": "scripted"}

    def reply(
        self,
        messages: Sequence[Message],
        *,
        sample_id: str,
        repeat: int,
        stop: Sequence[str],
        max_tokens: int,
    ) -> Completion:
        said = self.script[len(self.shown)]
        self.shown.append(list(messages))
        self.limits.append(max_tokens)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Completion) else Completion(said, "stop")


@dataclass
class ScriptedTeacher:
    """A model, as far as the loop can tell; fails where it is told to."""

    says: str | Exception = "-**Color**- The bars are red, not blue."
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_model: bool = True

    def protocol(self) -> Mapping[str, Any]:
        return {"teacher": "scripted"}

    def comments(self, target: bytes, rendering: bytes) -> str:
        self.asked.append((target, rendering))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def call(
    code: object,
    name: str = "python_render_and_compare_tool",
    argument: str = "python_code",
) -> str:
    """A call as the paper writes it."""
    return f"<tool_call>{json.dumps({'name': name, 'arguments': {argument: code}})}</tool_call>"


def native(code: str, id: str = "c1", name: str = "python_render_and_compare_tool") -> ToolCall:  # noqa: A002
    """A call as an endpoint returns it."""
    return ToolCall(id, name, json.dumps({"python_code": code}))


def answer(code: str, language: str = "python") -> str:
    return f"<think>Done.</think><answer>```{language}\n{code}\n```</answer>"


def texts(messages: Sequence[Message]) -> str:
    parts = [part for message in messages for part in message.parts]
    return "\n".join(part for part in parts if isinstance(part, str))


def pictures(messages: Sequence[Message]) -> list[bytes]:
    parts = [part for message in messages for part in message.parts]
    return [part.png for part in parts if isinstance(part, Picture)]


@contextmanager
def served(
    replier: Callable[[Request], Reply], folder: Path | None = None
) -> Iterator[tuple[Chat, ChatServer]]:
    """A client and its server."""
    with (
        ChatServer(replier) as server,
        Chat(ChatSettings("served", base_url=server.url), folder) as chat,
    ):
        yield chat, server
