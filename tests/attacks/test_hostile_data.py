"""Hostile data: what is drawn, raised or saved is strange. It comes through, or fails the item."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.scorers import SCORERS
from rrvf.types import Rendering

Ask = Callable[[ChartRenderer, str], str]
Draw = Callable[..., Rendering]

START = "import matplotlib.pyplot as plt, numpy as np\n"
TARGET = f"{START}plt.plot([1, 2], color='#0000ff')\nplt.imshow(np.eye(2))\nplt.title('t')"


def judged(renderer: ChartRenderer, rendering: Rendering) -> dict[str, float | None]:
    """Every score in both modes, as an evaluation computes them."""
    target = renderer.render(ChartScript(TARGET))
    return {
        f"{mode} {name}": scorer(target.drawing(mode), rendering.drawing(mode), mode).value
        for mode in ("official", "fixed")
        for name, scorer in SCORERS.items()
    }


STRANGE_CHARTS = {
    "a surrogate": "plt.title('\\ud800'); plt.plot([1])",
    "a zero byte": "plt.title('a\\0b'); plt.plot([1])",
    "control characters": "plt.title(''.join(map(chr, range(1, 32)))); plt.plot([1])",
    "HTML": "plt.title('<script>alert(1)</script>'); plt.plot([1])",
    "right to left": "plt.title('\\u202eabc\\u202d'); plt.plot([1])",
    "a text that is none": "plt.title(object()); plt.plot([1])",
    "a text that lies": """
class Evil(str):
    def __str__(self): return 'forged' * 9
    def __len__(self): return -1
    def __eq__(self, other): raise RuntimeError
    __hash__ = str.__hash__
plt.title(Evil('t')); plt.plot([1])""",
    "broken mathtext": "plt.title('$\\\\frac{$'); plt.plot([1])",
    "no numbers": "plt.plot([np.nan, np.inf, -np.inf]); plt.bar([1], [np.inf])",
    "enormous numbers": "plt.plot([1e308, -1e308]); plt.text(1e300, 0, 'far')",
    "no limits": "plt.plot([1]); plt.xlim(5, 5); plt.ylim(1, 1)",
    "a colour that is none": "line, = plt.plot([1]); line._color = '#GGGGGG'",
    "a colour changed after saving": """
line, = plt.plot([1])
plt.savefig('a.pdf')
line._color = '#GGGGGG'""",
    "a colour of another type": "bars = plt.bar([1], [1]); bars[0]._original_facecolor = object()",
    "a short colour": "bars = plt.bar([1], [1]); bars[0]._original_facecolor = '#12'",
    "a colour map named like a colour": "plt.imshow([[1]]).get_cmap().name = '#zz'",
    "a colour map named like half a colour": "plt.imshow([[1]]).get_cmap().name = '#'",
    "a colour map named like a colour, among many": """
plt.bar(range(20), 1, color=[(n / 20, 0.5, 0.5) for n in range(20)])
plt.imshow([[1]]).get_cmap().name = '#zz'""",
    "a colour map without a name": "plt.imshow([[1]]).get_cmap().name = None",
    "a colour map named by a list": "plt.imshow([[1]]).get_cmap().name = ['viridis']",
    "a colour with an endless tail": "plt.imshow([[1]]).get_cmap().name = '#' + '0' * 10**6",
    "axes that are none": "plt.plot([1]); plt.gcf().axes.append(None)",
    "a grid of lies": """
class Grid:
    def get_geometry(self): return (-1, 10**30)
class Spec:
    rowspan = colspan = range(-5, 10**18)
    def get_gridspec(self): return Grid()
    def get_topmost_subplotspec(self): return self
plt.plot([1]); plt.savefig('a.pdf'); plt.gca().get_subplotspec = lambda: Spec()""",
    "two hundred axes": """
for _ in range(200): plt.gcf().add_axes((0, 0, 1, 1), frameon=False)""",
    "an empty figure": "plt.figure()",
    "no size": "plt.figure(figsize=(1e-9, 1e-9)); plt.plot([1])",
    "negative size": "plt.figure(figsize=(-1, -1)); plt.plot([1])",
    "no file name": "plt.plot([1]); plt.savefig(None)",
    "a name with a zero": "plt.plot([1]); plt.savefig('a\\0b')",
    "a file name that lies": """
class Evil(str):
    def __fspath__(self): return '/etc/passwd'
plt.plot([1]); plt.savefig(Evil('a.pdf'))""",
    "saved to a device": "plt.plot([1]); plt.savefig('/dev/zero', format='pdf')",
    "saved to nowhere": "plt.plot([1]); plt.savefig('/dev/null', format='pdf')",
}


@pytest.mark.parametrize("what", STRANGE_CHARTS)
def test_a_strange_chart_is_scored(strongest: ChartRenderer, draw: Draw, what: str) -> None:
    """Drawn or not, it gets a number from every scorer: ``None`` would be our own failure."""
    rendering = draw(strongest, START + STRANGE_CHARTS[what])
    for drawing in (rendering.official, rendering.fixed):
        assert drawing.status in ("ok", "code_error", "timeout", "out_of_memory")
        if drawing.status != "ok":
            assert drawing.elements.texts == ()
    if rendering.official.status == rendering.fixed.status == "ok":
        values = judged(strongest, rendering).values()
        assert all(value is not None and 0.0 <= value <= 1.0 for value in values)


STRANGE_CODE = {
    "a surrogate": "x = '\ud800'",
    "a zero byte": "x = 1\0",
    "only a zero byte": "\0",
    "a mark of the byte order": "\ufeffx = 1",
    "an unknown encoding": "# -*- coding: utf-99 -*-\nx = 1",
    "another encoding": "# -*- coding: utf-7 -*-\nx = '+AGEAYg-'",
    "carriage returns": "x = 1\r\ry = 2",
    "a form feed": "\x0cx = 1",
    "tabs and blanks": "if 1:\n\tx = 1\n        y = 2",
    "a line without an end": "x = 1\\",
    "a string without an end": "x = '''",
    "a digit too many": "x = " + "9" * 5000,
    "a name too long": "a" * 10**6 + " = 1",
    "an invisible name": "x\u200b = 1",
    "a save inside a string": "x = '''\nplt.savefig('''",
    "a save inside a comment": "# plt.savefig('x'\nx = 1",
    "a broken save": "plt.savefig(",
    "code after a return": "return",
    "top-level await": "await x",
    "from the future": "from __future__ import annotations",
    "from no future": "from __future__ import braces",
}


@pytest.mark.parametrize("what", STRANGE_CODE)
def test_strange_code_is_an_outcome(strongest: ChartRenderer, draw: Draw, what: str) -> None:
    rendering = draw(strongest, STRANGE_CODE[what])
    assert {rendering.official.status, rendering.fixed.status} <= {"ok", "code_error"}


ERRORS = {
    "very long": "raise Exception('x' * 10**8)",
    "very many lines": "raise Exception('\\n' * 10**6)",
    "paths without end": "raise Exception('/a' * 10**5)",
    "no words": "raise Exception",
    "words that are none": "raise Exception(b'\\xff', object())",
    "a surrogate": "raise Exception('\\udcff')",
    "terminal control": "raise Exception('\\x1b[2J\\x1b]0;owned\\x07')",
    "a group": "raise ExceptionGroup('many', [Exception('x')] * 1000)",
    "a chain": """
error = None
for _ in range(10**5):
    error, before = Exception('x'), error
    error.__cause__ = before
raise error""",
    "words that lie": """
class Evil(Exception):
    def __str__(self): return type('S', (str,), {'split': lambda s: ['forged'] * 10**7})('x')
raise Evil""",
    "a name that is none": """
Evil = type('Evil', (Exception,), {})
Evil.__name__ = 'x' * 10**6
raise Evil""",
    "a traceback that lies": """
class Evil(Exception):
    @property
    def __traceback__(self): raise SystemExit
raise Evil""",
    "a syntax error of its own": """
error = SyntaxError('x' * 10**6)
error.lineno, error.text, error.filename = 'x', object(), object()
raise error""",
    "no memory": "raise MemoryError",
    "our own": "raise type('Tampered', (Exception,), {})('x')",
    "our own end": "raise type('Captured', (BaseException,), {})('x')",
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_is_one_short_line(strongest: ChartRenderer, draw: Draw, what: str) -> None:
    drawing = draw(strongest, ERRORS[what], modes=("official",)).official
    assert drawing.status in ("code_error", "out_of_memory", "timeout")
    said = drawing.error or ""
    assert 0 < len(said) <= 450
    assert said.isprintable()  # no line feed, nothing that a terminal obeys, no half character


@pytest.mark.parametrize(
    "code",
    [
        "plt.savefig('output.pdf'); plt.savefig('output.pdf')",
        "plt.savefig('output.pdf'); os.rename('output.pdf', 'gone.pdf')",
        "plt.savefig('output.pdf', format='png')",
        "plt.savefig('output.pdf', format='svg')",
        "plt.savefig(open('output.pdf', 'wb'))",
        "plt.savefig(io.BytesIO())",
        "plt.savefig('output.png'); plt.savefig('output.svg')",
        "plt.savefig('output.pdf'); open('output.pdf', 'ab').write(bytes(7 * 2**20))",
        "plt.savefig('output.pdf'); open('output.pdf', 'wb').write(BOMB)",
        "plt.savefig('output.pdf'); open('output.pdf', 'wb').write(b'%PDF-1.4\\n%%EOF')",
        "plt.savefig('output.pdf'); open('output.pdf', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n')",
    ],
)
def test_a_spoilt_file_is_not_read_by_the_host(
    strongest: ChartRenderer, draw: Draw, code: str
) -> None:
    """Files are looked at in the confined process; the host gets pictures or nothing."""
    bomb = "BOMB = b'%PDF-1.7\\n' + b'1 0 obj<</Kids[1 0 R]/Type/Pages/Count 99999999>>' * 9999\n"
    script = f"{START}import io, os\n{bomb}plt.plot([1])\n{code}"
    rendering = draw(strongest, script, pdf=True, judge=True)
    assert rendering.official.status in ("ok", "code_error")
    for picture in (rendering.png, rendering.judge_png):
        assert picture is None or picture.startswith(b"\x89PNG\r\n\x1a\n")


# ----------------------------------------------------------------------- what the host has to bear

BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
from rrvf.scorers import SCORERS
from rrvf.types import Color, Drawing, Elements, LayoutCell
many = Elements({many})
few = Elements(("a",), {{"bar": 1}}, (Color("bar", "#000000"),), (LayoutCell(1, 1, 0, 0, 0, 0),), 1)
for scorer in SCORERS.values():
    scorer(Drawing("ok", None, True, few), Drawing("ok", None, True, many), "official")
"""
MANY = {
    "colours": "colors=tuple(Color('bar', f'#{n * 97:06X}') for n in range(20_000))",
    "colour maps": "colors=tuple(Color('imshow', f'm{n}') for n in range(20_000))",
    "roles": "colors=tuple(Color(f'r{n}', '#000000') for n in range(2_000))",
    "texts": "texts=tuple(f'{n}' for n in range(1_000_000))",
    "axes": "layout=(LayoutCell(1, 1, 0, 0, 0, 0),) * 200_000, n_axes=200_000",
    "types": "chart_types={f'{n}': n for n in range(1_000_000)}",
}


@pytest.mark.parametrize("what", MANY)
def test_many_elements_do_not_exhaust_a_scorer(what: str) -> None:
    """A single call of ``plt.bar`` draws as many colours as it likes; 3 GiB must do for scoring."""
    script = BOUNDED.format(many=MANY[what])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr[-300:]
