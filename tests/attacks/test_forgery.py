"""Forgery: results are made by drawing. Not by writing, nor by replacing what does the measuring.

A script shares its process with the recorder, so one that searches the interpreter for it can
report what it has not drawn: what it might as well have drawn. That is not excluded. Excluded are
values that no drawing has, an outcome that looks like the harness's own failure, and all the ways
that do not need such a search.
"""

from __future__ import annotations

import contextlib
import copy
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rrvf.errors import TooLargeError
from rrvf.evaluate import score_item
from rrvf.renderers.chart import ChartRenderer, parse_answer
from rrvf.renderers.chart_server import wire
from rrvf.scorers import SCORERS
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scorers.scorer import score_each
from rrvf.types import Drawing, Rendering, Sample
from tests.benches import chart_bench
from tests.episodes import png

Ask = Callable[[ChartRenderer, str], str]
Draw = Callable[..., Rendering]

EMPTY: dict[str, Any] = {"texts": [], "chart_types": {}, "colors": [], "layout": [], "n_axes": 0}


def outcome(**elements: Any) -> dict[str, Any]:
    return {"status": "ok", "error": None, "complete": True, "elements": {**EMPTY, **elements}}


def answer(official: Any = None, fixed: Any = None, **more: Any) -> dict[str, Any]:
    fallback = outcome()
    return {
        "official": fallback if official is None else official,
        "fixed": fallback if fixed is None else fixed,
        "needs_texts": False,
        "drew_pdf": True,
        **more,
    }


def frame(said: Any) -> bytes:
    text = json.dumps(said).encode()
    return struct.pack(">I", len(text)) + text


FORGED = answer(outcome(texts=["forged"], chart_types={"bar": 1}), blobs=[])


# ------------------------------------------------------------------------ leaving without drawing


@pytest.mark.parametrize(
    "ending",
    [
        *(f"os._exit({code})" for code in (0, 1, 2, 97, 98, 126, 127, 137, 255)),
        "sys.exit(0)",
        "quit()",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "os.abort()",
        "ctypes.string_at(0)",
        "ctypes.CDLL(None).exit(0)",
        "ctypes.CDLL(None)._exit(97)",
        "os.closerange(3, 5000); time.sleep(1)",
        "os.closerange(0, 5000)",
        "[os.dup2(0, fd) for fd in range(3, 600)]",
        "faulthandler._sigsegv()",
        "raise type('E', (BaseException,), {'__str__': lambda self: 1 / 0})",
        "raise type('E', (BaseException,), {'__str__': lambda self: os._exit(0)})",
        "class M(type): __name__ = property(lambda self: 1 / 0)\n"
        "class E(Exception, metaclass=M): pass\nraise E",
    ],
)
def test_leaving_early_is_an_error_of_the_script(
    strongest: ChartRenderer, draw: Draw, ending: str
) -> None:
    """Whatever the way: neither a success nor a failure of ours, which would count as unscored."""
    script = f"import ctypes, faulthandler, os, sys, time\n{ending}"
    rendering = draw(strongest, script)
    assert (rendering.official.status, rendering.fixed.status) == ("code_error", "code_error")


WRITE_EVERYWHERE = """
import os
for descriptor in [*range(64), *range(64, 5000)]:
    for start in (b"", bytes(32)):
        try:
            os.write(descriptor, start + FRAME)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    "written",
    [
        frame(FORGED),
        json.dumps({"ok": True, "score": 1}).encode() + b"\n",
        wire.encode({"id": 0, "outcome": "answer"}, {"answer": frame(FORGED)}),
    ],
    ids=["an answer", "a line of JSON", "a message of the server"],
)
def test_what_is_written_to_every_descriptor_is_not_believed(
    strongest: ChartRenderer, draw: Draw, written: bytes
) -> None:
    script = WRITE_EVERYWHERE.replace("FRAME", repr(written)) + "os._exit(0)"
    assert draw(strongest, script).official.status == "code_error"


def test_writing_and_going_on_spoils_the_own_result_only(
    strongest: ChartRenderer, draw: Draw
) -> None:
    script = WRITE_EVERYWHERE.replace("FRAME", repr(frame(FORGED)))
    script += "import matplotlib.pyplot as plt; plt.title('drawn')"
    assert draw(strongest, script).official.elements.texts in ((), ("drawn",))


@pytest.mark.parametrize(
    "code",
    [
        "os.mkdir('output.pdf')",
        "open('output.pdf', 'wb').write(b'%PDF-1.4 ' + b'x' * 4_000_000)",
        "open('output.pdf', 'w').close()",
        "open(os.path.join(os.getcwd(), 'output.pdf'), 'w').write('%PDF'); os._exit(0)",
        "open('output.pdf', 'w').write('%PDF'); sys.exit()",
    ],
)
def test_a_file_written_by_hand_is_no_picture(
    strongest: ChartRenderer, draw: Draw, code: str
) -> None:
    rendering = draw(strongest, f"import os, sys; {code}; raise ValueError")
    assert rendering.official.status == "code_error"
    assert rendering.pdf is None


# ----------------------------------------------------------------------- replacing the measuring

PATCHES = {
    "plt.savefig": "plt.savefig = lambda *a, **k: open('output.pdf', 'w').close()",
    "Figure.savefig": "Figure.savefig = lambda *a, **k: open('output.pdf', 'w').close()",
    "Figure.draw": "Figure.draw = forging",
    "print_figure": "FigureCanvasBase.print_figure = forging",
    "print_pdf": "FigureCanvasPdf.print_pdf = forging",
    "draw_text": "RendererPdf.draw_text = forging",
    "Text.draw": "matplotlib.text.Text.draw = forging",
    "Axes.bar": "plt.Axes.bar = forging",
    "pyplot.bar": "plt.bar = forging",
    "gcf": "plt.gcf = forging",
    "get_axes": "Figure.get_axes = forging",
    "get_facecolor": "matplotlib.patches.Patch.get_facecolor = lambda self: (0, 0, 0, 1)",
    "to_hex": "matplotlib.colors.to_hex = lambda *a, **k: '#010101'",
    "json.dumps": "json.dumps = lying",
    "json encoder": "json.JSONEncoder.encode = lambda self, said: lying(said)",
    "json encoder's iterencode": "json.JSONEncoder.iterencode = lambda self, said: [lying(said)]",
    "C encoder": "json.encoder.c_make_encoder = None",
    "str": "builtins.str = lambda *a: 'forged'",
    "len": "builtins.len = lambda *a: len_(a[0]) + 1\nlen_ = len",
    "dict": "builtins.dict = lambda *a, **k: {'bar': 7}",
    "isinstance": "builtins.isinstance = lambda *a: True",
    "open": "builtins.open = lambda *a, **k: 1 / 0",
    "__import__": "builtins.__import__ = lambda *a, **k: 1 / 0",
    "print": "builtins.print = lambda *a, **k: 1 / 0",
    "os.write": "os.write = lambda fd, data: len(data)",
    "os._exit": "os._exit = lambda code: None",
    "struct.pack": "struct.pack = lambda *a: bytes(4)",
    "settrace": "sys.settrace(lambda *a: 1 / 0)",
    "setprofile": "sys.setprofile(lambda *a: 1 / 0)",
    "excepthook": "sys.excepthook = forging",
    "sys.modules": "sys.modules['json'] = sys.modules['os'] = sys.modules['io'] = None",
    "modules forgotten": "[sys.modules.pop(n) for n in [*sys.modules] if 'matplotlib' in n]",
    "another pyplot": "sys.modules['matplotlib.pyplot'] = type(sys)('pyplot')",
    "meta_path": "sys.meta_path[:] = []; sys.path[:] = []; sys.path_hooks[:] = []",
    "__main__": "sys.modules['__main__'].__dict__['__builtins__'] = {}",
    "atexit": "import atexit; atexit.register(lambda: os.write(1, b'forged'))",
    "weakref": "import weakref; weakref.finalize(plt.gcf(), forging)",
    "gc": "import gc; gc.callbacks.append(forging); gc.set_threshold(1)",
    "audit": "sys.addaudithook(lambda *a: None)",
    "working folder": "os.mkdir('x'); os.chdir('x')",
    "rcParams": "plt.rcParams['savefig.directory'] = 'x'; plt.rcParams['savefig.format'] = 'png'",
    "backend": "plt.switch_backend('svg')",
    "a thread": """
import threading
def forge_on():
    while True: json.dumps = lying
sys.setswitchinterval(1e-6)
threading.Thread(target=forge_on, daemon=True).start()""",
}
CHART = """
import builtins, json, os, struct, sys
import matplotlib, matplotlib.patches, matplotlib.text, matplotlib.colors
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_pdf import FigureCanvasPdf, RendererPdf
FORGED, dumps = {forged!r}, json.dumps
def lying(said, **kwargs):
    return dumps(dict(FORGED, blobs=said["blobs"]))
def forging(*args, **kwargs):
    return None
plt.bar([1, 2], [1, 2], color="red")
plt.title("drawn")
"""


@pytest.mark.parametrize("what", PATCHES)
def test_a_replaced_function_forges_nothing(
    strongest: ChartRenderer, draw: Draw, what: str
) -> None:
    """The item fails, or is told as it was drawn; never something else."""
    script = CHART.format(forged=FORGED) + PATCHES[what]
    rendering = draw(strongest, script)
    drawn_as_is = [("drawn",), {"bar": 1}, "#FF0000"]
    for drawing in (rendering.official, rendering.fixed):
        assert drawing.status in ("ok", "code_error", "timeout", "out_of_memory")
        elements = drawing.elements
        told = [elements.texts, elements.chart_types, *(color.value for color in elements.colors)]
        assert told in (drawn_as_is, [(), {}], [(), {"bar": 1}, "#FF0000"])


def test_the_server_cannot_be_imported(strongest: ChartRenderer, ask: Ask) -> None:
    script = """
import sys
answer = [name for name in sys.modules if "rrvf" in name or "chart_server" in name]
for name in ("rrvf_chart_server", "rrvf_chart_server.child", "rrvf_chart_server.wire"):
    try:
        __import__(name)
        answer.append(name)
    except ImportError:
        pass
"""
    assert ask(strongest, script) == "[]"


# ------------------------------------------------------------ a frame that only the child writes

STOLEN = """
import os, sys
frame = sys._getframe()
while "token" not in frame.f_locals: frame = frame.f_back
os.write(frame.f_locals["answer_fd"], frame.f_locals["token"] + FRAME)
os._exit(0)
"""
HUGE = 10**400
MALFORMED: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no drawing": {"official": 1, "fixed": 1, "needs_texts": False},
    "not derived": answer() | {"official": None, "fixed": None},
    "half derived": answer() | {"fixed": None},
    "the other half derived": answer() | {"official": None},
    "a harness error": answer(outcome() | {"status": "harness_error"}),
    "an unknown status": answer(outcome() | {"status": "perfect"}),
    "a count below zero": answer(outcome(chart_types={"plot": 1, "bar": -1})),
    "a huge count": answer(outcome(chart_types={"bar": HUGE})),
    "a count of zero": answer(outcome(chart_types={"bar": 0})),
    "half a count": answer(outcome(chart_types={"bar": 0.5})),
    "a true count": answer(outcome(chart_types={"bar": True})),
    "no number": answer(outcome(n_axes=float("nan"))),
    "infinitely many": answer(outcome(n_axes=float("inf"))),
    "fewer than none": answer(outcome(n_axes=-1)),
    "huge axes": answer(outcome(n_axes=HUGE)),
    "texts of numbers": answer(outcome(texts=[1])),
    "one text": answer(outcome(texts={"a": 1})),
    "a colour that is none": answer(outcome(colors=[["line", "#GGGGGG"]])),
    "half a colour": answer(outcome(colors=[["line", "#12"]])),
    "a pair too many": answer(outcome(colors=[["line", "#123456", "x"]])),
    "a cell of five": answer(outcome(layout=[[1, 1, 0, 0, 0]])),
    "a cell of texts": answer(outcome(layout=["111000"])),
    "a cell below zero": answer(outcome(layout=[[1, 1, -1, 0, 0, 0]])),
    "types as a text": answer(outcome(chart_types="bar")),
    "no types": answer(outcome(chart_types=None)),
    "no elements": answer(outcome() | {"elements": None}),
    "a list of types": answer(outcome(chart_types=[])),
    "a name without end": answer(outcome(chart_types={"x" * 30_000_000: 1})),
    "a role without end": answer(outcome(colors=[["x" * 3_000_000, "#123456"]])),
    "a colour map without end": answer(outcome(colors=[["x", "y" * 3_000_000]])),
    "endless nesting": answer(json.loads("[" * 900 + "]" * 900)),
}


@pytest.mark.parametrize("what", [what for what in MALFORMED if "half derived" not in what])
def test_a_malformed_answer_is_refused(what: str) -> None:
    said = MALFORMED[what]
    written = frame({**said, "blobs": []} if isinstance(said, dict) else said)
    refusals = (wire.WireError, KeyError, TypeError, ValueError)
    with pytest.raises(refusals):
        parse_answer({"seconds": 0.0, "cpu_seconds": 0.0}, written)


@pytest.mark.parametrize(
    "what",
    [
        *("not derived", "half derived", "the other half derived", "a harness error"),
        *("a count below zero", "a list", "a list of types"),
    ],
)
def test_a_stolen_token_buys_no_impossible_outcome(
    strongest: ChartRenderer, draw: Draw, what: str
) -> None:
    """End to end: a script that has found the token and writes what no drawing yields."""
    said = MALFORMED[what]
    written = frame({**said, "blobs": []} if isinstance(said, dict) else said)
    rendering = draw(strongest, STOLEN.replace("FRAME", repr(written)))
    # One half may pass for what could have been drawn; the half that is missing never does.
    assert rendering.fixed.status == "code_error" or what == "the other half derived"
    assert rendering.official.status == "code_error" or what == "half derived"
    assert {rendering.official.status, rendering.fixed.status} <= {"ok", "code_error"}


@pytest.mark.parametrize(
    "tail",
    [b"", b"x", frame(FORGED), b"\xff\xff\xff\xff", struct.pack(">I", 10) + b"{}"],
    ids=["nothing", "a byte", "two frames", "a huge frame", "half a frame"],
)
def test_a_broken_frame_is_refused(tail: bytes) -> None:
    written = tail if tail == b"" or tail[:1] == b"\xff" else frame(FORGED) + tail
    with pytest.raises(wire.WireError):
        parse_answer({"seconds": 0.0, "cpu_seconds": 0.0}, written)


@pytest.mark.parametrize(
    "blobs",
    [
        [["png", -1]],
        [["png", 10**12]],
        [["png", 1.5]],
        [["png"]],
        [[1, 1]],
        {"png": 1},
        "png",
        [["png", 10**400]],
    ],
)
def test_blobs_of_no_size_are_refused(blobs: Any) -> None:
    written = frame({**FORGED, "blobs": blobs})
    with pytest.raises(wire.WireError):
        parse_answer({"seconds": 0.0, "cpu_seconds": 0.0}, written + b"\x89PNG")


TOO_LARGE: dict[str, Any] = {
    "roles": outcome(colors=[[f"r{i}", f"m{i}"] for i in range(200_000)]),
    "colours": outcome(colors=[["bar", f"#{i * 31 % 2**24:06X}"] for i in range(500_000)]),
    "texts": outcome(texts=[f"{i:x}" for i in range(1_000_000)]),
    "characters": outcome(texts=["x" * 10_000_000]),
    "functions": outcome(chart_types={f"f{i}": 1 for i in range(100_000)}),
    "cells": outcome(layout=[[1, 1, 0, 0, 0, 0]] * 100_000),
}


@pytest.mark.parametrize("what", TOO_LARGE)
def test_a_record_too_large_to_compare_is_refused(what: str) -> None:
    """Before anything is compared, and with the reason."""
    written = frame({**answer(TOO_LARGE[what]), "blobs": []})
    with pytest.raises(TooLargeError, match="more than"):
        parse_answer({"seconds": 0.0, "cpu_seconds": 0.0}, written)


def test_a_stolen_token_buys_no_work_for_the_host(strongest: ChartRenderer, draw: Draw) -> None:
    """End to end; of the colours, since their matching took the longest."""
    body = """
import json, os, struct, sys
frame = sys._getframe()
while "token" not in frame.f_locals: frame = frame.f_back
drawing = {"status": "ok", "error": None, "complete": True, "elements": {
    "texts": [], "chart_types": {}, "layout": [], "n_axes": 0,
    "colors": [[f"r{i}", f"m{i}"] for i in range(200_000)]}}
said = {"official": drawing, "fixed": drawing, "needs_texts": False, "blobs": []}
text = json.dumps(said).encode()
view = memoryview(frame.f_locals["token"] + struct.pack(">I", len(text)) + text)
while view: view = view[os.write(frame.f_locals["answer_fd"], view):]
os._exit(0)
"""
    official = draw(strongest, body).official
    assert official.status == "code_error"
    assert "more than 20000 colours" in (official.error or "")


def test_values_without_end_are_no_frame() -> None:
    """Empty lists take thirty times the memory of their text."""
    text = b'{"official":null,"blobs":[],"x":[' + b"[]," * 10_000_000 + b"[]]}"
    with pytest.raises(wire.WireError):
        parse_answer({"seconds": 0.0, "cpu_seconds": 0.0}, struct.pack(">I", len(text)) + text)


def test_an_honest_script_of_very_many_colours_is_scored(
    strongest: ChartRenderer, draw: Draw
) -> None:
    script = """
import matplotlib.pyplot as plt, numpy as np
i = np.arange(30_000)
plt.vlines(i, 0, 1, colors=np.stack([i % 256, i // 256, i // 256 * 0], 1) / 255)
"""
    drawing = draw(strongest, script).official
    assert drawing.status == "ok"
    assert 10_000 < len(drawing.elements.colors) < 30_000
    value = SCORERS["color"](drawing, drawing, "official").value
    assert value == 1.0


POSSIBLE = [
    outcome(texts=["\ud800", "\0", "<script>", "a\nb"], colors=[["line", "#123456"]]),
    outcome(chart_types={"x" * 1000: 1}, colors=[["x", "no such map"], ["x", ""]]),
    outcome(layout=[[1, 1, 0, 0, 0, 0]] * 1000, n_axes=1000),
]


@pytest.mark.parametrize("said", POSSIBLE, ids=range(len(POSSIBLE)))
@pytest.mark.parametrize("scorer", SCORERS)
def test_no_answer_breaks_a_scorer(scorer: str, said: dict[str, Any]) -> None:
    """A scorer that raises would make the item unscored; one beyond 1 would be a bargain."""
    target = rendering_of(
        outcome(texts=["a"], chart_types={"bar": 1}, colors=[["line", "#000000"]])
    )
    value = SCORERS[scorer](target, rendering_of(said), "official").value
    assert value is not None
    assert 0.0 <= value <= 1.0


def rendering_of(said: dict[str, Any]) -> Drawing:
    header = {"seconds": 0.0, "cpu_seconds": 0.0}
    return parse_answer(header, frame({**answer(said), "blobs": []}))[0].official


# ------------------------------------------------------------------- whatever stands anywhere

PICTURE = png()
WHOLE = {
    **answer(
        outcome(
            texts=["a"],
            chart_types={"bar": 1},
            colors=[["bar", "#112233"]],
            layout=[[1, 1, 0, 0, 0, 0]],
        )
    ),
    "blobs": [["png", len(PICTURE)]],
}
ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "", "x", "\ud800", "x" * 10_000),
    *([], [[]], [1], [None], {}, {"a": 1}, {"a": None}, json.loads("[" * 300 + "]" * 300)),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything in a record."""
    yield path
    if not isinstance(value, dict | list):
        return
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from places(inner, (*path, step))


def with_odd(path: tuple[Any, ...], odd: Any) -> Any:
    """The whole record, but for one place."""
    if not path:
        return odd
    said = copy.deepcopy(WHOLE)
    place: Any = said
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = odd
    return said


def test_an_odd_value_anywhere_makes_no_record_or_a_scored_one() -> None:
    """Nothing but the named refusals comes out of a record, and what is read can be scored."""
    header = {"seconds": 0.0, "cpu_seconds": 0.0}
    target = rendering_of(outcome(texts=["a"], chart_types={"bar": 1}))
    n_read = 0
    for path in places(WHOLE):
        for odd in ODD:
            written = frame(with_odd(path, odd)) + PICTURE
            with contextlib.suppress(wire.WireError, KeyError, TypeError, ValueError):
                rendering, _ = parse_answer(header, written)
                scores = score_each(SCORERS, target, rendering.official, "official")
                n_read += 1
                assert None not in {score.value for score in scores.values()}, path
    assert n_read > len(ODD), "most places take some of these values"


PAINTED = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 9, 9, 8, 2, 0, 0, 0)
PICTURES = {
    "none": None,
    "four bytes": b"\x89PNG",
    "a head": b"\x89PNG\r\n\x1a\n" + PAINTED + struct.pack(">I", zlib.crc32(PAINTED[4:])),
}


@pytest.mark.parametrize("what", PICTURES)
def test_a_forged_picture_does_not_make_an_item_unscored(
    strongest: ChartRenderer, what: str
) -> None:
    blob = PICTURES[what]
    blobs = [] if blob is None else [["png", len(blob)]]
    official = outcome(texts=["t"], chart_types={"bar": 1})
    written = frame({**answer(official, official), "blobs": blobs}) + (blob or b"")
    reference = "import matplotlib.pyplot as plt\nplt.bar([1], [2])\nplt.savefig('a.pdf')"
    code = STOLEN.replace("FRAME", repr(written))
    scoring = chart_bench(strongest, judge=LikenessJudge())
    item = (Sample("a", reference), f"```python\n{code}\n```")
    result = score_item(item, scoring).result
    assert result.status == ("ok" if blob is None else "code_error")
    assert None not in {score.value for score in result.scores.values()}
    assert result.scores["likeness"].value == 0.0


# ------------------------------------------------------------------------------------- pickles


def test_nothing_is_unpickled(strongest: ChartRenderer, draw: Draw, treasure: Any) -> None:
    """A pickle that plants a file is left in the folder, printed, written to all descriptors."""
    script = f"""
import os, pickle, sys
class Trap:
    def __reduce__(self):
        return os.mkdir, ({str(treasure.folder / "sprung")!r},)
trap = pickle.dumps(Trap())
for name in ("output.pdf", "output.pkl", "result.pickle", "fontlist.json", "texts"):
    with open(name, "wb") as stream: stream.write(trap)
sys.stdout.buffer.write(trap)
{WRITE_EVERYWHERE.replace("FRAME", "trap")}
import matplotlib.pyplot as plt
plt.title(trap.decode("latin-1").replace("$", ""))
"""
    draw(strongest, script, pdf=True, judge=True)
    assert not (treasure.folder / "sprung").exists()
