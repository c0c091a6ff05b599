"""A fork draws and records what a fresh interpreter does, whatever was drawn before it.

Each script is drawn three times: in one server, in the same server after all the others and in
another order, and by the same recorder in an interpreter of its own, without a fork
(``tests/unforked.py``). What was recorded and every byte of the pictures must be equal.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits, server_environment
from rrvf.types import Rendering, Sample
from tests.generated_charts import make_charts
from tests.parity import oracle
from tests.parity.test_parity import PAIRS
from tests.unforked import unforked

LIMITS = Limits(cpu_seconds=60, wall_seconds=300)
UNREPEATABLE = frozenset({"hist_3-reference", "hist_3-answer"})
"""They draw random numbers from an entropy of their own."""


def draw(
    renderer: ChartRenderer, scripts: Mapping[str, ChartScript], names: Iterable[str]
) -> dict[str, Rendering]:
    """Name -> what was drawn, two at a time, without the times it took."""

    def one(name: str) -> tuple[str, Rendering]:
        rendering = renderer.render(scripts[name], judge=True)
        return name, without_walls(replace(rendering, seconds=0.0, cpu_seconds=0.0))

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(one, names))


NAMED_OTHERWISE = {
    "usetex needs LaTeX": "no LaTeX",  # that the confinement does not run
    "latex could not be found": "no LaTeX",
    # A fork hides pyplot until it is imported, so that the backend fails some lines later.
    "as 'headless' is currently running": "no display",
}
"""Words of an error that a fork and a fresh interpreter give in another way -> what they mean."""


def without_walls(rendering: Rendering) -> Rendering:
    """With one name for what is missing on both sides."""
    for words, meaning in NAMED_OTHERWISE.items():
        if words in (rendering.official.error or ""):
            drawings = (rendering.official, rendering.fixed)
            official, fixed = (replace(drawing, error=meaning) for drawing in drawings)
            return replace(rendering, official=official, fixed=fixed)
    return rendering


def what_differs(fork: Rendering, fresh: Rendering) -> list[str]:
    parts = ("official", "fixed", "png", "judge_png", "without_texts")
    return [part for part in parts if getattr(fork, part) != getattr(fresh, part)]


def check(
    scripts: Mapping[str, ChartScript], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Rendering]:
    """Draw everything three times and compare; what the fresh interpreters drew."""
    names = list(scripts)
    mixed = random.Random(0).sample(names, len(names))
    with ChartRenderer(workers=2, limits=LIMITS) as renderer:
        first, second = draw(renderer, scripts, names), draw(renderer, scripts, mixed)
        python = renderer._python  # pyright: ignore[reportPrivateUsage]
        server = renderer._require_server()  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(server, "ask", unforked(python, server_environment(python)))
        fresh = draw(renderer, scripts, names)
    differences = [
        f"{name}, {order}: {', '.join(what_differs(found[name], fresh[name]))}"
        for order, found in (("in order", first), ("mixed", second))
        for name in names
        if found[name] != fresh[name]
    ]
    assert differences == []
    assert not [name for name, found in first.items() if "signal" in (found.official.error or "")]
    return fresh


def generated(number: int) -> dict[str, ChartScript]:
    return {name: ChartScript(code) for name, code in make_charts(number).items()}


def scripts_of(pairs: Iterable[oracle.Pair]) -> dict[str, ChartScript]:
    """Each pair's reference and its answer."""
    scripts: dict[str, ChartScript] = {}
    for pair in pairs:
        scripts[f"{pair.name}-reference"] = ChartScript(pair.reference, append_save=False)
        sample = Sample(pair.name, pair.reference, tags={"reference_name": pair.name})
        answer = ChartMimic().script(sample, pair.completion)
        if answer is not None:
            scripts[f"{pair.name}-answer"] = answer
    return {name: script for name, script in scripts.items() if name not in UNREPEATABLE}


def test_generated_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = check(generated(8), monkeypatch)
    assert {rendering.official.status for rendering in drawn.values()} == {"ok"}


@pytest.mark.parity
def test_many_generated_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = check(generated(200), monkeypatch)
    assert len(drawn) == 200
    assert {rendering.official.status for rendering in drawn.values()} == {"ok"}


@pytest.mark.parity
def test_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [pair for pair in oracle.load_pairs(PAIRS) if pair.task == "direct"]
    assert len(check(scripts_of(pairs), monkeypatch)) > 300


@pytest.mark.parity
def test_real_scripts(shared_chartmimic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (shared_chartmimic / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [
        oracle.Pair(
            row["id"],
            (shared_chartmimic / "golden" / f"{row['id']}.py").read_text(encoding="utf-8"),
            row["prediction"],
        )
        for row in map(json.loads, lines)
    ]
    assert len(check(scripts_of(pairs), monkeypatch)) > 170
