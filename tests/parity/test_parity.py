"""Our scores against the official evaluators, run live on the same pairs.

The smaller part runs with every test; ``make parity`` runs the whole, the real ChartMimic items
included. The oracle runs under an interpreter of its own: ``$RRVF_ORACLE_PYTHON``, else the one
that runs the tests where VLMEvalKit is installed in full, else ``.venv-oracle``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.errors import HarnessError
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.scorers import SCORERS
from rrvf.scorers.scorer import is_usable, score_each
from rrvf.types import Drawing, Sample, Score
from tests.parity import oracle

PAIRS = Path(__file__).parent / "pairs"
TOLERANCE = 1e-9
MANY_COLORS = 10

SMALLER_PART = frozenset(
    {
        "bar",
        "boxplot-filled",
        "hist-step-and-multi",
        "radar-projection-class",
        "seaborn-bars-and-counts",
        "networkx-edge-labels",
        "squarify-tree-map",
        "venn2",
        "3d-surfaces",
        "polar-plot",
        "pandas-plots",
        "text-multi-line",
        "text-tick-formatter-with-memory",
        "animation",
        "graph_ring",
        "layout-free-axes",
        "show-inside-a-function",
        "save-in-a-comment-of-the-answer",
        "escape-vector",
        "save-inside-a-function-of-the-reference",
        "error-inside-the-save",
        "name-ax-is-used-later",
        "error-swallowed-inside-a-counted-call",
        "customized-uses-the-given-data",
        "fence-two",
        "colour-bars-recoloured-by-name",
        "colour-eight-against-eight",
        "name-plt-is-a-figure",
    }
)

NOT_COMPARED: Mapping[str, str] = {
    "print-bytes-that-are-no-text": "officially 0, since what it prints cannot be decoded; the "
    "scorer fails there, not the chart",
    "customized-without-a-block": "the reference has no Part 2: ours, so unscored",
    "hist_3": "draws unseeded random numbers",
}
"""Pairs whose official value says nothing about ours; the reason."""


DRAWS_NO_PDF = frozenset({"save-only-png-in-the-reference", "save-never-in-the-reference"})
"""Pairs whose reference has no texts officially, so that text is 0; here it has an answer's."""


@dataclass(frozen=True)
class Ours:
    """What we make of a pair."""

    target: Drawing
    drawing: Drawing
    scores: Mapping[str, Score]


def oracle_python() -> Path:
    named = os.environ.get("RRVF_ORACLE_PYTHON")
    if named:
        return Path(named)
    if importlib.util.find_spec("vlmeval") and importlib.util.find_spec("torch"):
        return Path(sys.executable)
    python = Path(__file__).parents[2] / ".venv-oracle" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs VLMEvalKit's evaluators: make oracle-env")
    return python


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with ChartRenderer(workers=2, limits=Limits(cpu_seconds=30, wall_seconds=120)) as running:
        yield running


def our_side(renderer: ChartRenderer, pair: oracle.Pair) -> Ours | None:
    """``None`` where the answer holds no code or the reference no data block."""
    sample = Sample(pair.name, pair.reference, task=pair.task, tags={"reference_name": pair.name})
    try:
        script = ChartMimic().script(sample, pair.completion)
    except HarnessError:
        return None
    if script is None:
        return None
    reference = renderer.render_reference(pair.reference).official
    target = ChartMimic().adjust_target(sample, reference, "official")
    drawing = renderer.render(script, modes=("official",)).official
    return Ours(target, drawing, score_each(SCORERS, target, drawing, "official"))


def compare(
    renderer: ChartRenderer, pairs: Sequence[oracle.Pair], chance: frozenset[str] = frozenset()
) -> list[str]:
    """Every difference between the official outcome of a pair and ours, in words."""
    with ThreadPoolExecutor(2) as pool:
        ours = dict(zip(pairs, pool.map(lambda p: our_side(renderer, p), pairs), strict=True))
    asked = [pair for pair in pairs if pair.name not in NOT_COMPARED and pair.name not in chance]
    outcomes = oracle.ask(oracle_python(), asked, jobs=2)
    differences: list[str] = []
    for pair in asked:
        differences += differences_of(pair.name, outcomes[pair.name], ours[pair])
    return differences


def differences_of(name: str, outcome: Mapping[str, Any], ours: Ours | None) -> list[str]:
    executed = ours is not None and ours.drawing.status == "ok"
    if outcome["executed"] is not executed:
        return [f"{name}: executed {outcome['executed']}, ours {executed}"]
    if ours is None or not executed:
        return []
    found: list[str] = []
    for scorer in ("text", "type", "color", "layout"):
        if scorer == "color" and by_chance(ours):
            continue
        score = ours.scores[scorer]
        if scorer == "text" and name in DRAWS_NO_PDF:
            ok = score.value == 1 and outcome[scorer]["f1"] == 0
        elif not is_usable(ours.target):
            # Officially an empty log, which is worth 0; the fault is not the model's.
            ok = score.value is None and outcome[scorer]["f1"] == 0
        else:
            ok = all(
                abs(score.details[part] - outcome[scorer][part]) <= TOLERANCE
                for part in ("precision", "recall", "f1")
            )
        if not ok:
            found.append(f"{name}: {scorer} {outcome[scorer]}, ours {score}")
    return found


def by_chance(ours: Ours) -> bool:
    """More than ten colours: the official choice follows the order of a set."""
    sides = (ours.target.elements.colors, ours.drawing.elements.colors)
    return any(len(colors) > MANY_COLORS for colors in sides)


def test_the_smaller_part(renderer: ChartRenderer) -> None:
    pairs = [pair for pair in oracle.load_pairs(PAIRS) if pair.name in SMALLER_PART]
    assert len(pairs) == len(SMALLER_PART)
    assert compare(renderer, pairs) == []


@pytest.mark.parity
def test_every_pair(renderer: ChartRenderer) -> None:
    index = json.loads((PAIRS / "index.json").read_text(encoding="utf-8"))
    chance = frozenset(entry["name"] for entry in index if entry["chance"])
    assert compare(renderer, oracle.load_pairs(PAIRS), chance) == []


@pytest.mark.parity
def test_real_answers(renderer: ChartRenderer, shared_chartmimic: Path) -> None:
    lines = (shared_chartmimic / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    pairs: list[oracle.Pair] = []
    for row in map(json.loads, lines):
        script = shared_chartmimic / "golden" / f"{row['id']}.py"
        pairs.append(oracle.Pair(row["id"], script.read_text(encoding="utf-8"), row["prediction"]))
    assert compare(renderer, pairs) == []


DRAWN_OTHERWISE: Mapping[str, str] = {
    "3d-surfaces": "ticks of the third axis, up to matplotlib 3.8",
    "pandas-plots": "labels of pandas, before 3",
    "networkx-edge-labels": "hide_ticks is an unknown argument to networkx 3.2",
    "ticks-log-axis": "labels of minor ticks, from matplotlib 3.10 on",
    "deprecated-arguments": "arguments that matplotlib 3.11 has dropped",
}
"""Pairs that some version of the plotting packages draws otherwise; what is drawn otherwise."""


def scores_under(python: Path, pairs: Sequence[oracle.Pair]) -> dict[str, dict[str, float | None]]:
    with (
        ChartRenderer(python, limits=Limits(cpu_seconds=30, wall_seconds=120)) as renderer,
        ThreadPoolExecutor(2) as pool,
    ):
        ours = list(pool.map(lambda pair: our_side(renderer, pair), pairs))
    return {
        pair.name: {} if found is None else {k: s.value for k, s in found.scores.items()}
        for pair, found in zip(pairs, ours, strict=True)
    }


def test_every_matplotlib_gives_the_same_scores(
    published_python: Path, newest_python: Path
) -> None:
    pairs = [pair for pair in oracle.load_pairs(PAIRS) if pair.name in SMALLER_PART]
    check_same_scores(pairs, published_python, newest_python)


@pytest.mark.parity
def test_every_matplotlib_gives_the_same_scores_on_every_pair(
    published_python: Path, newest_python: Path
) -> None:
    check_same_scores(oracle.load_pairs(PAIRS), published_python, newest_python)


def check_same_scores(
    pairs: Sequence[oracle.Pair], published_python: Path, newest_python: Path
) -> None:
    own, *others = (
        scores_under(python, pairs)
        for python in (Path(sys.executable), published_python, newest_python)
    )
    for other in others:
        for name, scores in own.items():
            if name not in DRAWN_OTHERWISE:
                assert other[name] == pytest.approx(scores, abs=TOLERANCE), name
