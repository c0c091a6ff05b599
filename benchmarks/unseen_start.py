"""The start of ``learn_unseen.py``: SFT on seen values, and how often unseen ones are written."""

from __future__ import annotations

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import ImageChops

from benchmarks import learning
from benchmarks.attribute_charts import (
    Attribute,
    Chart,
    disturb,
    list_tokens,
    read_chart,
)
from benchmarks.learning import (
    PROMPT,
    Lesson,
    Training,
    load_checkpoint,
    make_prompt,
    make_reply,
    make_start,
    say,
    write,
)
from benchmarks.unseen_measures import Charts, Reach, measure_reach, to_sample
from benchmarks.unseen_page import format_lift
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, Tokens
from training.rollouts import World

Exercise = tuple[Tokens, Chart]
"""A prompt, and the chart that its picture shows."""

_FENCE, _END = "```python\n", "```"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schooling(Training):
    """Model and SFT.

    Attributes:
        faithful_steps: Steps of SFT with faithful answers.
        disturbed_color, disturbed_kind, disturbed_number: Afterwards, the chance of an attribute to
            be replaced by an unseen value.
        laid_over_share: Afterwards, the share of pictures that show two charts.
        most_starts: Starts that are taught until reach holds.
        n_reach: Samples for each held-out chart with an unseen value.
    """

    faithful_steps: int = 1000
    sft_steps: int = 1500
    disturbed_color: float = 0.3
    disturbed_kind: float = 0.15
    disturbed_number: float = 0.17
    laid_over_share: float = 0.75
    most_starts: int = 5
    n_reach: int = 8

    @property
    def disturbed(self) -> dict[Attribute, float]:
        """The chance of an attribute to be replaced, once SFT is past its faithful steps."""
        return {
            "color": self.disturbed_color,
            "kind": self.disturbed_kind,
            "number": self.disturbed_number,
        }


def make_reply_text(chart: Chart) -> str:
    """The answer that draws a chart."""
    return f"{_FENCE}{chart.code()}{_END}"


def read_reply(text: str) -> Chart | None:
    """The chart that an answer of this form draws, or ``None``."""
    return read_chart(text.removeprefix(_FENCE).removesuffix(_END))


def disturb_lesson(
    plan: Schooling, exercise: Exercise, other: Exercise, rng: random.Random
) -> Exercise:
    """A lesson of the second part of SFT.

    Args:
        plan: The shares.
        exercise: A prompt, and the chart that it shows.
        other: Another one, whose picture may be laid over the first.
        rng: Of the draw.
    """
    prompt, chart = exercise
    if rng.random() < plan.laid_over_share:
        picture = ImageChops.darker(prompt.pictures[0], other[0].pictures[0])
        prompt = replace(prompt, pictures=[picture])
    return prompt, disturb(chart, plan.disturbed, rng)


def find_start(
    plan: Schooling, seed: int, folder: Path, world: World, taught: Charts, unseen: Charts
) -> None:
    """Teach the model that all arms of a seed start from, until reach holds.

    The last one is taken where it holds for none.

    Args:
        plan: What is taught.
        seed: Of weights and lessons.
        folder: Of the checkpoint, with ``reach.json``; starts for which reach did not hold stay
            beside it.
        world: Draws the pictures.
        taught: What SFT shows.
        unseen: Held-out charts, each with an unseen value.
    """
    if (folder / "reach.json").is_file():
        return
    for attempt in range(plan.most_starts):
        part = folder.with_name(f"start-{attempt}")
        if not (part / "reach.json").is_file():
            _teach_start(plan, 100 * seed + attempt, part, world, taught)
            reach = _sample_reach(plan, part, world, unseen)
            write(part / "reach.json", {**asdict(reach), "holds": reach.holds})
            gain = format_lift(asdict(reach.difference))
            say(f"seed {seed} start {attempt}: unseen values where shown, points: {gain}")
        if json.loads((part / "reach.json").read_text())["holds"]:
            break
    part.rename(folder)


def _teach_start(plan: Schooling, seed: int, folder: Path, world: World, taught: Charts) -> None:
    def teach_model(model: Any, processor: Any) -> list[float]:
        chat, rng = ChatTokens(processor), random.Random(f"sft:{seed}")
        samples = _draw_targets(world, taught)
        prompts = [make_prompt(chat, world, sample) for sample in samples]
        exercises = list(zip(prompts, taught.values(), strict=True))
        steps = itertools.count()

        def draw_lessons() -> list[Lesson]:
            batch = rng.sample(exercises, plan.sft_batch)
            if next(steps) >= plan.faithful_steps:
                batch = [disturb_lesson(plan, entry, rng.choice(exercises), rng) for entry in batch]
            return [
                (prompt, make_reply(processor, make_reply_text(chart))) for prompt, chart in batch
            ]

        return learning.teach(model, processor, draw_lessons, plan)

    make_start(plan, seed, folder, ["user", "assistant", PROMPT, *list_tokens()], teach_model)


def _draw_targets(world: World, charts: Charts) -> list[Sample]:
    """Draw the pictures side by side; the bench keeps them."""
    samples = [to_sample(name, chart) for name, chart in charts.items()]
    with ThreadPoolExecutor(world.concurrency) as pool:
        list(pool.map(world.bench.target, samples))
    return samples


def _sample_reach(plan: Schooling, folder: Path, world: World, unseen: Charts) -> Reach:
    """From what samples write; nothing is drawn."""
    import torch

    torch.manual_seed(0)
    model, processor = load_checkpoint(folder)
    chat = ChatTokens(processor)
    prompts = [make_prompt(chat, world, sample) for sample in _draw_targets(world, unseen)]
    written = {name: list[Chart | None]() for name in unseen}
    for _ in range(plan.n_reach):
        texts = learning.sample_replies(plan, model, processor, prompts)
        for name, text in zip(unseen, texts, strict=True):
            written[name].append(read_reply(text))
    return measure_reach(written, unseen)
