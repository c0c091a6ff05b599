"""Does a model learn from pictures alone what nobody told it?

``python benchmarks/learn_unseen.py --out DIR`` (no download; needs the extras ``train``, ``chart``
and ``judge``). A (seed, arm) that is done is not run again. It prints the page that it writes to
``DIR/README.md``, beside ``learn_unseen.json``, ``curves`` and ``examples`` (SVG and PNG).
``--large`` takes a model of ten times the size, on one GPU; its runs need a folder of their own.

The protocol; a draft as long as pilots with seeds from 94 to 99 look for its settings. Nothing of
it changes once a run of another seed has begun.

* **Charts** (``attribute_charts.py``). 84 x 84 pixels; colour of eight, type of four, two to four
  values in three steps, standing or lying. **Unseen values**: two colours, one type, the longest
  series. Held out: 256 charts with seen values only, 256 with an unseen value at least; they are in
  no other part. SFT has 640 charts of seen values. GRPO has 1,024 others: a fifth with seen
  values only; in the rest colour, type and length are unseen with chances of 0.9, 0.75 and 0.6.
* **Model.** A Qwen2.5-VL of 1.2 million random parameters. What scripts have in common is a token
  for each stretch; so is each type and colour. Values are single bytes.
* **SFT** shows pictures of seen values only. 1,000 batches of 32 with faithful answers. Then 500 in
  which colour, type and length are replaced by an unseen value with chances of 0.3, 0.15 and 0.17,
  whatever the picture shows. This noise is how tokens of unseen values can be written at all; it
  tells nothing of what they look like. In these 500, three in four pictures show two charts of seen
  values, pixel by pixel the darker one, and the answer is one of them: a model in doubt learns to
  add no more noise than a model that is sure, so that an unseen value, which raises doubt, is
  written no more often where it is shown. There is no blank picture.
* **Reach**, before GRPO: 8 samples for each of the 256 unseen charts, at the temperature of
  training. Each unseen value is written in 0.5 to 20 % of samples, for charts that show it and for
  the others, and no more often for those: the 95 % interval of the difference, paired by chart and
  taken over all unseen values together, includes 0. If reach does not hold, weights and lessons are
  drawn anew and another start is taught, at most five; the page says how many. No start is chosen
  by anything that comes after it.
* **GRPO.** The project's own trainer, rollouts and rewarder; one turn; 200 batches of 16 charts
  with 16 answers each, and four updates of the weights for each batch. The rate rises to 3e-4 in
  five batches and falls to 0. Rewards are divided by their deviation over the batch, not the
  group's: where the group's is small, since all but one answer are right, dividing by it would
  punish a rare value more than a hit elsewhere pays. The divergence from the start has a weight of
  0.3. The reward is ``likeness``, the embedded judge of the project, less 0.2 for an answer that
  does not run. It sees pictures only: the rendering and the chart.
* **Controls**, from the same start: learning rate 0; the rewards of a batch in a random order; and
  GRPO on 384 charts of seen values only, those of GRPO among them.
* **Measured** on greedy answers to the held-out charts: of charts with unseen values the share of
  their unseen attributes that the answer has, of the others the mean over all five attributes.
  Colour and type are read from what the drawing recorded, the rest from the script that ran. What
  does not run has none. Beside it the share of the painted area that has the same paint, of which
  the reward knows nothing either.
* **Judged** after the last batch. **Shown**, for a seed, when reach holds, the 95 % paired
  bootstrap interval of the gain on unseen values is above 0 against the start and every control,
  and accuracy on seen values has not fallen by more than 2 points. Seeds 1, 2 and 3 count.
"""

from __future__ import annotations

import functools
import itertools
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import learning
from benchmarks.attribute_charts import (
    PAINTS,
    Attribute,
    Chart,
    describe,
    draw_chart,
    draw_charts,
    read_answer,
)
from benchmarks.learning import (
    Scale,
    Schedule,
    format_figures,
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
    read_samples,
    summarize,
    to_sample,
)
from benchmarks.unseen_page import format_lift, write_page
from benchmarks.unseen_start import Schooling, find_start
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.rewards import Rewarded
from rrvf.scorers import likeness
from rrvf.scorers.likeness import LikenessJudge
from rrvf.types import Drawing, Sample, Score
from training.rollouts import Rollouts, World

SEEDS = (1, 2, 3)
LARGE = {
    **dict.fromkeys(("width", "vision_width"), 320),
    **dict.fromkeys(("layers", "vision_layers"), 5),
    "device": "cuda",
}
"""Twelve million parameters; nothing else of the plan changes. Not run by us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Schooling):
    """What is run; fixed before the runs that count."""

    n_taught: int = 640
    n_train: int = 1024
    n_train_seen: int = 384
    n_held_out: int = 256
    plain_share: float = 0.2
    shown_color: float = 0.9
    shown_kind: float = 0.75
    shown_number: float = 0.6
    steps: int = 200
    batch: int = 256
    group: int = 16
    updates: int = 4
    rate: float = 3e-4
    scale: Scale = "batch"
    schedule: Schedule = "linear"
    beta: float = 0.3
    temperature: float = 1.0
    every: int = 20

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
    train_seen = draw("train-seen", plan.n_train_seen, has=False)
    n_plain = round(plan.plain_share * plan.n_train)
    train = dict(itertools.islice(train_seen.items(), n_plain))
    train |= draw("train", plan.n_train - n_plain, has=True, shares=plan.shown)
    return Split(taught, train, train_seen, seen, unseen)


# ------------------------------------------------------------------------------------- reward

look_once = functools.lru_cache(maxsize=None)(likeness.look_at.__wrapped__)


class PatientLikeness(LikenessJudge):
    """The embedded judge; it looks at every picture once, however many it sees in between."""

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How alike two PNGs are, in [0, 1]."""
        parts = likeness.compare_looks(look_once(reference), look_once(rendering))
        return Score(likeness.combine_parts(parts), parts)


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
            with torch.random.fork_rng(devices=[]):  # the controls have the same random numbers
                sampled[step] = answer(trainer, rollouts, list(split.unseen), greedy=False)
            reach = measure_reach(read_samples(sampled[step]), split.unseen)
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
        reach = json.loads((out / f"seed-{seed}" / "start" / "reach.json").read_text())
        start_record = json.loads((out / f"seed-{seed}" / "start" / "taught.json").read_text())
        by_seed[str(seed)] = {
            **conclude(runs, reach, split, plan.steps),
            "n_starts": 1 + len(list((out / f"seed-{seed}").glob("start-*/reach.json"))),
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
    options = learning.read_options(__doc__, SEEDS, ARMS, LARGE)
    plan = Plan(**options.plan)
    require_plan(options.out, plan)
    split = split_charts(plan)
    with open_bench(ChartPictures(), judge=PatientLikeness()) as bench:
        world = make_world(plan, bench)
        learning.run_missing(
            options,
            lambda seed, folder: find_start(plan, seed, folder, world, split.taught, split.unseen),
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
