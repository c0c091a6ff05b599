"""Plot2Code's text score against an independent transcription of its rule, on the same pairs.

The pairs written for it run with every test. Those of matplotlib's own gallery run where
``make gallery`` has put its scripts.
"""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from rrvf.renderers.chart import Limits
from rrvf.scorers.figure_text import score_figure_text
from rrvf.types import FigureRendering
from tests.parity import plot2code_oracle as oracle
from tests.parity.plot2code_scripts import PAIRS
from tests.runs import kept_renderer

GALLERY = Path(__file__).resolve().parents[2] / ".gallery" / "examples"
LIMITS = Limits(cpu_seconds=60, wall_seconds=240)

Sides = tuple[FigureRendering, oracle.Found]
Draw = Callable[[str], Future[Sides]]


class Oracle:
    """The oracle, in a process of its own that knows nothing of the product."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        more = {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        more |= {"MPLCONFIGDIR": str(folder / "fonts"), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, oracle.__file__],
            env=environment | more | {"SOURCE_DATE_EPOCH": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, script: str) -> oracle.Found:
        """What it finds in a script."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            folder = self._folder / str(next(self._numbers))
            folder.mkdir()
            (folder / "script.py").write_text(script, encoding="utf-8")
            self._process.stdin.write(f"{folder}\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline() == "0\n"
        return pickle.loads((folder / "found.pickle").read_bytes())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draw]:
    """A script's figure as we read it and as the oracle does; each script is drawn once."""
    known: dict[str, Future[Sides]] = {}
    asked = Oracle(tmp_path_factory.mktemp("oracle"))
    with (
        closing(asked),
        kept_renderer(workers=2, limits=LIMITS) as renderer,
        ThreadPoolExecutor(2) as pool,
    ):

        def both(script: str) -> Sides:
            return renderer.render_figure(script), asked(script)

        def drawn(script: str) -> Future[Sides]:
            if script not in known:
                known[script] = pool.submit(both, script)
            return known[script]

        yield drawn


def compare(reference: str, answer: str, draw: Draw) -> float | None:
    """Our score of a pair, once it has been found to be the oracle's; ``None`` where none is due.

    Both sides have to agree on what is drawn at all, and on every text of it.
    """
    futures = (draw(reference), draw(answer))
    figures = [future.result() for future in futures]
    for ours, theirs in figures:
        assert (ours.status == "ok") == theirs.drawn, ours.error
        if theirs.drawn:
            assert [text.text for text in ours.texts] == theirs.texts
            assert (ours.width_inches, ours.height_inches) == tuple(theirs.inches)
    (target, official_target), (rendering, official) = figures
    if not (official_target.drawn and official.drawn):
        return None
    value = score_figure_text(target, rendering).value
    assert value == oracle.match(official_target, official)
    return value


NOT_DRAWN = {"closed at the end", "error at the end", "exit at the end"}
BY_HAND = {
    "the same": 1.0,
    "case and blanks": 1.0,
    "no text on either side": 1.0,
    "no text on one side": 0.0,
    "one copy less": 2 / 3,
    # 10 goes to 0, which comes first, although only 20 has no other.
    "greedy loses a copy": 2 / 4,
    "just near enough": 1.0,
    "just far enough": 2 / 4,
    "no number as a place": 3 / 4,
    "no seed": 1.0,
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_written_pair_scores_as_the_rule_says(draw: Draw, name: str) -> None:
    value = compare(*PAIRS[name], draw)
    assert (value is None) == (name in NOT_DRAWN)
    assert value == BY_HAND.get(name, value)


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) - len(NOT_DRAWN) >= 40


# -------------------------------------------------------------------- matplotlib's gallery

APART = frozenset({"animation", "event_handling", "user_interfaces", "widgets"})
"""Folders whose scripts wait for a user, or draw a film."""

EVERY = 7
BIGGER = """\
import matplotlib.pyplot
matplotlib.pyplot.rcParams.update({"font.size": 13, "figure.figsize": (9, 4)})
"""


def gallery_scripts() -> list[Path]:
    scripts = sorted(GALLERY.glob("*/*.py"))
    return [script for script in scripts if script.parent.name not in APART][::EVERY]


def gallery_answer(script: str, other: str, number: int) -> str:
    """In turn: the script in other sizes, with other labels, another script."""
    variants = (
        BIGGER + script,
        script.replace("set_title(", "set_xlabel(").replace("plt.title(", "plt.ylabel("),
        other,
    )
    return variants[number % len(variants)]


@pytest.mark.parity
@pytest.mark.skipif(not GALLERY.is_dir(), reason="needs matplotlib's gallery: make gallery")
@pytest.mark.parametrize("number", range(len(gallery_scripts())) or [0])
def test_a_script_of_the_gallery_scores_as_the_rule_says(draw: Draw, number: int) -> None:
    scripts = gallery_scripts()
    reference = scripts[number].read_text(encoding="utf-8")
    other = scripts[(number + 1) % len(scripts)].read_text(encoding="utf-8")
    compare(reference, gallery_answer(reference, other, number), draw)
