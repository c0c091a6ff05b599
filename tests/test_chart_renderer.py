"""The chart renderer with its real server: what is recorded, how it repeats, how it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rrvf.errors import HarnessError, SetupError
from rrvf.renderers import cache
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits, check_level
from rrvf.types import Color, LayoutCell, Rendering
from tests.runs import kept_renderer

LIMITS = Limits(cpu_seconds=10, wall_seconds=60)

BARS = """
import matplotlib.pyplot as plt
fig, (left, right) = plt.subplots(1, 2)
left.bar(["a", "b"], [1, 2], color=["red", "#00FF00"], label="bars")
right.plot([1, 2], [3, 4], color="b")
left.set_title("Left")
left.legend()
"""


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=2, limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def any_renderer(chart_python: Path) -> Iterator[ChartRenderer]:
    """One for each matplotlib line."""
    with kept_renderer(chart_python, workers=2, limits=LIMITS) as running:
        yield running


def answer(renderer: ChartRenderer, code: str) -> Rendering:
    return renderer.render(ChartScript(code))


# ------------------------------------------------------------------------- what is recorded


SAVINGS = {
    "a PDF": "plt.savefig('chart.pdf')",
    "a PNG": "plt.savefig('chart.png', dpi=40)",
    "no ending": "plt.savefig('chart')",
    "an SVG": "plt.savefig('chart.svg')",
    "a buffer": "import io\nplt.savefig(io.BytesIO(), format='png')",
    "a figure's PNG": "fig.savefig('chart.png')",
    "shown": "plt.show()",
    "a PNG, then closed": "plt.savefig('chart.png')\nplt.close()",
    "nothing": "",
}


@pytest.mark.parametrize("saving", SAVINGS)
def test_a_reference_has_its_texts_however_it_saves(saving: str, renderer: ChartRenderer) -> None:
    """An answer with the same code has them, and would score 0 against none."""
    code = f"{BARS}{SAVINGS[saving]}\n"
    reference = renderer.render_reference(code, judge=True)
    for mode in ("official", "fixed"):
        elements = reference.drawing(mode).elements
        assert sorted(elements.texts) == ["Left", "bars"]
        assert elements.chart_types == {"bar": 1, "plot": 1}
    saved = renderer.render_reference(f"{BARS}plt.savefig('chart.pdf')\n", judge=True)
    assert reference.png == saved.png, "with its ticks, which are taken off to read the texts"
    assert reference.judge_png == saved.judge_png
    assert renderer.render_reference(code, judge=True) == reference, "the same from the cache"


def test_elements_of_a_chart_on_every_matplotlib(any_renderer: ChartRenderer) -> None:
    drawing = answer(any_renderer, BARS).official
    assert (drawing.status, drawing.error, drawing.complete) == ("ok", None, True)
    elements = drawing.elements
    assert sorted(elements.texts) == ["Left", "bars"]
    assert elements.chart_types == {"bar": 1, "plot": 1}
    assert elements.colors == (
        Color("bar", "#FF0000"),
        Color("bar", "#00FF00"),
        Color("line", "#0000FF"),
    )
    assert elements.layout == (LayoutCell(1, 2, 0, 0, 0, 0), LayoutCell(1, 2, 0, 0, 1, 1))
    assert elements.n_axes == 2


def test_both_modes_come_from_one_execution_of_an_ordinary_script(renderer: ChartRenderer) -> None:
    rendering = answer(renderer, BARS)
    assert rendering.fixed == rendering.official
    counting = (
        BARS + "\nimport pathlib\nleft.text(0, 0, [str(p) for p in pathlib.Path().iterdir()])\n"
    )
    assert "['script.py']" in answer(renderer, counting).fixed.elements.texts


def test_pictures(renderer: ChartRenderer) -> None:
    rendering = renderer.render(ChartScript(BARS), judge=True, pdf=True)
    assert rendering.pdf is not None
    assert rendering.pdf.startswith(b"%PDF")
    assert png_size(rendering.png) == (640, 480)
    # 6.4 by 4.8 inches at 350 dots an inch
    assert png_size(rendering.judge_png) == (2240, 1680)


def png_size(data: bytes | None) -> tuple[int, int]:
    import io

    from PIL import Image

    assert data is not None
    return Image.open(io.BytesIO(data)).size


def test_the_picture_shows_ticks_although_the_texts_are_read_without(
    renderer: ChartRenderer,
) -> None:
    bare = BARS + "\nfor ax in (left, right):\n    ax.set_xticks([]); ax.set_yticks([])\n"
    with_ticks, without = answer(renderer, BARS), answer(renderer, bare)
    assert with_ticks.official.elements.texts == without.official.elements.texts
    assert with_ticks.png != without.png


@pytest.mark.parametrize(
    ("flaw", "official", "fixed"),
    [
        ("plt.title('late')", ["late"], ["late"]),
        ("def f():\n    plt.show()\nf()\nplt.title('late')", ["late"], ["early"]),
        ("try:\n    ax.bar([1], ['x', 'y'])\nexcept Exception: pass", ["early"], ["early"]),
    ],
)
def test_where_the_figure_is_taken(
    renderer: ChartRenderer, flaw: str, official: list[str], fixed: list[str]
) -> None:
    code = f"import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.title('early')\n{flaw}"
    rendering = answer(renderer, code)
    assert list(rendering.official.elements.texts) == official
    assert list(rendering.fixed.elements.texts) == fixed


def test_an_exception_swallowed_in_a_counted_call_stops_official_counting_only(
    renderer: ChartRenderer,
) -> None:
    code = (
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n"
        "try:\n    ax.bar([1, 2], [1, 2, 3])\nexcept ValueError:\n    pass\nax.bar([1], [2])\n"
    )
    rendering = answer(renderer, code)
    assert rendering.official.elements.chart_types == {"bar": 1}
    assert rendering.fixed.elements.chart_types == {"bar": 2}


def test_a_partial_picture_is_executed_officially_and_an_error_in_fixed_mode(
    renderer: ChartRenderer,
) -> None:
    code = "import matplotlib.pyplot as plt\nplt.title('$\\\\frac{1$')"
    rendering = answer(renderer, code)
    assert (rendering.official.status, rendering.official.complete) == ("ok", False)
    assert rendering.fixed.status == "code_error"
    assert "line 3" in (rendering.official.error or "")


def test_a_savefig_that_is_no_statement_of_its_own(renderer: ChartRenderer) -> None:
    """The official copy is another program then: here a syntax error, so no text is logged."""
    commented = f"# first plt.savefig then plt.show\n{BARS}"
    rendering = answer(renderer, commented)
    assert rendering.official.elements.texts == ()
    assert rendering.official.elements.chart_types == {"bar": 1, "plot": 1}
    assert sorted(rendering.fixed.elements.texts) == ["Left", "bars"]


IN_A_FUNCTION = """
import matplotlib.pyplot as plt
def main():
    plt.bar(["a"], [1], color="red")
    plt.title("T")
    SAVE
main()
"""
ODD_SAVINGS = {
    "in a function": IN_A_FUNCTION.replace("SAVE", "plt.savefig('x.png')"),
    "shown in a function": IN_A_FUNCTION.replace("SAVE", "plt.show()"),
    "under a condition": "import matplotlib.pyplot as plt\nplt.bar(['a'], [1], color='red')\n"
    "plt.title('T')\nif True:\n    plt.savefig('x.png')\n",
    "closed": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n"
    "ax.bar(['a'], [1], color='red')\nax.set_title('T')\nfig.savefig('x.png')\nplt.close('all')",
}


@pytest.mark.parametrize("saving", ODD_SAVINGS)
def test_a_reference_has_its_texts_wherever_it_saves(saving: str, renderer: ChartRenderer) -> None:
    """The official preparation would cut these scripts apart."""
    reference = renderer.render_reference(ODD_SAVINGS[saving])
    for mode in ("official", "fixed"):
        assert reference.drawing(mode).elements.texts == ("T",)


@pytest.mark.parametrize("code", ["x = 1", "# nothing", "import matplotlib.pyplot as plt"])
def test_a_reference_that_draws_nothing_cannot_be_used(code: str, renderer: ChartRenderer) -> None:
    reference = renderer.render_reference(code)
    for mode in ("official", "fixed"):
        assert reference.drawing(mode).status == "code_error"
        assert reference.drawing(mode).error == "the script draws no figure"


# ----------------------------------------------------------------------------- repeatable


def test_the_server_draws_the_bytes_that_a_fresh_process_draws(
    renderer: ChartRenderer, tmp_path: Path
) -> None:
    drawn = renderer.render(ChartScript(BARS), pdf=True)
    fresh = tmp_path / "fresh.pdf"
    environment = {
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(tmp_path),
        "HOME": str(tmp_path),
    }
    script = f"{BARS}\nplt.savefig({str(fresh)!r})"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert without_date(fresh.read_bytes()) == without_date(drawn.pdf or b"")


def without_date(pdf: bytes) -> bytes:
    assert b"/CreationDate" in pdf
    return re.sub(rb"/CreationDate \(.*?\)", b"", pdf)


RANDOM = """
import random
import matplotlib.pyplot as plt
import numpy as np
numbers = [random.random(), np.random.rand(), np.random.default_rng().random()]
plt.title(str(numbers + list({"a", "b", "c", "d"})))
"""


def test_unseeded_numbers_and_sets_repeat(renderer: ChartRenderer) -> None:
    titles = {answer(renderer, RANDOM).official.elements.texts for _ in range(3)}
    with ChartRenderer(workers=1, limits=LIMITS) as another:
        titles.add(answer(another, RANDOM).official.elements.texts)
    assert len(titles) == 1


def test_nothing_of_one_script_is_left_for_the_next(renderer: ChartRenderer) -> None:
    before = answer(renderer, BARS)
    answer(renderer, "import matplotlib; matplotlib.rcParams['font.size'] = 40\nimport os\nos.x=1")
    answer(renderer, "import matplotlib.pyplot as plt\nplt.figure()\nopen('left', 'w').write('x')")
    after = answer(renderer, BARS)
    assert (after.official, after.png) == (before.official, before.png)
    listing = "import os, matplotlib.pyplot as plt\nplt.title(str(os.listdir('.')))"
    assert answer(renderer, listing).official.elements.texts == ("['script.py']",)


MANY_FORMULAS = """
import matplotlib.pyplot as plt
fig, ax = plt.subplots()
for k in range(60):
    ax.text(k % 10 / 10, k // 10 / 10, rf"${{-{k / 7:.2f}}}$")
for name in ["serif", "monospace", "cursive", "fantasy", "STIXGeneral", "cmr10"]:
    ax.text(0, 0.8, name, fontfamily=name)
plt.rcParams["mathtext.fontset"] = "stix"
ax.loglog([1, 10], [1e-9, 1e9])
"""
"""More formulas than matplotlib's cache holds, so that it lets go of fonts it has opened."""


def test_many_formulas_and_fonts(any_renderer: ChartRenderer) -> None:
    drawing = answer(any_renderer, MANY_FORMULAS).official
    assert (drawing.status, drawing.error) == ("ok", None)
    formulas = [f"${{-{k / 7:.2f}}}$" for k in range(60)]
    names = ["serif", "monospace", "cursive", "fantasy", "STIXGeneral", "cmr10"]
    assert sorted(drawing.elements.texts) == sorted(formulas + names)


def test_many_at_a_time(renderer: ChartRenderer) -> None:
    codes = [f"import matplotlib.pyplot as plt\nplt.title('chart {i}')" for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        drawn = list(pool.map(lambda code: answer(renderer, code), codes))
    assert [d.official.elements.texts for d in drawn] == [(f"chart {i}",) for i in range(12)]


# ------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("1/0", "code_error", "ZeroDivisionError: division by zero (line 1)"),
        ("def f(:", "code_error", "SyntaxError"),
        ("x = '\ud800'", "code_error", "Unicode"),
        ("import numpy as np\nnp.ones(1 << 36)", "out_of_memory", "(line 2)"),
        ("raise SystemExit(0)", "code_error", "ended itself"),
        ("import os\nos._exit(0)", "code_error", "exit code 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "code_error", "signal 11"),
        ("open('/etc/shadow')", "code_error", "PermissionError"),
        ("import plotly_of_the_future", "code_error", "ModuleNotFoundError"),
    ],
)
def test_statuses(renderer: ChartRenderer, code: str, status: str, says: str) -> None:
    rendering = answer(renderer, code)
    for drawing in (rendering.official, rendering.fixed):
        assert drawing.status == status
        assert says in (drawing.error or "")


def test_an_endless_loop_is_a_timeout(renderer: ChartRenderer) -> None:
    with kept_renderer(workers=1, limits=Limits(cpu_seconds=1)) as hasty:
        assert answer(hasty, "while True: pass").official.status == "timeout"
    with kept_renderer(workers=1, limits=Limits(wall_seconds=2)) as hasty:
        sleeping = answer(hasty, "import time\ntime.sleep(1000)").official
    assert sleeping.status == "timeout"
    assert "2 s" in (sleeping.error or "")


def test_errors_name_no_paths_of_this_machine(renderer: ChartRenderer) -> None:
    """Only those that the script itself has written."""
    code = "import pandas as pd\nprint(pd.read_csv('/root/data.csv'), pd.__file__)"
    error = answer(renderer, code).official.error
    assert error is not None
    assert "'/root/data.csv'" in error
    error = answer(renderer, "import pandas as pd\nraise ValueError(pd.__file__)").official.error
    assert error == "ValueError: pandas/__init__.py (line 2)"


def test_a_dead_server_is_our_fault_and_another_takes_its_place() -> None:
    with ChartRenderer(workers=1, limits=LIMITS) as renderer, ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(answer, renderer, "import time\ntime.sleep(100)")
        time.sleep(1)
        os.kill(renderer.server_pid(), signal.SIGKILL)
        with pytest.raises(HarnessError, match="chart server"):
            sleeping.result()
        assert answer(renderer, BARS).official.status == "ok"


def test_after_close_nothing_is_drawn() -> None:
    with kept_renderer(workers=1, limits=LIMITS) as renderer:
        pass
    with pytest.raises(HarnessError, match="closed"):
        answer(renderer, BARS)


def test_an_interpreter_without_packages_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--chart-python"):
        ChartRenderer(tmp_path / "no-python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    with pytest.raises(SetupError, match=r"rrvf\[chart\]"):
        ChartRenderer(tmp_path / "v" / "bin" / "python")


def test_weak_confinement_needs_the_users_word() -> None:
    check_level("namespaces", "auto")
    check_level("landlock", "auto")
    check_level("seccomp", "seccomp")
    for level in ("seccomp", "rlimits"):
        with pytest.raises(SetupError, match=f"--confinement {level}"):
            check_level(level, "auto")
    with pytest.raises(SetupError, match=r"^no confinement .* is available"):
        check_level("none", "namespaces")


# -------------------------------------------------------------------------------- reference


REFERENCE = BARS + "\nplt.tight_layout()\nplt.savefig('bars.pdf', bbox_inches='tight')\n"


def test_a_reference_is_drawn_once(
    renderer: ChartRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = renderer.render_reference(REFERENCE)
    monkeypatch.setattr(renderer, "render", None)
    assert renderer.render_reference(REFERENCE) == first
    monkeypatch.setattr(cache, "load", lambda key: None)
    with pytest.raises(TypeError):
        renderer.render_reference(REFERENCE)


def test_a_failure_that_may_pass_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    code = REFERENCE + "\nwhile True: pass"
    with kept_renderer(workers=1, limits=Limits(cpu_seconds=1)) as hasty:
        assert hasty.render_reference(code).official.status == "timeout"
        monkeypatch.setattr(cache, "load", lambda key: pytest.fail("cached") if False else None)
        stored: list[str] = []
        monkeypatch.setattr(cache, "store", lambda key, rendering: stored.append(key))
        hasty.render_reference(code)
    assert stored == []


def test_a_reference_that_raises_after_its_picture_is_unusable(renderer: ChartRenderer) -> None:
    drawing = renderer.render_reference(REFERENCE + "\nraise ValueError('late')").official
    assert drawing.status == "code_error"
    assert not drawing.complete
