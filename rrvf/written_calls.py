"""Tool calls as models write them.

The protocol's form is one JSON object with ``name`` and ``arguments``. Models of the Qwen family
also write other forms: real line breaks inside JSON strings, a fence around the object, Python's
quotes, a missing bracket at the end, arguments as JSON in a string, OpenAI's format, several
objects, or the tags of Qwen3-Coder (``<function=...><parameter=...>``). Such a call is read only if
it has exactly one meaning, and :attr:`~ToolCall.malformed` says what was wrong.

No function here raises on any string, and each takes time linear in its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from rrvf.python_text import parse_literal

_FENCE_LINE = re.compile(r"```+[ \t]*\w{0,20}[ \t]*")
_FUNCTION = re.compile(r"<function=([^<>\n]{1,200})>")
_PARAMETER = re.compile(r"<parameter=([^<>\n]{1,200})>")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_UNKNOWN_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = '"\\/bfnrtu'
_BRACKETS = {"{": "}", "[": "]"}
_BETWEEN = " \t\r\n,;"
_OPENINGS = ("<tool_call>", "<tools>")
_CLOSINGS = ("</tool_call>", "</tools>")

_NO_ARGUMENTS = ("name", "function", "type", "id")
"""What may stand in a call beside its arguments."""

_MOST_MISSING = 3
"""Brackets at the end: of the arguments, of the call, and of the object around it."""

_MOST_OBJECTS = 32
_MOST_REPAIRED = 200_000
"""Characters; no model writes a longer call."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call, readable or not.

    Attributes:
        name: The tool's name; ``None`` where none could be read.
        arguments: Argument name -> JSON value; empty where none could be read.
        raw: The text between the tags, as written.
        error: One line that says what is wrong with the call; ``None`` for one that can be run.
        malformed: What differs from the protocol's form in a call that can be run all the same;
            ``None`` for the form itself.
    """

    name: str | None
    arguments: Mapping[str, Any]
    raw: str
    error: str | None
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class _Value:
    """A JSON value, and what was odd about how it was written."""

    value: object
    odd: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------- calls


def read_calls(raw: str) -> tuple[ToolCall, ...]:
    """The calls between two tags; at least one, perhaps an unreadable one.

    Args:
        raw: What stands between the tags.
    """
    functions = _FUNCTION.search(raw)
    if functions is not None and not raw[: functions.start()].strip():
        return tuple(_read_functions(raw))
    try:
        values = [call for value in _read_values(raw) for call in _unwrap(value)]
    except ValueError as error:
        return (ToolCall(None, {}, raw, f"the call is not valid JSON: {error}"),)
    if not values:
        return (ToolCall(None, {}, raw, "the call is not a JSON object"),)
    remarks = ("several calls in one tag",) if len(values) > 1 else ()
    return tuple(_read_call(raw, replace(value, odd=(*remarks, *value.odd))) for value in values)


def read_native(name: str, arguments: str) -> ToolCall:
    """A call that an endpoint returned beside the text; ``arguments`` is JSON, or should be."""
    if not name:
        return ToolCall(None, {}, arguments, 'the call has no "name" that is a string')
    values, odd, error = _parse_arguments(arguments)
    return ToolCall(name, values, arguments, error, _join(odd))


def read_untagged(text: str) -> tuple[ToolCall, ...]:
    """Calls that lack their tags: a text that is nothing but readable calls; else none."""
    if text[:1] not in ("{", "[", "`"):
        return ()
    calls = read_calls(text)
    if any(call.error is not None or not call.arguments for call in calls):
        return ()
    return tuple(replace(call, malformed=_join(("no tag", call.malformed))) for call in calls)


def _read_call(raw: str, entry: _Value) -> ToolCall:
    value, odd = entry.value, entry.odd
    if not isinstance(value, dict):
        return ToolCall(None, {}, raw, "the call is not a JSON object")
    call = cast("dict[str, Any]", value)
    function: object = call.get("function")
    if isinstance(function, dict):
        call, odd = cast("dict[str, Any]", function), (*odd, 'the call inside of "function"')
    elif isinstance(function, str) and "name" not in call:
        call, odd = {**call, "name": function}, (*odd, '"function" instead of "name"')
    name = call.get("name")
    if not isinstance(name, str) or not name:
        return ToolCall(None, {}, raw, 'the call has no "name" that is a string')
    arguments, more, error = _read_arguments(call)
    malformed = _join((*odd, *more)) if error is None else None
    return ToolCall(name, arguments, raw, error, malformed)


def _join(odd: Sequence[str | None]) -> str | None:
    return ", ".join(filter(None, odd)) or None


def _unwrap(entry: _Value) -> Iterator[_Value]:
    """The calls of a list, or of OpenAI's ``tool_calls``; any other value by itself."""
    calls = entry.value
    if isinstance(calls, dict):
        calls = cast("dict[str, object]", calls).get("tool_calls")
    if not isinstance(calls, list):
        yield entry
        return
    for call in cast("list[object]", calls)[:_MOST_OBJECTS]:
        yield _Value(call, (*entry.odd, "a list of calls"))


# --------------------------------------------------------------------------------- arguments

_Arguments = tuple[dict[str, Any], tuple[str, ...], str | None]
"""Arguments, what was odd about them, and what is wrong with them."""


def _read_arguments(call: Mapping[str, Any]) -> _Arguments:
    odd: tuple[str, ...] = ()
    value = call.get("arguments", call.get("parameters"))
    rest = {name: item for name, item in call.items() if name not in _NO_ARGUMENTS}
    if "arguments" not in call and "parameters" in call:
        odd = ('"parameters" instead of "arguments"',)
    elif "arguments" not in call:
        value, odd = rest, ("the arguments beside the name",) if rest else ()
    if isinstance(value, dict):
        return cast("dict[str, Any]", value), odd, None
    if not isinstance(value, str):
        return {}, odd, '"arguments" is not a JSON object'
    arguments, more, error = _parse_arguments(value)
    return arguments, (*odd, "arguments in a string", *more), error


def _parse_arguments(text: str) -> _Arguments:
    try:
        values = _read_values(text)
    except ValueError as error:
        return {}, (), f'"arguments" is not valid JSON: {error}'
    value = values[0].value
    if len(values) != 1 or not isinstance(value, dict):
        return {}, (), '"arguments" is not a JSON object'
    return cast("dict[str, Any]", value), values[0].odd, None


# ------------------------------------------------------------------------------- JSON and near


def _read_values(text: str) -> list[_Value]:
    """JSON values of a text, or of what is beyond doubt meant as such.

    Raises:
        ValueError: It is neither; says what is wrong with it as JSON.
    """
    try:
        return [_unwrap_string(_Value(json.loads(text)))]
    except RecursionError:
        raise ValueError("out of range") from None
    except json.JSONDecodeError as error:
        reason = str(error)
    except ValueError:
        raise ValueError("out of range") from None  # an integer of too many digits
    if len(text) > _MOST_REPAIRED:
        raise ValueError(reason)
    bare, odd = _strip_frame(text)
    for reader in (_parse_objects, _complete_json, _double_backslashes, _parse_python):
        try:
            return [
                _unwrap_string(_Value(value.value, (*odd, *value.odd))) for value in reader(bare)
            ]
        except (ValueError, RecursionError):
            continue
    raise ValueError(reason)


def _unwrap_string(entry: _Value) -> _Value:
    """JSON that was written as a JSON string once more."""
    text = entry.value
    if not isinstance(text, str):
        return entry
    try:
        value: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return entry
    if not isinstance(value, dict):
        return entry
    return _Value(cast("object", value), (*entry.odd, "JSON in a string"))


def _strip_frame(text: str) -> tuple[str, tuple[str, ...]]:
    """What stands in a fence, or before a tag that was meant to close."""
    odd: list[str] = []
    text = text.strip()
    for tag in (*_OPENINGS, *_CLOSINGS):
        if text.endswith(tag):
            text = text.removesuffix(tag).rstrip()
            odd.append("another tag at the end")
    first, _, rest = text.partition("\n")
    if _FENCE_LINE.fullmatch(first) and rest.endswith("```"):
        text = rest.rstrip("`").strip()
        odd.append("a fence around the call")
    return text, tuple(odd)


def _parse_objects(text: str) -> list[_Value]:
    """Objects one after the other, their strings with real line breaks and tabs in them."""
    decoder = json.JSONDecoder(strict=False)
    values: list[object] = []
    odd: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in _BETWEEN:
            at += 1
        elif values and text[at] in "}]":
            odd, at = ["a bracket too many"], at + 1
        else:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
    has_several = len(values) > 1
    if not values or (has_several and not all(isinstance(value, dict) for value in values)):
        raise ValueError("no object, or something else beside it")
    if len(values) > _MOST_OBJECTS:
        raise ValueError("too many objects")
    if not odd and not has_several and _has_control(text):
        odd = ["line breaks inside of a string"]
    return [_Value(value, tuple(odd)) for value in values]


def _has_control(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


def _complete_json(text: str) -> list[_Value]:
    """An object that lacks brackets at its end, after its last value."""
    if text[-1:] in ("{", "["):
        raise ValueError("cut off before a value")
    brackets: list[str] = []
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in _BRACKETS:
            brackets.append(_BRACKETS[sign])
        elif sign == '"' or (sign in "}]" and (not brackets or brackets.pop() != sign)):
            raise ValueError("a string without an end, or brackets that do not match")
    if not 0 < len(brackets) <= _MOST_MISSING:
        raise ValueError("no bracket is missing, or too many are")
    full_text = text + "".join(reversed(brackets))
    return [_Value(json.loads(full_text, strict=False), ("a bracket too few at the end",))]


def _double_backslashes(text: str) -> list[_Value]:
    """JSON whose strings have backslashes of their own, as those of formulas."""
    values = _parse_objects(_UNKNOWN_ESCAPE.sub(_escape, text))
    odd = "backslashes that JSON does not know"
    return [_Value(value.value, (odd, *value.odd)) for value in values]


def _escape(escape: re.Match[str]) -> str:
    return escape[0] if escape[1] in _ESCAPES else "'" if escape[1] == "'" else f"\\{escape[0]}"


def _parse_python(text: str) -> list[_Value]:
    """A dictionary as Python writes it."""
    if not text.endswith(("}", "]")):
        raise ValueError("no dictionary")
    value = parse_literal(text)
    if not isinstance(value, dict | list):
        raise ValueError("no dictionary")
    return [_Value(cast("object", value), ("Python instead of JSON",))]


# -------------------------------------------------------------------------------- Qwen3-Coder


def _read_functions(raw: str) -> Iterator[ToolCall]:
    """Calls of the form ``<function=NAME><parameter=NAME>text</parameter></function>``."""
    for name, body in _find_elements(_FUNCTION, raw, "</function>"):
        if name:
            elements = _find_elements(_PARAMETER, body, "</parameter>")
            arguments = {
                key: value.removeprefix("\n").removesuffix("\n") for key, value in elements
            }
            yield ToolCall(name, arguments, raw, None, "tags instead of JSON")
        else:
            yield ToolCall(None, {}, raw, 'the call has no "name" that is a string')


def _find_elements(opening: re.Pattern[str], text: str, closing: str) -> Iterator[tuple[str, str]]:
    """Name and content of each element; one that is not closed ends where the next begins."""
    tags = list(opening.finditer(text))[:_MOST_OBJECTS]
    ends = [*(tag.start() for tag in tags), len(text)][1:]
    for tag, end in zip(tags, ends, strict=True):
        yield tag[1].strip().strip("\"'"), text[tag.end() : end].partition(closing)[0]
