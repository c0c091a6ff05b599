"""Figures drawn for Plot2Code: by the real server, from one execution, as the script stands."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.renderers import cache
from rrvf.renderers.chart import (
    MAX_CODE,
    ChartRenderer,
    ChartScript,
    Limits,
    parse_answer,
    parse_figure,
)
from rrvf.renderers.chart_server import wire
from rrvf.renderers.chart_server.figure_texts import MAX_TEXTS
from rrvf.types import FigureRendering, FigureText
from tests import episodes
from tests.runs import kept_renderer

LIMITS = Limits(cpu_seconds=10, wall_seconds=60)
PLT = "import matplotlib.pyplot as plt\n"
WORD = f"{PLT}plt.figure(figsize=(2, 1)).text(0.25, 0.5, ' A Word ')\n"
THE_WORD = (FigureText("a word", (0.25, 0.5)),)


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=2, limits=LIMITS) as running:
        yield running


def texts(renderer: ChartRenderer, code: str) -> list[str]:
    rendering = renderer.render_figure(code)
    assert (rendering.status, rendering.error) == ("ok", None)
    return [text.text for text in rendering.texts]


def failure(renderer: ChartRenderer, code: str) -> str:
    rendering = renderer.render_figure(code)
    assert rendering.status == "code_error"
    assert (rendering.png, rendering.texts, rendering.width_inches) == (None, (), 0.0)
    return rendering.error or ""


# --------------------------------------------------------------------------- what is drawn


def test_a_figure_on_every_matplotlib(chart_python: Path) -> None:
    with kept_renderer(chart_python, limits=LIMITS) as each:
        rendering = each.render_figure(WORD + "ax = plt.axes(); ax.set_xticks([0, 1], ['I', ''])")
    assert (rendering.status, rendering.error) == ("ok", None)
    assert (rendering.width_inches, rendering.height_inches) == (2.0, 1.0)
    assert rendering.texts[0] == FigureText("i", (0.0, 0.0))
    assert rendering.texts[-1] == THE_WORD[0]
    assert rendering.png is not None
    assert Image.open(io.BytesIO(rendering.png)).size == (200, 100)


def test_the_picture_has_the_resolution_of_the_figure(renderer: ChartRenderer) -> None:
    png = renderer.render_figure(WORD.replace("(2, 1)", "(2, 1), dpi=300")).png
    assert png is not None
    assert Image.open(io.BytesIO(png)).size == (600, 300)


@pytest.mark.parametrize(
    "after",
    [
        "plt.show()",
        "plt.savefig('a.png'); plt.savefig('b.pdf'); plt.show()",
        "plt.gcf().savefig('a.svg')",
        "plt.close(plt.figure())",
    ],
)
def test_saving_and_showing_do_no_harm(renderer: ChartRenderer, after: str) -> None:
    assert renderer.render_figure(WORD + after).texts == THE_WORD


def test_the_script_runs_as_a_program_of_its_own(renderer: ChartRenderer) -> None:
    code = (
        "'''A script.'''\nfrom __future__ import annotations\n" + WORD + "def label(x: Missing):\n"
        "    plt.figtext(0, 0, [word + __name__ for _ in range(x)][0])\n"
        "word = 'in '\nif __name__ == '__main__':\n    label(1)\n"
    )
    assert texts(renderer, code) == ["a word", "in __main__"]


def test_axis_labels_have_the_places_of_the_drawing(renderer: ChartRenderer) -> None:
    code = WORD + "plt.axes([0.5, 0.5, 0.4, 0.4]).set(xticks=[], yticks=[], xlabel='below')"
    [label] = [t for t in renderer.render_figure(code).texts if t.text == "below"]
    assert label.position is not None
    # Half of 100 pixels is where the axes begins; the label hangs a few below it.
    assert label.position[0] == 0.5
    assert 40 < label.position[1] < 50


def test_texts_without_a_place(renderer: ChartRenderer) -> None:
    code = (
        PLT
        + "from datetime import datetime\nday = datetime(2024, 1, 2)\nfig, ax = plt.subplots()\n"
        "ax.plot([day, datetime(2024, 1, 9)], [0, 1])\nax.text(day, 0, 'dated')\n"
        "ax.text(float('nan'), 0, 'lost')\nax.text(day, 0, 'hidden', visible=False)\n"
    )
    found = renderer.render_figure(code).texts
    assert [text.text for text in found if text.position is None] == ["dated", "lost"]
    assert "hidden" not in {text.text for text in found}


def test_both_flavours_share_a_server_and_nothing_else(renderer: ChartRenderer) -> None:
    plain = renderer.render(ChartScript(WORD))
    assert plain.official.elements.texts == (" A Word ",)
    assert renderer.render_figure(WORD).texts == THE_WORD
    assert renderer.render(ChartScript(WORD)).official == plain.official


# ------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("", "the picture is all white"),
        (f"{PLT}plt.axes().axis('off')", "the picture is all white"),
        (WORD + "plt.close()", "the picture is all white"),
        (WORD + "1 / 0", "ZeroDivisionError: division by zero (line 3)"),
        (WORD + "raise SystemExit", "the script ended itself (SystemExit) before it was through"),
        ("x = (", "SyntaxError"),
        ("x = '\0'", "null"),
        ("x = '\ud800'", "UnicodeEncodeError"),
        ("import os; os._exit(0)", "the process ended itself early (exit code 0)"),
        (WORD + "plt.figtext(0, 0, r'$\\frac$')", "ValueError"),
        (WORD + f"[plt.figtext(2, 2, 'x') for _ in range({MAX_TEXTS})]", f"more than {MAX_TEXTS}"),
        ("x" * (MAX_CODE + 1), "longer than"),
    ],
)
def test_what_is_no_picture(renderer: ChartRenderer, code: str, error: str) -> None:
    assert error in failure(renderer, code)


def test_a_transparent_picture_is_not_all_white(renderer: ChartRenderer) -> None:
    """As officially, where opacity is a channel like the others."""
    code = f"{PLT}plt.figure(facecolor='none')"
    assert renderer.render_figure(code).status == "ok"


@pytest.mark.parametrize(
    "tampering",
    [
        "plt.gcf = lambda: None",
        "from matplotlib.figure import Figure; Figure.savefig = lambda *a, **k: None",
        "import matplotlib.text as t; t.Text.get_text = lambda self: 'forged'",
        "from matplotlib.artist import Artist; Artist.get_visible = lambda self: True",
    ],
)
def test_measuring_functions_may_not_be_replaced(renderer: ChartRenderer, tampering: str) -> None:
    assert "the script replaced" in failure(renderer, WORD + tampering)


def test_replacing_while_being_drawn_is_found_out(renderer: ChartRenderer) -> None:
    code = WORD + (
        "from matplotlib.text import Text\n"
        "class Forger(Text):\n"
        "    def get_text(self):\n"
        "        Text.get_text = lambda self: 'forged'\n"
        "        return 'x'\n"
        "plt.gcf().add_artist(Forger(0, 0, 'x'))\n"
    )
    assert "the script replaced Text.get_text" in failure(renderer, code)


def test_a_thread_may_not_go_on(renderer: ChartRenderer) -> None:
    code = WORD + "import threading, time; threading.Thread(target=time.sleep, args=(50,)).start()"
    assert "left a thread running" in failure(renderer, code)


# ------------------------------------------------------------------- what is not believed


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*sizes: tuple[int, int]) -> bytes:
    """A PNG that says to have each of these sizes, and has no pixel."""
    heads = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)) for size in sizes]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*heads, chunk(b"IDAT", b""), chunk(b"IEND", b"")])


PNG = episodes.png()
GOOD: dict[str, Any] = {
    "status": "ok",
    "error": None,
    "texts": [["a", 0.5, 0.5], ["b", None, None]],
    "inches": [6.4, 4.8],
}
MALFORMED: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "a harness error": GOOD | {"status": "harness_error"},
    "no texts": GOOD | {"texts": None},
    "a number as a text": GOOD | {"texts": [[1, 0.5, 0.5]]},
    "half a place": GOOD | {"texts": [["a", 0.5, None]]},
    "a place too many": GOOD | {"texts": [["a", 0.5, 0.5, 0.5]]},
    "nowhere": GOOD | {"texts": [["a", float("nan"), 0.5]]},
    "infinitely far": GOOD | {"texts": [["a", float("inf"), 0.5]]},
    "words as a place": GOOD | {"texts": [["a", "0.5", "0.5"]]},
    "too many texts": GOOD | {"texts": [["a", 0.5, 0.5]] * (MAX_TEXTS + 1)},
    "no size": GOOD | {"inches": []},
    "size of zero": GOOD | {"inches": [0.0, 4.8]},
    "huge": GOOD | {"inches": [1e300, 4.8]},
    "size that is none": GOOD | {"inches": [float("nan"), 4.8]},
}
HEADER = {"seconds": 0.5, "cpu_seconds": 0.5}


def frame(said: Any, png: bytes = PNG) -> bytes:
    return wire.encode({"figure": said}, {"png": png})


def test_a_good_answer_is_read() -> None:
    assert parse_figure(HEADER, frame(GOOD)) == FigureRendering(
        "ok", None, 0.5, PNG, (FigureText("a", (0.5, 0.5)), FigureText("b", None)), 6.4, 4.8
    )


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_answer_is_refused(what: str) -> None:
    with pytest.raises((wire.WireError, KeyError, TypeError, ValueError)):
        parse_figure(HEADER, frame(MALFORMED[what]))


def test_without_a_picture_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no PNG"):
        parse_figure(HEADER, frame(GOOD, b"GIF89a"))
    with pytest.raises(ValueError, match="no picture"):
        parse_figure(HEADER, wire.encode({"figure": GOOD}))


@pytest.mark.parametrize("data", [PNG[:60], PNG[:45] + b"x" * 9 + PNG[54:]])
def test_a_picture_that_cannot_be_decoded_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no picture that can be decoded"):
        parse_figure(HEADER, frame(GOOD, data))


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        pytest.param(png((14_000, 12_000)), "14000 x 12000 pixels", id="168 million"),
        pytest.param(png((2**31 - 1, 2**31 - 1)), "at most", id="the most a PNG can say"),
        pytest.param(png((10, 10), (14_000, 12_000)), "several", id="two sizes"),
        pytest.param(png(), "without a size", id="no size"),
        pytest.param(PNG[:20], "without pixels", id="cut off"),
        pytest.param(png((0, 10)), "without a size", id="empty"),
    ],
)
def test_a_picture_is_measured_before_it_is_decoded(picture: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_figure(HEADER, frame(GOOD, picture))
    drawing: dict[str, Any] = {
        "status": "ok",
        "error": None,
        "complete": True,
        "elements": {"texts": [], "chart_types": {}, "colors": [], "layout": [], "n_axes": 0},
    }
    said = {"official": drawing, "fixed": drawing, "needs_texts": False}
    for name in ("png", "judge_png"):
        with pytest.raises(ValueError, match=told):
            parse_answer({**HEADER, "cpu_seconds": 0.0}, wire.encode(said, {name: picture}))


def test_a_picture_too_large_to_look_at_is_an_error_of_the_script(renderer: ChartRenderer) -> None:
    code = f"""{WORD}
from PIL import Image
def savefig(file, **_): Image.new("1", (14_000, 12_000)).save(file, "png")
plt.gcf().savefig = savefig
"""
    assert "its picture has 14000 x 12000 pixels" in failure(renderer, code)


def test_a_forged_answer_is_an_error_of_the_script(renderer: ChartRenderer) -> None:
    said = json.dumps({"figure": MALFORMED["size of zero"], "blobs": []}).encode()
    written = struct.pack(">I", len(said)) + said
    code = (
        "import os, sys\nframe = sys._getframe()\n"
        "while 'token' not in frame.f_locals: frame = frame.f_back\n"
        f"os.write(frame.f_locals['answer_fd'], frame.f_locals['token'] + {written!r})\nos._exit(0)"
    )
    assert failure(renderer, code) == "the process answered with no valid record"


# ----------------------------------------------------------------------------- references


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_reference_is_drawn_once(renderer: ChartRenderer, empty_cache: Path) -> None:
    first = renderer.render_figure_reference(WORD)
    assert first.texts == THE_WORD
    [entry] = empty_cache.rglob("figures/*/*.json")
    assert renderer.render_figure_reference(WORD) == first
    said = json.loads(entry.read_text())
    entry.write_text(json.dumps(said | {"seconds": 77.0}))
    assert renderer.render_figure_reference(WORD).seconds == 77.0
    entry.write_text(json.dumps(said | {"texts": [{"text": "a", "position": [1.0]}]}))
    assert renderer.render_figure_reference(WORD).texts == THE_WORD


def test_a_failure_that_may_pass_is_not_kept(renderer: ChartRenderer, empty_cache: Path) -> None:
    with kept_renderer(limits=Limits(cpu_seconds=1, wall_seconds=60)) as hasty:
        assert hasty.render_figure_reference("while True: pass").status == "timeout"
    assert list(empty_cache.rglob("figures/*/*.json")) == []
    assert renderer.render_figure_reference("1 / 0").status == "code_error"
    assert len(list(empty_cache.rglob("figures/*/*.json"))) == 1


def test_what_was_stored_comes_back(empty_cache: Path) -> None:
    rendering = FigureRendering(
        "ok", None, 0.5, PNG, (FigureText("\ud800 é", (0.1, -2.0)), FigureText("b", None)), 3.0, 4.0
    )
    key = "ab" + "0" * 62
    cache.store_figure(key, rendering)
    assert cache.load_figure(key) == rendering
    assert cache.load(key) is None
