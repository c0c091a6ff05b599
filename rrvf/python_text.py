"""Syntax trees of untrusted source text: nothing is executed, and no text raises an error."""

from __future__ import annotations

import ast
import threading
import warnings

_MAX_PARSED = 200_000
"""Characters; longer text is not parsed, since a syntax tree may take a thousand times its size."""

_PARSE_LOCK = threading.Lock()
"""``warnings.catch_warnings`` changes the whole process: two threads inside would leak a filter."""


def parse_module(code: str) -> ast.Module | None:
    """The syntax tree of a script, or ``None``; remarks on odd escapes are not shown."""
    tree = _parse(code, "exec")
    return tree if isinstance(tree, ast.Module) else None


def parse_literal(text: str) -> object:
    """The value of a Python literal such as ``{'name': 'x'}``.

    Raises:
        ValueError: It is none.
    """
    tree = _parse(text.strip(), "eval")
    if tree is None:
        raise ValueError("not a Python literal")
    try:
        return ast.literal_eval(tree)
    # An unhashable key (TypeError), and what nesting does.
    except (TypeError, MemoryError, RecursionError) as error:
        raise ValueError("not a Python literal") from error


def _parse(text: str, mode: str) -> ast.AST | None:
    if len(text) > _MAX_PARSED:
        return None
    with _PARSE_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text, mode=mode)
        # Besides syntax errors: NUL and surrogates (ValueError), nesting (the other two).
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
