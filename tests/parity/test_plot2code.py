"""Plot2Code's text score against an independent transcription of its rule, on the same pairs.

The pairs written for it run with every test. Those of matplotlib's own gallery run where
``make gallery`` has put its scripts.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.scorers.figure_text import score_figure_text
from rrvf.types import FigureRendering
from tests.parity import plot2code_oracle as oracle
from tests.parity.plot2code_scripts import PAIRS

GALLERY = Path(__file__).resolve().parents[2] / ".gallery" / "examples"
LIMITS = Limits(cpu_seconds=60, wall_seconds=240)

Sides = tuple[FigureRendering, oracle.Found]
Draw = Callable[[str], Future[Sides]]


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draw]:
    """A script's figure as we read it and as the oracle does; each script is drawn once."""
    known: dict[str, Future[Sides]] = {}
    with ChartRenderer(workers=2, limits=LIMITS) as renderer, ThreadPoolExecutor(2) as pool:

        def both(script: str) -> Sides:
            folder = tmp_path_factory.mktemp("oracle")
            return renderer.render_figure(script), asked(script, folder)

        def drawn(script: str) -> Future[Sides]:
            if script not in known:
                known[script] = pool.submit(both, script)
            return known[script]

        yield drawn


def asked(script: str, folder: Path) -> oracle.Found:
    """What the oracle finds, in a process of its own that knows nothing of the product."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    more = {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    more |= {"MPLCONFIGDIR": str(folder.parent / "fonts"), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, oracle.__file__, "script.py", "found.pickle"],
        cwd=folder,
        env=environment | more | {"SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads((folder / "found.pickle").read_bytes())


def differences(pairs: Mapping[str, tuple[str, str]], draw: Draw) -> tuple[dict[str, str], int]:
    """Pair -> what differs; and how many pairs were scored by both."""
    futures = {name: (draw(left), draw(right)) for name, (left, right) in pairs.items()}
    found: dict[str, str] = {}
    n_scored = 0
    for name, (left, right) in futures.items():
        (target, official_target), (rendering, official) = left.result(), right.result()
        ours = [target.status == "ok", rendering.status == "ok"]
        theirs = [official_target.drawn, official.drawn]
        if ours != theirs:
            found[name] = f"drawn: {theirs}, ours {ours}: {target.error}, {rendering.error}"
        elif all(ours):
            n_scored += 1
            expected = oracle.match(official_target, official)
            value = score_figure_text(target, rendering).value
            if value != expected:
                found[name] = f"{expected}, ours {value}"
    return found, n_scored


def test_every_written_pair_scores_as_the_rule_says(draw: Draw) -> None:
    found, n_scored = differences(PAIRS, draw)
    assert found == {}
    assert n_scored >= 40


def test_the_written_pairs_are_no_trivial_ones(draw: Draw) -> None:
    """Most scores lie between the ends, so that a wrong rule would show."""
    scores: dict[str, float] = {}
    for name, (left, right) in PAIRS.items():
        target, answer = draw(left).result()[1], draw(right).result()[1]
        if target.drawn and answer.drawn:
            scores[name] = oracle.match(target, answer)
    assert len([score for score in scores.values() if 0 < score < 1]) >= 30
    assert scores["the same"] == scores["no text on either side"] == scores["no seed"] == 1
    # By hand: of three copies two are there; the greedy rule takes 10 for 0 and leaves 20 none.
    assert scores["one copy less"] == 2 / 3
    assert scores["greedy loses a copy"] == 2 / 4
    assert scores["just near enough"] == 1 or scores["just far enough"] == 1


def test_the_same_texts_in_the_same_places_are_read(draw: Draw) -> None:
    for left, _ in PAIRS.values():
        target, official = draw(left).result()
        assert [text.text for text in target.texts] == official.texts
        assert (target.width_inches, target.height_inches) == tuple(official.inches)
