"""What a completion asks for: the tool, its calls however they are written, and the answer.

The form is that of the RRVF paper (arXiv 2507.20766, overview figure): between ``<tool_call>`` and
``</tool_call>`` stands JSON with the tool's ``name`` and its ``arguments``, here the code alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.chat import ToolCall as NativeCall
from rrvf.replies import ToolCall, extract_code, parse_reply
from rrvf.types import Language

_TAG = re.compile(r"<(think|tool_call|answer)>")
_ACTION = re.compile(r"<(?:tool_call|answer)>")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class RenderTool:
    """The tool that renders code and compares it with the target.

    Attributes:
        name: As the policy is told.
        argument: That holds the code.
        language: Of the code.
        names: Further names that are understood.
        arguments: Further names of the argument that are understood.
    """

    name: str
    argument: str
    language: Language
    names: tuple[str, ...] = ("render_and_compare_tool",)
    arguments: tuple[str, ...] = ("code",)

    def schema(self) -> dict[str, Any]:
        """What an endpoint is told of it, for native calls."""
        text = "Renders code and compares the rendering with the picture to reproduce."
        code = {"type": "string", "description": f"The complete {self.language} code."}
        parameters = {
            "type": "object",
            "properties": {self.argument: code},
            "required": [self.argument],
        }
        function = {"name": self.name, "description": text, "parameters": parameters}
        return {"type": "function", "function": function}

    def code_of(self, call: ToolCall) -> tuple[str | None, str]:
        """The code of a call, or ``None`` and what is wrong with the call."""
        if call.error is not None:
            return None, call.error
        if call.name not in (self.name, *self.names):
            return None, f"there is no tool {call.name!r}; the only one is {self.name}"
        for name in (self.argument, *self.arguments):
            code = call.arguments.get(name)
            if isinstance(code, str) and code.strip():
                block = code.lstrip().startswith("```")
                return _unfenced(code, self.language) if block else code, ""
        return None, f'the call has no "{self.argument}" that is a string of code'


CHART_TOOL = RenderTool("python_render_and_compare_tool", "python_code", "python")
"""The paper does not show the name of its chart tool; this one follows that of the other."""

PAGE_TOOL = RenderTool("html_render_and_compare_tool", "html_code", "html")
"""As in the paper's overview figure."""


# ---------------------------------------------------------------------------------------- tags


def closed(text: str) -> str:
    """A completion with the closing tag that a stop string cut off."""
    tag = _open_tag(text, _after_open_thought(text) or 0)
    return text if tag is None or tag[1] == "think" else f"{text}</{tag[1]}>"


def with_closed_thought(text: str) -> str:
    """Thoughts that were never closed end where a call or an answer begins."""
    start = _after_open_thought(text)
    return text if start is None else f"{text[:start]}</think>{text[start:]}"


def _after_open_thought(text: str) -> int | None:
    """Where a call or an answer begins inside of thoughts that were never closed."""
    tag = _open_tag(text)
    action = _ACTION.search(text, tag.end()) if tag is not None and tag[1] == "think" else None
    return None if action is None else action.start()


def _open_tag(text: str, start: int = 0) -> re.Match[str] | None:
    """The tag that is still open at the end; tags do not nest."""
    before, closing, _ = text[start:].partition("</think>")
    if closing and "<think>" not in before:  # the chat template opened these thoughts
        start += len(before) + len(closing)
    while tag := _TAG.search(text, start):
        closing = f"</{tag[1]}>"
        end = text.find(closing, tag.end())
        if end < 0:
            return tag
        start = end + len(closing)
    return None


# ---------------------------------------------------------------------------------------- calls


def native_calls(calls: Sequence[NativeCall]) -> list[ToolCall]:
    """Native calls, read by the same rules as written ones."""
    read: list[ToolCall] = []
    for call in calls:
        raw = json.dumps({"name": call.name, "arguments": call.arguments})
        # In JSON a < stands in strings alone; escaped, none can end the tag.
        escaped = raw.replace("<", "\\u003c")
        read += parse_reply(f"<tool_call>{escaped}</tool_call>").tool_calls
    return read


def with_ids(calls: Sequence[NativeCall], turn: int) -> tuple[NativeCall, ...]:
    """Calls as they can be sent back and answered one by one.

    A server may give no ids, and refuses a conversation in which a call has a name that no tool can
    have or arguments that are no JSON object, whatever its model wrote.
    """
    return tuple(
        NativeCall(
            call.id or f"call_{turn}_{number}",
            call.name if _NAME.fullmatch(call.name) else "unreadable",
            _as_object(call.arguments),
        )
        for number, call in enumerate(calls)
    )


def _as_object(arguments: str) -> str:
    """JSON of an object, without escapes that would hide what must not be sent."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return json.dumps({"raw": arguments}, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False) if "\\u" in arguments else arguments


# ----------------------------------------------------------------------------------------- code


def fenced(code: str, language: Language) -> str:
    """Code as a reply that every benchmark reads."""
    return f"```{language}\n{code}\n```"


def as_scored(answer: str, language: Language) -> str:
    """An answer as every benchmark reads it: its code in a block of the language.

    An answer that has such a block is left as it is, to be read by the benchmark's own rule.
    """
    _, opening, rest = answer.partition(f"```{language}")
    if (opening and "```" in rest) or not answer:
        return answer
    return fenced(_unfenced(answer, language), language)


def _unfenced(text: str, language: Language) -> str:
    if "```" not in text:
        return text
    return extract_code(f"<think></think><answer>{text}</answer>", language) or text
