"""Charts with answers to them, for measuring what a comparison of pictures is worth.

For each item of a folder as ``../shared/data/chartmimic_v1``: the reference's picture, the model's
answer, and answers made from both by changing the code (:mod:`likeness_mutations`). Every answer
has its picture and the mean of the four official scores against the reference. Answers that do not
run are left out; so are items whose reference or whose model's answer does not run.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from likeness_mutations import MUTATIONS

from rrvf.benchmarks.chartmimic import LOW_LEVEL
from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.replies import before_saving, prepare_official
from rrvf.scorers import SCORERS
from rrvf.scorers.scorer import find_scorers, is_usable, score_each
from rrvf.types import Drawing

REAL = "the model's answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture, what was drawn on it, and how good the four official scores find it."""

    name: str
    png: bytes
    drawing: Drawing
    official: float


@dataclass(frozen=True, slots=True)
class Item:
    """A reference and answers to it; the first is the model's own."""

    name: str
    png: bytes
    drawing: Drawing
    answers: tuple[Answer, ...]

    @property
    def category(self) -> str:
        """Kind of chart: the name without its number."""
        return self.name.rpartition("_")[0]

    @property
    def real(self) -> Answer:
        """The model's own answer."""
        return self.answers[0]


def score_official(target: Drawing, drawing: Drawing) -> float:
    """Mean of the four official scores."""
    scores = score_each(find_scorers(LOW_LEVEL, SCORERS), target, drawing, "official")
    return fmean(score.value or 0.0 for score in scores.values())


def load_items(data: Path, cache_file: Path | None) -> list[Item]:
    """The items of a folder, drawn, or as they were kept by an earlier call."""
    if cache_file is not None and cache_file.exists():
        return pickle.loads(cache_file.read_bytes())
    rows = [json.loads(line) for line in (data / "predictions.jsonl").read_text().splitlines()]
    items: list[Item] = []
    with ChartRenderer(workers=1) as renderer:
        for row in rows:
            reference = (data / "golden" / f"{row['id']}.py").read_text()
            item = _draw_item(renderer, row["id"], reference, prepare_official(row["prediction"]))
            if item is not None:
                items.append(item)
    if cache_file is not None:
        cache_file.write_bytes(pickle.dumps(items))
    return items


def _draw_item(
    renderer: ChartRenderer, name: str, reference: str, answer: str | None
) -> Item | None:
    target = renderer.render(ChartScript(reference, append_save=False))
    if answer is None or target.png is None or not is_usable(target.official):
        return None
    answers: list[Answer] = []
    for label, code in _make_answers(name, reference, answer):
        rendering = renderer.render(ChartScript(code))
        if rendering.png is not None and rendering.official.status == "ok":
            official = score_official(target.official, rendering.official)
            answers.append(Answer(label, rendering.png, rendering.official, official))
    if not answers or answers[0].name != REAL:
        return None
    return Item(name, target.png, target.official, tuple(answers))


def _make_answers(name: str, reference: str, answer: str) -> Iterator[tuple[str, str]]:
    yield REAL, answer
    script = prepare_official(f"```python\n{reference}\n```") or ""
    for source, code in (("reference", script), (REAL, answer)):
        for label, mutate in MUTATIONS.items():
            variant = mutate(code, f"{name} {source}")
            if variant is not None:
                yield f"{source}, {label}", variant


_SAVED_OTHERWISE = {
    "bbox_inches='tight'": "plt.savefig('a.pdf', bbox_inches='tight')",
    "tight, 0.6 inches around it": "plt.savefig('a.pdf', bbox_inches='tight', pad_inches=0.6)",
    "as the figure stands": "plt.savefig('a.pdf')",
    "dpi=200": "plt.savefig('a.png', dpi=200)",
    "15 % wider": "w, h = plt.gcf().get_size_inches()\n"
    "plt.gcf().set_size_inches(1.15 * w, h)\nplt.savefig('a.pdf')",
    "25 % larger, texts as they were": "plt.gcf().set_size_inches(1.25 * "
    "plt.gcf().get_size_inches())\nplt.savefig('a.pdf')",
}


def draw_saved_otherwise(data: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The reference of an item as other ways of saving it show it."""
    code = before_saving((data / "golden" / f"{name}.py").read_text())
    with ChartRenderer(workers=1) as renderer:
        for label, saving in _SAVED_OTHERWISE.items():
            rendering = renderer.render_reference(f"{code}\n{saving}\n")
            if rendering.png is not None:
                yield label, rendering.png
