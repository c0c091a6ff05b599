"""Changes to the code of a chart that make a worse answer of it.

Each takes the code and a seed and gives the changed code, or ``None`` where there is nothing to
change. The changes work on the syntax tree, so the code stays readable by Python.
"""

from __future__ import annotations

import ast
import colorsys
import random
import re
from collections.abc import Callable, Mapping

Mutation = Callable[[str, str], str | None]

_HEX = re.compile("#[0-9a-fA-F]{6}")
_COLOR_NAMES = (
    *("blue", "red", "green", "orange", "purple", "brown", "pink", "gray", "olive", "cyan"),
    *("skyblue", "salmon", "gold", "teal", "navy", "lightblue", "lightgreen", "coral"),
    *("magenta", "yellow", "violet", "tomato", "crimson", "orchid", "turquoise", "darkorange"),
)
_OTHER_CYCLE = (
    "import matplotlib.pyplot as plt\n"
    "plt.rcParams['axes.prop_cycle'] = plt.cycler(color=['#8c1d40', '#5f8a0b', '#0b8a80', "
    "'#e0a010', '#4b0082', '#777777'])\nplt.rcParams['image.cmap'] = 'copper'\n"
)
_OTHER_CALL = {
    "bar": "step",
    "barh": "bar",
    "plot": "scatter",
    "scatter": "plot",
    "fill_between": "plot",
    "errorbar": "plot",
    "boxplot": "violinplot",
    "violinplot": "boxplot",
    "hist": "plot",
    "contourf": "contour",
    "contour": "contourf",
    "imshow": "contourf",
    "semilogy": "scatter",
    "loglog": "scatter",
}
_COMMON_ARGUMENTS = {"color", "alpha", "label"}
_TEXT_CALLS = frozenset(
    {"title", "suptitle", "xlabel", "ylabel", "text", "annotate", "set_title", "set_xlabel"}
    | {"set_ylabel", "set_zlabel", "set_xticklabels", "set_yticklabels", "legend", "colorbar"}
)
_DRAWING_CALLS = frozenset({*_OTHER_CALL, "pie", "legend", "text", "annotate", "grid", "quiver"})


def change_colors(code: str, seed: str) -> str | None:
    """Every named or hexadecimal colour becomes another one; so does the cycle of the rest."""
    tree = _parse(code)
    if tree is None:
        return None
    hue = random.Random(seed).uniform(0.25, 0.75)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = _other_color(node.value, hue)
    return _OTHER_CYCLE + ast.unparse(tree)


def _other_color(value: str, hue: float) -> str:
    if _HEX.fullmatch(value):
        channels = (int(value[i : i + 2], 16) / 255 for i in (1, 3, 5))
        hue_before, light, saturation = colorsys.rgb_to_hls(*channels)
        channels = colorsys.hls_to_rgb((hue_before + hue) % 1, light, max(saturation, 0.4))
        return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
    if value in _COLOR_NAMES:
        return _COLOR_NAMES[(_COLOR_NAMES.index(value) + 1 + int(hue * 20)) % len(_COLOR_NAMES)]
    return value


def drop_texts(code: str, seed: str) -> str | None:
    """Titles, labels, legends and notes go."""
    return _drop_statements(code, _TEXT_CALLS, 1.0, seed)


def change_type(code: str, seed: str) -> str | None:
    """Bars become steps, lines points, points lines, boxes violins and so on."""
    tree = _parse(code)
    if tree is None:
        return None
    is_changed = False
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in _OTHER_CALL:
            node.func.attr = _OTHER_CALL[node.func.attr]
            node.keywords = [k for k in node.keywords if k.arg in _COMMON_ARGUMENTS]
            is_changed = True
    return ast.unparse(tree) if is_changed else None


def change_layout(code: str, seed: str) -> str | None:
    """Rows and columns change places; a single chart gets an empty one beside itself."""
    tree = _parse(code)
    if tree is None:
        return None
    is_changed = False
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in ("subplots", "GridSpec", "subplot", "add_subplot"):
            is_changed = _swap_first_two(node) or is_changed
    if is_changed:
        return ast.unparse(tree)
    move = "for _axes in plt.gcf().axes:\n    _axes.set_position([0.08, 0.1, 0.4, 0.8])\n"
    return f"{ast.unparse(tree)}\n{move}plt.gcf().add_subplot(1, 2, 2)\n"


def _swap_first_two(call: ast.Call) -> bool:
    numbers = [a for a in call.args[:2] if isinstance(a, ast.Constant) and type(a.value) is int]
    if len(numbers) < 2 or numbers[0].value == numbers[1].value:
        return False
    call.args[0], call.args[1] = call.args[1], call.args[0]
    return True


def draft(code: str, seed: str) -> str | None:
    """About half of the calls that draw or write something are missing."""
    return _drop_statements(code, _TEXT_CALLS | _DRAWING_CALLS, 0.5, seed)


def change_data(code: str, seed: str) -> str | None:
    """Every number in a list moves by up to half of itself."""
    tree = _parse(code)
    if tree is None:
        return None
    chance = random.Random(seed)
    is_changed = False
    for node in ast.walk(tree):
        if not isinstance(node, ast.List) or len(node.elts) < 3:
            continue
        for number in node.elts:
            if isinstance(number, ast.Constant) and type(number.value) in (int, float):
                number.value = number.value * chance.uniform(0.5, 1.5)
                is_changed = True
    return ast.unparse(tree) if is_changed else None


def spoil(code: str, seed: str) -> str | None:
    """Other colours in a draft."""
    variant = draft(code, seed)
    return None if variant is None else change_colors(variant, seed)


MUTATIONS: Mapping[str, Mutation] = {
    "other colours": change_colors,
    "no texts": drop_texts,
    "another type": change_type,
    "another layout": change_layout,
    "other numbers": change_data,
    "a draft": draft,
    "a draft in other colours": spoil,
}
"""By what is wrong with the answer."""


class _Dropper(ast.NodeTransformer):
    """Takes out statements that call one of some names, each with a probability."""

    def __init__(self, names: frozenset[str], share: float, seed: str) -> None:
        self._names = names
        self._share = share
        self._chance = random.Random(seed)
        self.n_dropped = 0

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """A statement that is a call; nothing takes its place but ``pass``."""
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return node
        if call.func.attr in self._names and self._chance.random() < self._share:
            self.n_dropped += 1
            return ast.Pass()
        return node


def _drop_statements(code: str, names: frozenset[str], share: float, seed: str) -> str | None:
    tree = _parse(code)
    if tree is None:
        return None
    dropper = _Dropper(names, share, seed)
    new_tree = ast.fix_missing_locations(dropper.visit(tree))
    return ast.unparse(new_tree) if dropper.n_dropped else None


def _parse(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except SyntaxError:
        return None
