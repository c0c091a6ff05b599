"""The place where the official scorer would cut into a script, found before the script runs.

The official text log comes from a copy of the script. Four lines are inserted as text before the
first ``plt.savefig``; they remove the ticks of every axes of the current figure. If that place is a
statement, one execution can serve all logs by stopping there. Otherwise the copy is a different
program, or no program at all, and is treated as such.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from types import CodeType

FILE_NAME = "script.py"
SAVE = "plt.savefig"

REMOVE_TICKS = """
all_axes = plt.gcf().get_axes()
for ax in all_axes:
    ax.set_xticks([])
    ax.set_yticks([])
"""
"""The official insertion's effect, the names it leaves behind in the script included."""
DECLARED_WITHIN = 10_000
LEFT_BEHIND = frozenset({"all_axes", "ax"})

BYTE_ORDER_MARK = "\ufeff"

NOT_COMPILED = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What compiling raises: besides syntax errors on surrogates and NUL, and on nesting."""


@dataclass(frozen=True)
class Plan:
    """A script, ready to run.

    Attributes:
        before: Everything up to the first ``plt.savefig``, or the whole script.
        save: That one statement; ``None`` where it is no top-level statement.
        after: What follows it.
        ticks_stay: The script never says ``plt.savefig``, so nothing is inserted.
        text_copy: The copy with the insertion, where it is another program than the script.
        unlogged: The official prefix turns the script into an error, so that nothing is logged: a
            ``from __future__`` import or a byte order mark no longer comes first.
    """

    before: CodeType
    save: CodeType | None = None
    after: CodeType | None = None
    ticks_stay: bool = False
    text_copy: CodeType | None = None
    unlogged: bool = False


def make_plan(code: str) -> Plan:
    """Analyse a script.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not compile.
    """
    with warnings.catch_warnings(module=warnings):  # the script has not imported it
        warnings.simplefilter("ignore")
        if _encoding_matters(code):
            as_file = compile(code.encode(), FILE_NAME, "exec", dont_inherit=True)
            if code.startswith(BYTE_ORDER_MARK):
                return Plan(as_file, unlogged=True)
        tree = ast.parse(code, FILE_NAME)
        whole = compile(tree, FILE_NAME, "exec", dont_inherit=True)
        if any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body):
            return Plan(whole, unlogged=True)
        place = code.find(SAVE)
        if place < 0:
            return Plan(whole, ticks_stay=True)
        index = _find_statement(tree, code, place)
        if index is None or _names_matter(tree, index):
            return Plan(whole, text_copy=try_compile(code[:place] + REMOVE_TICKS + code[place:]))
        return Plan(
            before=_compile_part(tree.body[:index]),
            save=_compile_part([tree.body[index]]),
            after=_compile_part(tree.body[index + 1 :]),
        )


def _encoding_matters(code: str) -> bool:
    """Whether Python, which officially reads the script from a file, may read it otherwise.

    A byte order mark is left out at a file's start, and an encoding declared in the first two
    lines may be unknown, or not that of the file.
    """
    start = code[:DECLARED_WITHIN].replace("\r\n", "\n").replace("\r", "\n").split("\n")[:2]
    return code.startswith(BYTE_ORDER_MARK) or any("coding" in line for line in start)


def _find_statement(tree: ast.Module, code: str, place: int) -> int | None:
    """Index of the top-level statement ``plt.savefig(...)`` that starts at character ``place``."""
    for index, node in enumerate(tree.body):
        match node:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id="plt"), attr="savefig"))
            ) if _find_offset(code, node) == place:
                return index
            case _:
                continue
    return None


def _names_matter(tree: ast.Module, index: int) -> bool:
    """Whether what follows the save may look at a name that the insertion has changed."""
    if all(_shows_or_closes(node) for node in tree.body[index + 1 :]):
        return False
    return any(isinstance(node, ast.Name) and node.id in LEFT_BEHIND for node in ast.walk(tree))


def _shows_or_closes(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id="plt"), attr="show" | "close"),
                args=[] | [ast.Constant()],
                keywords=[],
            )
        ):
            return True
        case _:
            return False


def _find_offset(code: str, node: ast.stmt) -> int:
    """Character offset of a statement, -1 where lines end in anything but a line feed."""
    lines = code.split("\n")
    if "\r" in code or node.lineno > len(lines):
        return -1
    line = lines[node.lineno - 1].encode()
    return sum(len(text) + 1 for text in lines[: node.lineno - 1]) + len(
        line[: node.col_offset].decode()
    )


def _compile_part(statements: list[ast.stmt]) -> CodeType:
    return compile(
        ast.Module(body=statements, type_ignores=[]), FILE_NAME, "exec", dont_inherit=True
    )


def compile_whole(code: str) -> CodeType:
    """A script as it stands, ready to run.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not compile.
    """
    with warnings.catch_warnings(module=warnings):
        warnings.simplefilter("ignore")
        return compile(code, FILE_NAME, "exec", dont_inherit=True)


def try_compile(code: str) -> CodeType | None:
    """The code, ready to run; ``None`` where it does not compile."""
    try:
        return compile(code, FILE_NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
