"""What a model wrote: thoughts, tool calls, the answer, and the code in it.

The agent reads tagged replies and forgives much (:func:`parse_reply`, :func:`extract_code`). The
scorer of ChartMimic must see what the official one sees, quirks included (:func:`prepare_official`,
whose rule is that of VLMEvalKit's ``dataset/chartmimic.py``), or the code the model meant
(:func:`prepare_fixed`). Plot2Code has a rule of its own (:func:`all_python_blocks`).

A completion is whatever a model emitted: no function here raises on any string, and each takes time
linear in its length. A lone surrogate in a completion stays in the code; it cannot be written to a
file as UTF-8, which makes the code one that does not run.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rrvf.types import Language

_TAG = re.compile(r"<(think|tool_call|answer)>")
_FENCE = re.compile(r"```+[ \t]*([\w+#.-]*)")
_PYTHON_BLOCK = re.compile(r"```python(.*?)```", re.DOTALL)
_LANGUAGE_NAMES: Mapping[Language, tuple[str, ...]] = {
    "python": ("python", "python3", "py"),
    "html": ("html", "html5", "xhtml", "htm"),
}

_ESCAPES: tuple[tuple[str, str], ...] = (
    (r"\\n", "\n"),
    (r"\\r", "\r"),
    (r"\\t", "\t"),
    (r"\\" + '"', '"'),
    (r"\\" + "'", "'"),
    (r"\\" * 2, "\\"),
    (r"\\b", "\b"),
    (r"\\f", "\f"),
    (r"\\v", "\v"),
)
"""Two literal backslashes and a letter -> the character. The order is part of the official rule."""

_SHOW = re.compile(r"plt.show\(", re.DOTALL)
_RULER = "# ===================\n"
_PART_2 = f"{_RULER}# Part 2: Data Preparation\n{_RULER}"
_PART_3 = f"{_RULER}# Part 3: Plot Configuration and Rendering\n{_RULER.rstrip()}"

_PREAMBLE = """\
import colorsys
import math
import warnings

import matplotlib.colors as mcolors
import matplotlib.gridspec as gridspec
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import cm
from matplotlib.colors import LogNorm
from matplotlib.gridspec import GridSpec
from matplotlib_venn import venn2
from scipy.stats import gaussian_kde, multivariate_normal, norm

warnings.filterwarnings("ignore", category=UserWarning)
warnings.filterwarnings("ignore", category=FutureWarning)
np.random.seed(0)
"""
"""The names a customized answer may use without importing them, and the state it starts from."""

_MAX_PARSED = 200_000
"""Characters; longer code is not parsed, since a syntax tree may take a thousand times its size."""

_PARSE_LOCK = threading.Lock()
"""``warnings.catch_warnings`` changes the whole process: two threads inside would leak a filter."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One ``<tool_call>``, readable or not.

    Attributes:
        name: The tool's name; ``None`` where none could be read.
        arguments: Argument name -> JSON value; empty where none could be read.
        raw: The text between the tags, as written.
        error: One line that says what is wrong with the call; ``None`` for a good one.
    """

    name: str | None
    arguments: Mapping[str, Any]
    raw: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion, taken apart.

    Attributes:
        think: The thoughts, stripped, several blocks joined by a line break; ``None`` without any.
        tool_calls: In the order they were written.
        answer: The last ``<answer>``, stripped; ``None`` without one.
        text: What stands outside all of these, stripped.
    """

    think: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    answer: str | None = None
    text: str = ""


def parse_reply(completion: str) -> Reply:
    """Take a tagged completion apart.

    Tags do not nest: whatever stands inside an element is that element's text. An element that is
    never closed reaches to the end. A ``</think>`` before any ``<think>`` closes thoughts that the
    chat template opened, so everything before it is thought.

    Args:
        completion: Any string.

    Returns:
        The parts; a tool call that cannot be read is kept, with its ``error``.
    """
    elements: dict[str, list[str]] = {"think": [], "tool_call": [], "answer": []}
    text: list[str] = []
    position = _end_of_open_thought(completion)
    if position:
        elements["think"].append(completion[: position - len("</think>")])
    while tag := _TAG.search(completion, position):
        text.append(completion[position : tag.start()])
        closing = f"</{tag[1]}>"
        end = completion.find(closing, tag.end())
        stop = len(completion) if end < 0 else end
        elements[tag[1]].append(completion[tag.end() : stop])
        position = stop + len(closing)
    text.append(completion[position:])
    thoughts, answers = elements["think"], elements["answer"]
    return Reply(
        think="\n".join(thought.strip() for thought in thoughts) if thoughts else None,
        tool_calls=tuple(_read_call(raw) for raw in elements["tool_call"]),
        answer=answers[-1].strip() if answers else None,
        text="\n".join(text).strip(),
    )


def _end_of_open_thought(completion: str) -> int:
    closing = completion.find("</think>")
    if closing < 0 or "<think>" in completion[:closing]:
        return 0
    return closing + len("</think>")


def _read_call(raw: str) -> ToolCall:
    """Read ``{"name": ..., "arguments": {...}}``; the arguments may be a string of JSON."""
    call, error = _read_object(raw, "the call")
    if error is not None:
        return ToolCall(None, {}, raw, error)
    name = call.get("name")
    if not isinstance(name, str) or not name:
        return ToolCall(None, {}, raw, 'the call has no "name" that is a string')
    value = call.get("arguments", {})
    if isinstance(value, str):
        arguments, error = _read_object(value, '"arguments"')
    elif isinstance(value, dict):
        arguments = cast("dict[str, Any]", value)
    else:
        arguments, error = {}, '"arguments" is not a JSON object'
    return ToolCall(name, arguments, raw, error)


def _read_object(text: str, what: str) -> tuple[dict[str, Any], str | None]:
    try:
        value = json.loads(text)
    # ValueError: bad JSON, or an integer of too many digits; RecursionError: [[[[...
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "out of range"
        return {}, f"{what} is not valid JSON: {reason}"
    if not isinstance(value, dict):
        return {}, f"{what} is not a JSON object"
    return cast("dict[str, Any]", value), None


def extract_code(completion: str, language: Language) -> str | None:
    """Find the code a reply of our own agent ends with.

    The answer counts first: its last fenced block of the language, else its last block of any
    kind, else all of it. Without an answer the text outside thoughts and tool calls is searched
    for fenced blocks in the same way.

    Args:
        completion: Any string.
        language: What the code should be written in.

    Returns:
        The code, without the fence; ``None`` where there is none.
    """
    reply = parse_reply(completion)
    if reply.answer:
        return _last_block(reply.answer, language) or reply.answer
    return _last_block(reply.text, language)


def _last_block(text: str, language: Language) -> str | None:
    blocks = [(name, code) for name, code in _fenced_blocks(text) if code.strip()]
    named = [code for name, code in blocks if name in _LANGUAGE_NAMES[language]]
    return named[-1] if named else blocks[-1][1] if blocks else None


def _fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (language name in lower case, code) of each fenced block; the last may be unclosed."""
    name: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        opening = _FENCE.search(line) if name is None else None
        if opening:
            name = opening[1].lower()
        if name is None:
            continue
        rest = (line[opening.end() :] if opening else line).rstrip()
        if rest.endswith("```") or rest.lstrip().startswith("``` "):
            last = rest.partition("```")[0]
            yield name, _body([*lines, last] if last.strip() else lines)
            name, lines = None, []
        elif not opening:  # what follows the language's name is no code
            lines.append(line)
    if name is not None:
        yield name, _body(lines)


def _body(lines: list[str]) -> str:
    code = "\n".join(lines).strip("\r\n")
    # A block inside a list is indented as a whole, which Python would not accept.
    return textwrap.dedent(code) if code[:1].isspace() else code


def first_python_fence(text: str) -> str:
    """The official rule: what stands between the first "```python" and the next "```".

    Args:
        text: Any string.

    Returns:
        The code, line breaks at its ends included; empty where there is no such block.
    """
    _, opening, rest = text.partition("```python")
    code, closing, _ = rest.partition("```")
    return code if opening and closing else ""


def all_python_blocks(completion: str) -> str:
    """Plot2Code's rule: every "```python" block, each stripped, one below the other.

    Thoughts and answers are not told apart, and what follows "```python" in its line is code.

    Args:
        completion: Any string.

    Returns:
        The code; the whole reply, stripped, where it holds no such block.
    """
    blocks = _PYTHON_BLOCK.findall(completion)
    return "\n".join(block.strip() for block in blocks) if blocks else completion.strip()


def clean_escapes(code: str) -> str:
    r"""The official rule: a doubly escaped character becomes the character itself.

    Two literal backslashes and one of ``n r t " ' b f v`` become the control character or quote,
    four backslashes become one. This mends code that was escaped once too often, and breaks valid
    code that writes ``\\vec`` in a label.
    """
    for escaped, character in _ESCAPES:
        code = code.replace(escaped, character)
    return code


def prepare_official(completion: str, data_block: str | None = None) -> str | None:
    """The code that the official scorer of ChartMimic executes, less the ``savefig`` it appends.

    Args:
        completion: The model's raw reply.
        data_block: For a customized sample, what :func:`customized_preamble` returned.

    Returns:
        Code whose text ends before its first ``plt.savefig(`` or ``plt.show(``, comments and
        functions included; it may be an empty string. ``None`` where the reply holds no code.
    """
    code = clean_escapes(first_python_fence(completion))
    if not code:
        return None
    return before_saving(_joined(data_block, code))


def before_saving(code: str) -> str:
    """What stands before the first ``plt.savefig(`` or ``plt.show(``, found as officially."""
    code = code.partition("plt.savefig(")[0]
    show = _SHOW.search(code)  # the official pattern leaves its dot unescaped
    return (code[: show.start()] if show else code).strip()


def prepare_fixed(completion: str, data_block: str | None = None) -> str | None:
    """The code the model meant: as :func:`prepare_official`, with two of its faults mended.

    Escapes are cleaned only where the code does not parse as it stands, and the code is cut only
    before the first statement of the module itself that calls ``plt.savefig`` or ``plt.show``: not
    at a comment, a string, inside a function, or inside a compound statement (``if``, ``with``).
    Code that does not parse either way is prepared as officially. What parses is decided by the
    grammar of the interpreter this runs in.

    Args:
        completion: The model's raw reply.
        data_block: For a customized sample, what :func:`customized_preamble` returned.

    Returns:
        Code without the final ``savefig``; ``None`` where the reply holds no code.
    """
    code = first_python_fence(completion)
    tree = _parse(code)
    if tree is None:
        code = clean_escapes(code)
        tree = _parse(code)
    if tree is None or not code:
        return prepare_official(completion, data_block)
    return _joined(data_block, code[: _end_of_drawing(tree, code)]).strip()


def _joined(data_block: str | None, code: str) -> str:
    return code if data_block is None else f"{data_block}\n{code}"


def _parse(code: str) -> ast.Module | None:
    """The syntax tree, or ``None``; the compiler's remarks on odd escapes are not shown."""
    if len(code) > _MAX_PARSED:
        return None
    with _PARSE_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        # Besides syntax errors: NUL and surrogates (ValueError), nesting (the other two).
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


def _end_of_drawing(tree: ast.Module, code: str) -> int:
    """Offset in ``code`` of the first module-level statement that saves or shows, else its end."""
    for statement in tree.body:
        if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and _saves(statement):
            return _offset(code, statement)
    return len(code)


def _saves(statement: ast.stmt) -> bool:
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Lambda):
            continue
        match node:
            case ast.Call(func=ast.Attribute(ast.Name("plt"), "savefig" | "show")):
                return True
            case _:
                pending.extend(ast.iter_child_nodes(node))
    return False


def _offset(code: str, statement: ast.stmt) -> int:
    """Where a statement starts, in characters; the tree gives the line, and the column in bytes."""
    breaks = re.finditer(r"\r\n?|\n", code)
    starts = [0, *(line_break.end() for line_break in breaks)]
    start = starts[statement.lineno - 1]
    before = code[start:].encode("utf-8")[: statement.col_offset]
    return start + len(before.decode("utf-8"))


def part_two(reference_code: str) -> str | None:
    """The data that a customized sample gives the model: "Part 2" of its reference script.

    Args:
        reference_code: The script, its lines ended by a line feed alone.

    Returns:
        The text between the headers of parts 2 and 3, stripped; ``None`` where one is missing.
    """
    _, header, rest = reference_code.partition(_PART_2)
    block, next_header, _ = rest.partition(_PART_3)
    return block.strip() if header and next_header else None


def customized_preamble(reference_code: str) -> str | None:
    """What is put before a customized answer: the usual imports, then the reference's data.

    Returns:
        Code; ``None`` where the reference has no part 2, which makes the sample unusable.
    """
    block = part_two(reference_code)
    return None if block is None else _PREAMBLE + block
