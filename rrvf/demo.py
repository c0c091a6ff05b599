"""The bundled demo: a dozen charts, and answers to them in which every status occurs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from rrvf.benchmarks.chartmimic import load_samples
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.scoring import Item
from rrvf.renderers.chart import Limits

LIMITS = Limits(cpu_seconds=5, wall_seconds=60)
"""Short enough for the endless loop among the answers not to try one's patience."""


def demo_items() -> list[Item]:
    """The demo's samples with their answers."""
    with resources.as_file(resources.files("rrvf") / "demo_data" / "charts") as folder:
        samples = load_samples(Path(folder) / "references")
        return match(samples, load_predictions(Path(folder) / "predictions.jsonl"))
