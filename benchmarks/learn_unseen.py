"""Does a model learn from pictures alone what nobody told it?

``python benchmarks/learn_unseen.py --out DIR`` (no download; needs the extras ``train``, ``chart``
and ``judge``). A (seed, arm) that is done is not run again. It prints the page that it writes to
``DIR/README.md``, beside ``learn_unseen.json``, ``curves`` and ``examples`` (SVG and PNG).

The protocol; a draft as long as pilots, with the seed 99, look for its settings. Nothing here
changes once a run of another seed has begun.

* **Charts** (``attribute_charts.py``). 84 x 84 pixels; colour of eight, type of four, two to five
  values in three steps, standing or lying. **Unseen values**: three colours, one type, the longest
  series. Held out: 256 charts with seen values only, 256 with an unseen value at least; they are in
  no other part. SFT has 1,024 charts of seen values. GRPO has 1,024 others: a quarter with seen
  values only; in the rest colour, type and length are unseen with chances of 0.7, 0.6 and 0.35.
* **Model.** A Qwen2.5-VL of 1.2 million random parameters. What scripts have in common is a token
  for each stretch; so is each type and colour. Values are single bytes.
* **SFT** shows pictures of seen values only. 600 batches of 32 with faithful answers, then 300 in
  which colour, type and length are replaced by an unseen value with chances of 0.4, 0.13 and 0.12,
  whatever the picture shows. This is how tokens of unseen values can be written at all; it tells
  nothing of what they look like. There is no blank picture.
* **Reach**, before GRPO: 8 samples for each of the 256 unseen charts, at the temperature of
  training. Each unseen value is written in 0.5 to 20 % of samples, for charts that show it and for
  the others, and no more often for those: the 95 % interval of the difference, paired by chart and
  taken over all unseen values together, includes 0.
* **GRPO.** The project's own trainer, rollouts and rewarder; one turn; 120 batches of 16 charts
  with 16 answers each. The rate rises to 5e-4 in 5 steps and falls to 0. Rewards are divided by
  their deviation over the batch, not the group's: where the group's is small, since all but one
  answer are right, dividing by it would punish a rare value more than a hit elsewhere pays. The
  divergence from the start has a weight of 0.3. The reward is the mean of ``likeness`` before its
  last step, less 0.2 for an answer that does not run. It sees pictures only: the rendering and the
  chart.
* **Controls**, from the same start: learning rate 0; the rewards of a batch in a random order; and
  GRPO on 1,024 charts of seen values only.
* **Measured** on greedy answers to the held-out charts: of charts with unseen values the share of
  their unseen attributes that the answer has, of the others the mean over all five attributes.
  Colour and type are read from what the drawing recorded, the rest from the script that ran. What
  does not run has none. Beside it the share of the painted area that has the same paint, of which
  the reward knows nothing either.
* **Judged** at the last step. **Shown**, for a seed, when reach holds, the 95 % paired bootstrap
  interval of the gain on unseen values is above 0 against the start and every control, and
  accuracy on seen values has not fallen by more than 2 points.
"""

from __future__ import annotations

import functools
import itertools
import json
import random
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import ImageChops

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import learning
from benchmarks.attribute_charts import (
    PAINTS,
    Attribute,
    Chart,
    describe,
    disturb,
    draw_chart,
    draw_charts,
    list_tokens,
    read_answer,
)
from benchmarks.learning import (
    PROMPT,
    Lesson,
    Scale,
    Schedule,
    Training,
    format_figures,
    make_prompt,
    make_reply,
    make_start,
    make_world,
    measure_paint,
    play,
    require_plan,
    run_arm,
    say,
    write,
)
from benchmarks.unseen_measures import (
    ARMS,
    Answer,
    Arm,
    Charts,
    Part,
    Split,
    conclude,
    measure_reach,
    summarize,
    to_sample,
)
from benchmarks.unseen_page import format_lift, write_page
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.rewards import Rewarded
from rrvf.scorers import likeness
from rrvf.scorers.likeness import LikenessJudge
from rrvf.types import Drawing, Sample, Score
from training.chat_tokens import ChatTokens, Tokens
from training.rollouts import Rollouts, World

SEEDS = (1, 2, 3)

Exercise = tuple[Tokens, Chart]
"""A prompt, and the chart that its picture shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Training):
    """What is run; fixed before the runs that count."""

    n_taught: int = 1024
    n_train: int = 1024
    n_held_out: int = 256
    n_reach: int = 8
    faithful_steps: int = 600
    disturbed_color: float = 0.4
    disturbed_kind: float = 0.13
    disturbed_number: float = 0.12
    laid_over_share: float = 0.5
    plain_share: float = 0.25
    shown_color: float = 0.7
    shown_kind: float = 0.6
    shown_number: float = 0.35
    sft_steps: int = 900
    steps: int = 120
    batch: int = 256
    group: int = 16
    rate: float = 5e-4
    scale: Scale = "batch"
    schedule: Schedule = "linear"
    beta: float = 0.3
    temperature: float = 1.0
    every: int = 20

    @property
    def disturbed(self) -> dict[Attribute, float]:
        """The chance of an attribute to be replaced, once SFT is past its faithful steps."""
        return {
            "color": self.disturbed_color,
            "kind": self.disturbed_kind,
            "number": self.disturbed_number,
        }

    @property
    def shown(self) -> dict[Attribute, float]:
        """The chance of an attribute to be unseen in charts of GRPO that are not plain."""
        return {"color": self.shown_color, "kind": self.shown_kind, "number": self.shown_number}


# ------------------------------------------------------------------------------------- charts


def split_charts(plan: Plan) -> Split:
    """The same for all seeds."""
    rng, taken = random.Random("charts"), set[Chart]()

    def draw(
        name: str, number: int, has: bool, shares: Mapping[Attribute, float] | None = None
    ) -> Charts:
        charts = draw_charts(
            number,
            lambda: draw_chart(rng, shares),
            lambda chart: bool(chart.unseen()) == has,
            taken,
        )
        return {f"{name}-{place}": chart for place, chart in enumerate(charts)}

    seen = draw("seen", plan.n_held_out, has=False)
    unseen = draw("unseen", plan.n_held_out, has=True)
    taught = draw("taught", plan.n_taught, has=False)
    train_seen = draw("train-seen", plan.n_train, has=False)
    n_plain = round(plan.plain_share * plan.n_train)
    train = dict(itertools.islice(train_seen.items(), n_plain))
    train |= draw("train", plan.n_train - n_plain, has=True, shares=plan.shown)
    return Split(taught, train, train_seen, seen, unseen)


# ------------------------------------------------------------------------------------- reward

look_once = functools.lru_cache(maxsize=None)(likeness.look_at.__wrapped__)


class PlainLikeness(LikenessJudge):
    """The embedded judge's mean before its last step, looking at every picture once.

    That step, 1 - (1 - r)^2, keeps small shifts near 1: a bar too few would cost a hundredth.
    """

    @property
    def name(self) -> str:
        """Of its score."""
        return "plain"

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How alike two PNGs are, in [0, 1]."""
        parts = likeness.compare_looks(look_once(reference), look_once(rendering))
        return Score(1 - (1 - likeness.combine_parts(parts)) ** 0.5, parts)


# ---------------------------------------------------------------------------------- the start


def make_reply_text(chart: Chart) -> str:
    """The answer that draws a chart."""
    return f"```python\n{chart.code()}```"


def disturb_lesson(plan: Plan, exercise: Exercise, other: Exercise, rng: random.Random) -> Exercise:
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


def start_of(plan: Plan, seed: int, folder: Path, world: World, taught: Charts) -> None:
    """The model that all arms of a seed start from."""

    def teach_model(model: Any, processor: Any) -> list[float]:
        chat, rng = ChatTokens(processor), random.Random(f"sft:{seed}")
        samples = [to_sample(name, chart) for name, chart in taught.items()]
        with ThreadPoolExecutor(world.concurrency) as pool:
            list(pool.map(world.bench.target, samples))  # side by side; they are kept
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


# --------------------------------------------------------------------------------- one arm


def to_answer(episode: Rewarded, bench: Bench) -> Answer:
    """What is kept of an answer: what it shows, and how far its picture has the same paint."""
    result, pictures = episode.outcome.result, episode.outcome.pictures
    if result.status != "ok":
        return {"id": result.sample_id, "runnable": False, "shows": None, "paint": 0.0}
    view = bench.draw(Sample(result.sample_id), result.code or "").view
    shown = read_answer(result.code or "", view.elements) if isinstance(view, Drawing) else None
    paint = measure_paint(pictures["reference"], pictures["rendering"], PAINTS)
    return {
        "id": result.sample_id,
        "runnable": True,
        "shows": None if shown is None else describe(shown),
        "paint": round(paint, 4),
    }


def train_arm(
    plan: Plan, arm: Arm, seed: int, folder: Path, world: World, split: Split
) -> dict[str, Any]:
    """GRPO from the seed's start; returns the curve and all held-out answers."""
    import torch

    answers: dict[int, dict[Part, list[Answer]]] = {}
    sampled: dict[int, list[Answer]] = {}
    held_out = {"seen": split.seen, "unseen": split.unseen}

    def answer(
        trainer: Any, rollouts: Rollouts, ids: Sequence[str], *, greedy: bool
    ) -> list[Answer]:
        episodes = play(trainer, rollouts, ids, plan.batch, greedy=greedy)
        return [to_answer(episode, world.bench) for episode in episodes]

    def ask(step: int, trainer: Any, rollouts: Rollouts) -> None:
        if arm == "grpo":
            ids = list(split.unseen) * (plan.n_reach if step == 0 else 1)
            with torch.random.fork_rng(devices=[]):  # the controls have the same random numbers
                sampled[step] = answer(trainer, rollouts, ids, greedy=False)
            reach = measure_reach(sampled[step], split.unseen)
            gain = format_lift(asdict(reach.difference))
            say(f"seed {seed} {arm} step {step}, unseen values where shown, points: {gain}")
        answers[step] = {
            part: answer(trainer, rollouts, list(charts), greedy=True)
            for part, charts in held_out.items()
        }
        for part, charts in held_out.items():
            figures = summarize(answers[step][part], charts)
            say(f"seed {seed} {arm} step {step}, {part}: {format_figures(figures)}")

    entry = learning.Arm(
        name=arm,
        seed=seed,
        rate=0.0 if arm == "lr0" else plan.rate,
        is_shuffled=arm == "shuffled",
        samples={name: to_sample(name, chart) for name, chart in split.all().items()},
        train_ids=list(split.train_seen if arm == "seen" else split.train),
        folder=folder,
    )
    return {**run_arm(plan, entry, world, ask), "answers": answers, "sampled": sampled}


# ------------------------------------------------------------------------------------ command


def report(plan: Plan, out: Path, seeds: Sequence[int], split: Split) -> dict[str, Any] | None:
    """Read all runs back; ``None`` while one is missing."""
    by_seed: dict[str, Any] = {}
    for seed in seeds:
        paths = {arm: out / f"seed-{seed}" / f"{arm}.json" for arm in ARMS}
        if not all(path.is_file() for path in paths.values()):
            return None
        runs = {arm: json.loads(path.read_text()) for arm, path in paths.items()}
        start_record = json.loads((out / f"seed-{seed}" / "start" / "taught.json").read_text())
        by_seed[str(seed)] = {
            **conclude(runs, split, plan.steps),
            "n_parameters": start_record["n_parameters"],
            "environment": runs["grpo"]["environment"],
            "sft_seconds": start_record["seconds"],
            "seconds": {arm: run["seconds"] for arm, run in runs.items()},
            "held_out": {
                arm: {
                    step: {
                        "seen": summarize(answers["seen"], split.seen),
                        "unseen": summarize(answers["unseen"], split.unseen),
                    }
                    for step, answers in run["answers"].items()
                }
                for arm, run in runs.items()
            },
            "training": {arm: run["training"] for arm, run in runs.items()},
        }
    is_shown = all(seed_report["shown"] for seed_report in by_seed.values())
    return {"plan": asdict(plan), "shown": is_shown, "seeds": by_seed}


def main() -> None:
    options = learning.read_options(__doc__, SEEDS, ARMS)
    plan = Plan(**options.plan)
    require_plan(options.out, plan)
    split = split_charts(plan)
    with open_bench(ChartPictures(), judge=PlainLikeness()) as bench:
        world = make_world(plan, bench)
        learning.run_missing(
            options,
            lambda seed, folder: start_of(plan, seed, folder, world, split.taught),
            lambda arm, seed, folder: train_arm(plan, arm, seed, folder, world, split),
        )
        results = report(plan, options.out, options.seeds, split)
        if results is None:
            return
        write(options.out / "learn_unseen.json", results)
        first = options.out / f"seed-{options.seeds[0]}" / "grpo.json"
        page = write_page(
            results, json.loads(first.read_text())["answers"], split, bench, options.out
        )
    print(page)


if __name__ == "__main__":
    main()
