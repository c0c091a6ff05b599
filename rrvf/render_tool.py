"""The tool that a model is offered, and how the code is read from a call.

The form is that of the RRVF paper (arXiv 2507.20766, overview figure): between ``<tool_call>`` and
``</tool_call>`` there is JSON with the tool's ``name`` and its ``arguments``, here only the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.chat import ToolCall as NativeCall
from rrvf.replies import unfence
from rrvf.types import Language
from rrvf.written_calls import ToolCall, read_native

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class RenderTool:
    """The tool that renders code and compares it with the target.

    Attributes:
        name: The tool's name for the policy.
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
        """The tool's schema for an endpoint, for native calls."""
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
                is_block = code.lstrip().startswith("```")
                return unfence(code, self.language) if is_block else code, ""
        return None, f'the call has no "{self.argument}" that is a string of code'


CHART_TOOL = RenderTool("python_render_and_compare_tool", "python_code", "python")
"""The paper does not show the name of its chart tool; this one follows that of the other."""

PAGE_TOOL = RenderTool("html_render_and_compare_tool", "html_code", "html")
"""As in the paper's overview figure."""


# ---------------------------------------------------------------------------------------- calls


def read_native_calls(calls: Sequence[NativeCall]) -> list[ToolCall]:
    """Native calls, read by the same rules as written ones."""
    return [read_native(call.name, call.arguments) for call in calls]


def add_ids(calls: Sequence[NativeCall], turn: int) -> tuple[NativeCall, ...]:
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
