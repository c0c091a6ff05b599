"""Questions and answers, and their form on the wire."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from rrvf.errors import HarnessError

Role = Literal["system", "user", "assistant", "tool"]

_KEY_VERSION = 2
"""Raise it when the same question may mean another answer than before."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a message.

    Attributes:
        png: The file.
        detail: How closely the model shall look, for servers that know the option.
    """

    png: bytes = field(repr=False)
    detail: Literal["auto", "low", "high"] = "high"


class ToolCall(NamedTuple):
    """A tool that the model wants called; ``arguments`` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        parts: Texts and pictures in the order in which the model sees them.
        tool_calls: In the model's own earlier messages.
        tool_call_id: The call that a ``tool`` message answers.
    """

    role: Role
    parts: tuple[str | Picture, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said.

    Attributes:
        text: The visible text, without the reasoning that some servers send beside it.
        finish_reason: ``stop``, ``length``, ``tool_calls``, or the server's own word.
        input_tokens, output_tokens: As the server counted, ``None`` where it does not.
        cached: Nothing was paid for it this time.
        thought: The reasoning that the server sent beside the text; empty without any.
    """

    text: str
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    thought: str = ""


class EmptyAnswerError(HarnessError):
    """The model answered with nothing; a policy may count that as its answer.

    Attributes:
        answer: All there was: the reason to end, the tokens, perhaps thoughts.
    """

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer or Answer("")


class WithheldAnswerError(EmptyAnswerError):
    """The model answered, and a filter of its server kept the answer back."""


class RefusedError(HarnessError):
    """The server refuses this question, and would again; others it may answer."""


class TooLongError(RefusedError):
    """It refuses since the question is longer than the model's context."""


_SPECIAL = re.compile(
    r"<([|\uff5c])([^<>|\uff5c\s]{1,64})([|\uff5c])>"
    r"|<(image|IMG_CONTEXT|start_of_image|image_soft_token|start_of_turn|end_of_turn)>"
)


def spell_out(text: str) -> str:
    """A text that can be sent: it holds no special token of a model, and no half of a surrogate.

    A text that shows ``<|im_end|>`` must neither end a turn nor stand for a picture: servers fail
    on a picture's token without its picture, and what a model writes must not fail its server.
    """
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return _SPECIAL.sub(lambda match: f"< {match[4]} >" if match[4] else _space_out(match), plain)


def _space_out(match: re.Match[str]) -> str:
    return f"<{match[1]} {match[2]} {match[3]}>"


def request_body(
    model: str, messages: Sequence[Message], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON of a request.

    Args:
        model: Its name at the server.
        messages: The conversation.
        parameters: Sent as they are; what stands in ``extra_body`` goes beside the others.

    Raises:
        ValueError: A parameter that would change the form of the answer.
    """
    rest = dict(parameters)
    rest |= rest.pop("extra_body", None) or {}
    for name in ("stream", "n", "model", "messages"):
        if name in rest:
            raise ValueError(f"{name!r} is not for the caller to set")
    return {"model": model, "messages": to_wire(messages), **rest}


def fingerprint(identity: Mapping[str, Any], body: Mapping[str, Any], repeat: int) -> str:
    """The name of a question: equal for equal questions to the same one.

    Args:
        identity: Of who is asked, as :meth:`rrvf.chat.Identity.to_json` says it.
        body: Of the request.
        repeat: Which of several answers is wanted.

    Raises:
        TypeError: A parameter that JSON cannot hold.
    """
    question = {"version": _KEY_VERSION, "who": dict(identity), "body": body, "repeat": repeat}
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode("ascii")).hexdigest()


def to_wire(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages in OpenAI's format, which servers and chat templates accept.

    Pictures are PNG in ``data:`` addresses. Special tokens in texts are spelled out.
    """
    return [_message_to_wire(message) for message in messages]


def _message_to_wire(message: Message) -> dict[str, Any]:
    parts = [_part_to_wire(part) for part in message.parts]
    only_text = len(parts) == 1 and parts[0]["type"] == "text"
    # Many chat templates take a plain string and nothing else for a system or a tool message.
    content: object = parts[0]["text"] if only_text else parts or None
    wire: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": spell_out(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _part_to_wire(part: str | Picture) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": spell_out(part)}
    address = "data:image/png;base64," + base64.b64encode(part.png).decode("ascii")
    return {"type": "image_url", "image_url": {"url": address, "detail": part.detail}}


def read_answer(reply: object) -> Answer:
    """The answer in a reply that was parsed as JSON.

    Raises:
        ValueError: It holds none; says what is wrong with it.
    """
    fields = _require_mapping(reply, "reply")
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices:
        error = fields.get("error")
        raise ValueError(f"a reply without choices{f': {error}' if error else ''}")
    choice = _require_mapping(cast("list[object]", choices)[0], "choice")
    message = _require_mapping(choice.get("message"), "message")
    reason = choice.get("finish_reason")
    counts = fields.get("usage")
    usage = cast("dict[str, object]", counts) if isinstance(counts, dict) else {}
    return Answer(
        text=_read_text(message.get("content")) or _read_text(message.get("refusal")),
        finish_reason=reason if isinstance(reason, str) else None,
        input_tokens=_read_count(usage.get("prompt_tokens")),
        output_tokens=_read_count(usage.get("completion_tokens")),
        tool_calls=_read_tool_calls(message.get("tool_calls")),
        thought=_read_thought(message),
    )


def _require_mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"a {name} that is no JSON object")
    return cast("dict[str, object]", value)


def _read_text(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise ValueError("a content that is no text")
    parts = [_require_mapping(part, "content part") for part in cast("list[object]", content)]
    texts = [part.get("text") for part in parts if part.get("type") in ("text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str))


def _read_thought(message: Mapping[str, object]) -> str:
    """What servers send beside the content: vLLM, SGLang, DeepSeek, OpenRouter, Mistral."""
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text.strip():
            return text
    content = message.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else []
    return "".join(
        _read_thought_part(cast("dict[str, object]", part))
        for part in parts
        if isinstance(part, dict)
    )


def _read_thought_part(part: Mapping[str, object]) -> str:
    """The text of a part of the content that is a thought."""
    if part.get("type") not in ("thinking", "reasoning"):
        return ""
    inner = part.get("thinking", part.get("text", part.get("reasoning")))
    if isinstance(inner, str):
        return inner
    texts = [
        cast("dict[str, object]", entry).get("text")
        for entry in cast("list[object]", inner if isinstance(inner, list) else [])
        if isinstance(entry, dict)
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _read_count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _read_tool_calls(value: object) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for entry in cast("list[object]", value) if isinstance(value, list) else []:
        call = _require_mapping(entry, "tool call")
        function = _require_mapping(call.get("function"), "tool call's function")
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(ToolCall(str(call.get("id") or ""), str(function.get("name") or ""), text))
    return tuple(calls)
