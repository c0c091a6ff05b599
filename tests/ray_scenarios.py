"""What a Ray cluster is given to do in the tests: ``python -m tests.ray_scenarios ADDRESS``.

Prints what became of every scenario. Nodes draw by lookup, so that a slot can be told to end, to
refuse or to be of another version.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rrvf.bench import Bench, Scoring
from rrvf.errors import UserError
from rrvf.ray_executor import RayExecutor
from rrvf.renderers.chart import ChartScript
from rrvf.scoring import Item, Outcome
from rrvf.types import Rendering
from tests.benches import chart_bench
from tests.runs import FakeRenderer, fenced, sample

ENDS, OURS, REFUSES = "ends", "harness_error", "no_setup"


class EndingRenderer(FakeRenderer):
    """Ends its process where a script says so."""

    def render(self, script: ChartScript, **more: object) -> Rendering:
        if ENDS in script.official:
            os._exit(1)
        return super().render(script, **more)


class Crowded(Bench):
    """Takes several items at once, and tells what it is shown as the sample's picture."""

    def count_waiting(self) -> int:
        return 6

    def score(self, item: Item) -> Outcome:
        outcome = super().score(item)
        image = item[0].image
        if image is None:
            return outcome
        shown = f"{image.name}: {image.read_bytes().decode()} on {os.getpid()}"
        return replace(outcome, result=replace(outcome.result, error=shown))


@contextmanager
def fake(version: str = "3.9.4") -> Generator[Scoring]:
    bench = chart_bench(EndingRenderer(versions={"matplotlib": version}))
    yield Crowded(bench.benchmark, bench.kind, bench.scorers)


@contextmanager
def ending() -> Generator[Scoring]:
    os._exit(1)
    yield


def answers(*codes: str) -> list[Item]:
    return [(sample(f"s{n}"), fenced(code)) for n, code in enumerate(codes)]


def played(address: str, items: list[Item], build: Any = fake) -> dict[str, Any] | str:
    """Status, error and text score by sample; or the one line that ended it."""
    with fake() as scoring:
        execute = RayExecutor(build, address)
        try:
            outcomes = list(execute(items, scoring, 2))
        except UserError as error:
            return str(error)
    return {
        outcome.result.sample_id: (
            outcome.result.status,
            outcome.result.error,
            outcome.result.scores["text"].value,
        )
        for outcome in outcomes
    }


def call_ray_afterwards() -> str:
    """What a thread gets that asks when the connection has ended."""
    import ray

    try:
        ray.put(1)
    except ray.exceptions.RayError as error:
        return str(error)
    return "a cluster was started"


def main(address: str) -> None:
    fine = ["ok target slow"] * 10
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        picture.write_text("seen")
        pictured = [(replace(sample("s0"), image=picture), fenced("ok target"))]
        told = {
            "many": played(address, answers(*fine, f"ok {ENDS}", *fine, "code_error", OURS)),
            "refuses": played(address, answers(REFUSES)),
            "unlike": played(address, answers("ok"), partial(fake, "3.8.4")),
            "never opens": played(address, answers("ok"), ending),
            "picture": played(address, pictured),
            "pid": os.getpid(),
            "afterwards": call_ray_afterwards(),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
