"""A model's reply: thoughts, tool calls, the answer, and the code in it.

Scoring reads a reply with :func:`extract_spoken`, which cuts off thoughts. If the reply has an
answer tag, only the tag's content counts. Then the benchmark's own rule finds the code.
ChartMimic's official scorer has its quirks (:func:`prepare_official`, the rule of VLMEvalKit's
``dataset/chartmimic.py``); :func:`prepare_fixed` finds the code that the model meant. Plot2Code has
its own rule (:func:`all_python_blocks`), and so have pages
(:func:`rrvf.page_replies.extract_html`). The loop also reads calls (:func:`parse_reply`).

A completion can be any text: no function here raises on any string, and each takes time linear in
its length. A lone surrogate in a completion stays in the code. It cannot be written to a file as
UTF-8, so that code does not run.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rrvf.python_text import parse_module
from rrvf.types import Code, Language
from rrvf.written_calls import ToolCall, read_calls, read_untagged

_OTHER_CALL = r"tools>(?=\s{0,20}[\[{`])|function=[^<>\n]{1,200}>"
_TAG = re.compile(rf"<(/?think|tool_call|answer)>|<(?:{_OTHER_CALL})")
_PROTOCOL_TAG = re.compile(r"<(/?think|tool_call|answer)>")
_ELEMENT = re.compile(r"<(think|tool_call|answer)>")
_OPENING = re.compile("<think>")
_FENCE_OR_THOUGHT = re.compile(r"```|<think>")
_ACTION = re.compile(rf"<(?:tool_call>|answer>|{_OTHER_CALL})")
_FENCE = re.compile(r"```+[ \t]*([\w+#.-]*)")
_PYTHON_BLOCK = re.compile(r"```python(.*?)```", re.DOTALL)
LANGUAGE_NAMES: Mapping[Language, tuple[str, ...]] = {
    "python": ("python", "python3", "py"),
    "html": ("html", "html5", "xhtml", "htm"),
}
"""What stands behind the backticks of a block, in lower case."""

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


@dataclass(frozen=True, slots=True)
class Reply:
    """The parts of a completion.

    Attributes:
        think: The thoughts, stripped, several blocks joined by a line break; ``None`` without any.
        tool_calls: In the order they were written.
        answer: The last ``<answer>``, stripped; ``None`` without one.
        text: The text outside all of these, stripped.
    """

    think: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    answer: str | None = None
    text: str = ""


@dataclass(slots=True)
class _Parts:
    """The elements of a completion as they are found."""

    thoughts: list[str] = field(default_factory=list[str])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    answers: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])

    def add(self, name: str, content: str) -> None:
        """Add one element of the protocol."""
        if name == "tool_call":
            self.calls += read_calls(content)
        else:
            (self.thoughts if name == "think" else self.answers).append(content)

    def turn_into_thoughts(self, text: str) -> None:
        """Take all that was found so far as thoughts."""
        self.thoughts.append(text)
        self.calls.clear()
        self.answers.clear()
        self.texts.clear()


def parse_reply(completion: str) -> Reply:
    """Split a tagged completion into its parts.

    Tags do not nest: everything inside an element is that element's text. An element that is never
    closed reaches to the end. A ``</think>`` without a ``<think>`` closes thoughts that the chat
    template opened, so everything before it is thought. A call may also use the tags of
    Qwen2.5-Coder or Qwen3-Coder, or be the whole text, see :mod:`rrvf.written_calls`.

    Args:
        completion: Any string.

    Returns:
        The parts; a tool call that cannot be read is kept, with its ``error``.
    """
    parts = _take_apart(completion)
    text = "\n".join(parts.texts).strip()
    if not parts.calls and not parts.answers:
        parts.calls += _read_untagged_calls(text)
    return Reply(
        think="\n".join(thought.strip() for thought in parts.thoughts) if parts.thoughts else None,
        tool_calls=tuple(parts.calls),
        answer=parts.answers[-1].strip() if parts.answers else None,
        text=text,
    )


def _take_apart(completion: str) -> _Parts:
    parts = _Parts()
    position = thought_start = _find_end_of_open_thought(completion)
    if position:
        parts.thoughts.append(completion[: position - len("</think>")])
    pattern, literals = _TAG, _find_literal_thoughts(completion)
    while tag := _find_next_tag(pattern, completion, position, literals):
        parts.texts.append(completion[position : tag.start()])
        name: str | None = tag[1]
        position = tag.end()
        if name == "/think":
            parts.turn_into_thoughts(completion[thought_start : tag.start()])
        elif name is None:
            position, closed_by_tag = _add_other_call(parts, completion, tag)
            pattern = pattern if closed_by_tag else _PROTOCOL_TAG
        else:
            content, closing, is_closed = _read_until(completion, position, f"</{name}>")
            if name == "answer" and parts.answers and not is_closed:
                parts.texts.append(tag[0])  # mentioned after the answer
                continue
            parts.add(name, content)
            position += len(content) + len(closing)
        thought_start = position if name in ("think", "/think") else thought_start
    parts.texts.append(completion[position:])
    return parts


def _find_literal_thoughts(text: str) -> frozenset[int]:
    """Where code says ``<think>``: in a block, and never closed."""
    last, in_block, places = text.rfind("</think>"), False, set[int]()
    if text.find("<think>", last + 1) < 0:
        return frozenset()
    for sign in _FENCE_OR_THOUGHT.finditer(text):
        if sign[0] == "```":
            in_block = not in_block
        elif in_block and sign.start() > last:
            places.add(sign.start())
    return frozenset(places)


def _find_next_tag(
    pattern: re.Pattern[str], text: str, start: int, literals: frozenset[int]
) -> re.Match[str] | None:
    """The next tag that is no literal."""
    tag = pattern.search(text, start)
    while tag is not None and tag.start() in literals:
        tag = pattern.search(text, tag.end())
    return tag


def _read_until(text: str, start: int, closing: str) -> tuple[str, str, bool]:
    """What stands before a closing tag, the tag, and whether it is there."""
    end = text.find(closing, start)
    return (text[start:], "", False) if end < 0 else (text[start:end], closing, True)


def _add_other_call(parts: _Parts, completion: str, tag: re.Match[str]) -> tuple[int, bool]:
    """A call in the tags of a Coder model, or text where it is none.

    Returns:
        Where reading goes on, and whether the tag is closed: if not, no later one is, either.
    """
    is_function = tag[0].startswith("<function=")
    start = tag.start() if is_function else tag.end()
    content, closing, is_closed = _read_until(
        completion, start, "</function>" if is_function else "</tools>"
    )
    calls = read_calls(content + closing if is_function else content)
    end = start + len(content) + len(closing)
    if all(call.error is None for call in calls):
        parts.calls += [_mark_other_tags(call) for call in calls]
        return end, is_closed
    parts.texts.append(completion[tag.start() : end if is_closed else tag.end()])
    return (end if is_closed else tag.end()), is_closed


def _mark_other_tags(call: ToolCall) -> ToolCall:
    return replace(call, malformed=call.malformed or "another tag than <tool_call>")


def _read_untagged_calls(text: str) -> tuple[ToolCall, ...]:
    """Calls without any tag: the whole text, or its only block, if that is one of JSON."""
    prefix, opening, rest = text.partition("```json")
    if opening and prefix.strip() and "```" not in prefix:
        block, _, after = rest.partition("```")
        return () if "```" in after else read_untagged(block.strip())
    return read_untagged(text)


def _find_end_of_open_thought(completion: str) -> int:
    closing = completion.find("</think>")
    if closing < 0 or "<think>" in completion[:closing]:
        return 0
    return closing + len("</think>")


# --------------------------------------------------------------------------- thoughts and answers


def restore_closing_tag(text: str) -> str:
    """A completion with the closing tag that a stop string cut off."""
    tag = _find_open_tag(text, _find_action_in_open_thought(text) or 0)
    return text if tag is None or tag[1] == "think" else f"{text}</{tag[1]}>"


def close_thought(text: str) -> str:
    """Close open thoughts at the next call or answer."""
    start = _find_action_in_open_thought(text)
    return text if start is None else f"{text[:start]}</think>{text[start:]}"


def _find_action_in_open_thought(text: str) -> int | None:
    """Where a call or an answer begins inside of thoughts that were never closed."""
    tag = _find_open_tag(text)
    action = _ACTION.search(text, tag.end()) if tag is not None and tag[1] == "think" else None
    return None if action is None else action.start()


def _find_open_tag(text: str, start: int = 0) -> re.Match[str] | None:
    """The tag that is still open at the end; tags do not nest."""
    prefix, closing, _ = text[start:].partition("</think>")
    if closing and "<think>" not in prefix:  # the chat template opened these thoughts
        start += len(prefix) + len(closing)
    literals = _find_literal_thoughts(text)
    while tag := _find_next_tag(_ELEMENT, text, start, literals):
        closing = f"</{tag[1]}>"
        end = text.find(closing, tag.end())
        if end < 0:
            return tag
        start = end + len(closing)
    return None


def extract_spoken(completion: str, language: Language) -> str:
    """The scored part of a reply, for every command: the answer without thoughts.

    Thoughts are cut off first: everything before the last ``</think>``, as VLMEvalKit does with
    ``SPLIT_THINK``, and everything after a ``<think>`` that is never closed, up to the next call or
    answer. Then the last ``<answer>`` counts, if there is one. A text without any of these tags is
    returned unchanged, so the official rules see the same text as always.

    Args:
        completion: Any string.
        language: Of the code.

    Returns:
        A text without thoughts and ``<answer>``; reading it again changes nothing.
    """
    text = _extract_spoken_once(completion, language)
    # A fence that was put around an answer may make a thought of what stood in a fence before.
    return text if text == completion else _extract_spoken_once(text, language)


def _extract_spoken_once(completion: str, language: Language) -> str:
    if not any(tag in completion for tag in ("<think>", "</think>", "<answer>")):
        return completion
    text = close_thought(completion)
    reply = parse_reply(text)
    if reply.answer is None:
        text = _cut_thoughts(text)
        reply = parse_reply(text)
    if reply.answer is None:
        return text
    if not reply.answer:
        return _cut_thoughts(reply.text)
    innermost = reply.answer.rpartition("<answer>")[2]
    return as_scored(_cut_thoughts(innermost).strip(), language)


def holds_thoughts(completion: str) -> bool:
    """Whether :func:`extract_spoken` cuts off any."""
    return not isinstance(completion, Code) and bool(parse_reply(completion).think)


def _cut_thoughts(text: str) -> str:
    if "<think>" not in text and "</think>" not in text:
        return text
    text = text.rpartition("</think>")[2]
    opening = _find_next_tag(_OPENING, text, 0, _find_literal_thoughts(text))
    return (text if opening is None else text[: opening.start()]).strip()


# ----------------------------------------------------------------------------------------- blocks


def fence(code: str, language: Language) -> str:
    """Code as a reply that every benchmark reads."""
    return f"```{language}\n{code}\n```"


def as_scored(answer: str, language: Language) -> str:
    """An answer in the form that every benchmark reads: a script in a block of its language.

    An answer with such a block is unchanged, and the benchmark's own rule reads it. A page is
    unchanged too, because it needs no block.
    """
    _, opening, rest = answer.partition(f"```{language}")
    if (opening and "```" in rest) or not answer or language == "html":
        return answer
    return fence(unfence(answer, language), language)


def unfence(text: str, language: Language) -> str:
    """The last block of the language, else the last one of any kind, else all of a text."""
    return last_block(text, language) or text


def extract_code(completion: str, language: Language) -> str | None:
    """Find the final code in a reply of our own loop.

    The answer counts first: its last fenced block of the language, else its last block of any
    kind, else all of it. Without an answer the text outside thoughts and tool calls is searched
    for fenced blocks in the same way.

    Args:
        completion: Any string.
        language: The language of the code.

    Returns:
        The code, without the fence; ``None`` where there is none.
    """
    reply = parse_reply(close_thought(completion))
    if reply.answer:
        return last_block(reply.answer, language) or reply.answer
    return last_block(reply.text, language)


def last_block(text: str, language: Language) -> str | None:
    """The last block of the language that is not empty, else the last one of any kind."""
    blocks = [(name, code) for name, code in fenced_blocks(text) if code.strip()]
    in_language = [code for name, code in blocks if name in LANGUAGE_NAMES[language]]
    return in_language[-1] if in_language else blocks[-1][1] if blocks else None


def fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
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
            last_line = rest.partition("```")[0]
            yield name, _join_lines([*lines, last_line] if last_line.strip() else lines)
            name, lines = None, []
        elif not opening:  # what follows the language's name is no code
            lines.append(line)
    if name is not None:
        yield name, _join_lines(lines)


def _join_lines(lines: list[str]) -> str:
    code = "\n".join(lines).strip("\r\n")
    # A block inside a list is indented as a whole, which Python would not accept.
    return textwrap.dedent(code) if code[:1].isspace() else code


def first_python_fence(text: str) -> str:
    """The official rule: the text between the first "```python" and the next "```".

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

    What follows "```python" in its line is code.

    Args:
        completion: Any string; of a tagged one what is :func:`extract_spoken`.

    Returns:
        The code; the whole reply, stripped, where it holds no such block.
    """
    if isinstance(completion, Code):
        return completion.strip()
    text = extract_spoken(completion, "python")
    blocks = _PYTHON_BLOCK.findall(text)
    return "\n".join(block.strip() for block in blocks) if blocks else text.strip()


def clean_escapes(code: str) -> str:
    r"""The official rule: a doubly escaped character becomes the character itself.

    Two literal backslashes and one of ``n r t " ' b f v`` become the control character or quote,
    four backslashes become one. This fixes code that was escaped once too often, and breaks valid
    code that writes ``\\vec`` in a label.
    """
    for escape, character in _ESCAPES:
        code = code.replace(escape, character)
    return code


def prepare_official(completion: str, data_block: str | None = None) -> str | None:
    """The code that the official scorer of ChartMimic executes, less the ``savefig`` it appends.

    Args:
        completion: The model's raw reply; of a tagged one what is :func:`extract_spoken`.
        data_block: For a customized sample, what :func:`customized_preamble` returned.

    Returns:
        Code whose text ends before its first ``plt.savefig(`` or ``plt.show(``, comments and
        functions included; it may be an empty string. ``None`` where the reply holds no code.
    """
    code = clean_escapes(_find_python_code(completion))
    if not code:
        return None
    return before_saving(_join(data_block, code))


def _find_python_code(completion: str) -> str:
    if isinstance(completion, Code):
        return str(completion)
    return first_python_fence(extract_spoken(completion, "python"))


def before_saving(code: str) -> str:
    """The text before the first ``plt.savefig(`` or ``plt.show(``, by the official rule."""
    code = code.partition("plt.savefig(")[0]
    show = _SHOW.search(code)  # the official pattern leaves its dot unescaped
    return (code[: show.start()] if show else code).strip()


def prepare_fixed(completion: str, data_block: str | None = None) -> str | None:
    """The code that the model meant: as :func:`prepare_official`, with two of its bugs fixed.

    Escapes are cleaned only if the code does not parse unchanged. The code is cut only before the
    first statement of the module itself that calls ``plt.savefig`` or ``plt.show``: not at a
    comment, a string, inside a function, or inside a compound statement (``if``, ``with``). Code
    that does not parse either way is prepared by the official rule. The grammar of the running
    interpreter decides what parses.

    Args:
        completion: The model's raw reply.
        data_block: For a customized sample, what :func:`customized_preamble` returned.

    Returns:
        Code without the final ``savefig``; ``None`` where the reply holds no code.
    """
    code = _find_python_code(completion)
    tree = parse_module(code)
    if tree is None:
        code = clean_escapes(code)
        tree = parse_module(code)
    if tree is None or not code:
        return prepare_official(completion, data_block)
    return _join(data_block, code[: _find_end_of_drawing(tree, code)]).strip()


def _join(data_block: str | None, code: str) -> str:
    return code if data_block is None else f"{data_block}\n{code}"


def _find_end_of_drawing(tree: ast.Module, code: str) -> int:
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
    prefix = code[start:].encode("utf-8")[: statement.col_offset]
    return start + len(prefix.decode("utf-8"))


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
    """The code before a customized answer: the usual imports, then the reference's data.

    Returns:
        Code; ``None`` where the reference has no part 2, which makes the sample unusable.
    """
    block = part_two(reference_code)
    return None if block is None else _PREAMBLE + block
