"""Does a model learn from pictures alone what nobody told it?

``python benchmarks/learn_unseen.py --out DIR`` (no download; needs the extras ``train``, ``chart``
and ``judge``). A (seed, arm) that is done is not run again. It prints the page that it writes to
``DIR/README.md``, beside ``learn_unseen.json``, ``curves`` and ``examples`` (SVG and PNG).

The protocol; a draft as long as pilots, with the seed 99, look for its settings. Nothing here
changes once a run of another seed has begun.

* **Charts** (``attribute_charts.py``). 84 x 84 pixels; colour of eight, type of four, two to five
  values in three steps, standing or lying. **Unseen values**: three colours, one type, the longest
  series. Held out: 256 charts with seen values only, 256 with an unseen value at least. GRPO has
  2,048 others of all values, where each of colour, type and length is unseen with a chance of 0.6;
  SFT 1,024 others of seen values. No chart stands in two parts.
* **Model.** A Qwen2.5-VL of 1.2 million random parameters. What scripts have in common is a token
  for each stretch; so is each type and colour. Values are single bytes.
* **SFT** shows pictures of seen values only. 600 batches of 32 with faithful answers, then 200 in
  which each of colour, type, length and direction is replaced, with a chance of 0.5, by a value
  drawn from all values, whatever the picture shows. This is how tokens of unseen values can be
  written at all; it tells nothing of what they look like. There is no blank picture.
* **Reach**, before GRPO: 8 samples for each of the 256 unseen charts, at the temperature of
  training. Each unseen value is written in 0.5 to 20 % of samples, for charts that show it and for
  the others, and no more often for those: the 95 % interval of the difference, paired by chart and
  taken over all unseen values together, includes 0.
* **GRPO.** The project's own trainer, rollouts and rewarder; one turn; 100 batches of 16 charts
  with 16 answers each; the divergence from the start has a weight of 0.1. The reward is the mean of
  ``likeness`` before its last step, less 0.2 for an answer that does not run. It sees pictures
  only: the rendering and the chart.
* **Controls**, from the same start: learning rate 0; the rewards of a batch in a random order; and
  GRPO on 2,048 charts of seen values only.
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

import argparse
import functools
import io
import itertools
import json
import random
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import learning
from benchmarks.attribute_charts import (
    ATTRIBUTES,
    PAINTS,
    UNSEEN,
    Chart,
    compare,
    describe,
    disturb,
    draw_chart,
    draw_charts,
    list_tokens,
    parse,
    read_answer,
)
from benchmarks.learning import (
    PROMPT,
    Lesson,
    Lift,
    Training,
    format_figures,
    lift,
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
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.rewards import Rewarded
from rrvf.scorers import likeness
from rrvf.scorers.likeness import LikenessJudge
from rrvf.types import Drawing, Sample, Score
from training.chat_tokens import ChatTokens
from training.rollouts import Rollouts, World

Arm = Literal["grpo", "lr0", "shuffled", "seen"]
Part = Literal["seen", "unseen"]
Charts = Mapping[str, Chart]
Answer = dict[str, Any]

ARMS: tuple[Arm, ...] = ("grpo", "lr0", "shuffled", "seen")
PARTS: tuple[Part, ...] = ("seen", "unseen")
SEEDS = (1, 2, 3)
REACHED = (0.005, 0.2)
"""How often an unseen value must be written before GRPO, at least and at most."""
MOST_LOST = 0.02
"""Accuracy on seen values that may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Training):
    """What is run; fixed before the runs that count."""

    n_taught: int = 1024
    n_train: int = 2048
    n_held_out: int = 256
    n_reach: int = 8
    faithful_steps: int = 600
    disturbed: float = 0.5
    unseen_share: float = 0.6
    sft_steps: int = 800
    steps: int = 100
    batch: int = 256
    group: int = 16
    rate: float = 1e-4
    beta: float = 0.1
    temperature: float = 1.0
    every: int = 20


# ------------------------------------------------------------------------------------- charts


@dataclass(frozen=True)
class Split:
    """Charts by id; none stands in two parts.

    Attributes:
        taught: SFT shows them; seen values only.
        train: GRPO shows them; of all values.
        train_seen: The control shows them; seen values only.
        seen, unseen: Held out; with seen values only, and with an unseen one at least.
    """

    taught: Charts
    train: Charts
    train_seen: Charts
    seen: Charts
    unseen: Charts

    def all(self) -> dict[str, Chart]:
        """Every part."""
        return {**self.taught, **self.train, **self.train_seen, **self.seen, **self.unseen}


def split_charts(plan: Plan) -> Split:
    """The same for all seeds."""
    rng, taken = random.Random("charts"), set[Chart]()

    def draw(
        name: str, number: int, accept: Callable[[Chart], bool], share: float | None = None
    ) -> Charts:
        charts = draw_charts(number, lambda: draw_chart(rng, share), accept, taken)
        return {f"{name}-{place}": chart for place, chart in enumerate(charts)}

    return Split(
        seen=draw("seen", plan.n_held_out, lambda chart: not chart.unseen()),
        unseen=draw("unseen", plan.n_held_out, lambda chart: bool(chart.unseen())),
        taught=draw("taught", plan.n_taught, lambda chart: not chart.unseen()),
        train_seen=draw("train-seen", plan.n_train, lambda chart: not chart.unseen()),
        train=draw("train", plan.n_train, lambda chart: True, plan.unseen_share),
    )


def to_sample(name: str, chart: Chart) -> Sample:
    """A chart as training gets it; its code only draws the picture."""
    return Sample(name, chart.code(), prompt=PROMPT)


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
            share = plan.disturbed if next(steps) >= plan.faithful_steps else 0.0
            batch = rng.sample(exercises, plan.sft_batch)
            charts = [disturb(chart, share, rng) for _, chart in batch]
            replies = [make_reply(processor, make_reply_text(chart)) for chart in charts]
            return [(prompt, reply) for (prompt, _), reply in zip(batch, replies, strict=True)]

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


# ----------------------------------------------------------------------------------- measures


def grade(answer: Answer, chart: Chart) -> dict[str, float]:
    """Which attributes of its chart an answer has; none where it does not run."""
    shows = answer["shows"]
    return {str(n): v for n, v in compare(chart, None if shows is None else parse(shows)).items()}


def accuracy_by_chart(answers: Sequence[Answer], charts: Charts) -> dict[str, float]:
    """Chart -> share of its attributes that the answer has; where some are unseen, of those."""
    values: dict[str, float] = {}
    for answer in answers:
        chart = charts[answer["id"]]
        grades = grade(answer, chart)
        values[answer["id"]] = float(np.mean([grades[n] for n in chart.unseen() or ATTRIBUTES]))
    return values


def summarize(answers: Sequence[Answer], charts: Charts) -> dict[str, float]:
    """Means: runnable, paint, accuracy, and of each attribute; ``unseen`` where it is that."""
    grades = defaultdict[str, list[float]](list)
    for answer in answers:
        chart = charts[answer["id"]]
        for name, value in grade(answer, chart).items():
            grades[name].append(value)
            if name in chart.unseen():
                grades[f"unseen {name}"].append(value)
    return {
        "accuracy": float(np.mean([*accuracy_by_chart(answers, charts).values()])),
        "runnable": float(np.mean([answer["runnable"] for answer in answers])),
        "paint": float(np.mean([answer["paint"] for answer in answers])),
        **{name: float(np.mean(values)) for name, values in grades.items()},
    }


@dataclass(frozen=True, slots=True)
class Reach:
    """How often unseen values are written before GRPO.

    Attributes:
        shown: Value -> share of the samples for charts that show it.
        others: Value -> share of the samples for charts that do not.
        difference: For each chart how much more often its unseen values are written for it than
            for charts without them.
    """

    shown: Mapping[str, float]
    others: Mapping[str, float]
    difference: Lift

    @property
    def holds(self) -> bool:
        """Every value is reached, and none is told from the picture."""
        shares = (*self.shown.values(), *self.others.values())
        is_between = all(REACHED[0] <= share <= REACHED[1] for share in shares)
        return is_between and self.difference.low <= 0 <= self.difference.high


def measure_reach(sampled: Sequence[Answer], charts: Charts) -> Reach:
    """From samples at the temperature of training."""
    shown_charts = defaultdict[str, list[Chart | None]](list)
    for answer in sampled:
        shown_charts[answer["id"]].append(parse(answer["shows"]) if answer["shows"] else None)
    shown: dict[str, float] = {}
    others: dict[str, float] = {}
    differences = defaultdict[str, list[float]](list)
    for attribute, value in ((name, value) for name, values in UNSEEN.items() for value in values):
        shares = {
            name: float(np.mean([getattr(entry, attribute, None) == value for entry in entries]))
            for name, entries in shown_charts.items()
        }
        own = {n: v for n, v in shares.items() if getattr(charts[n], attribute) == value}
        shown[str(value)] = float(np.mean([*own.values()]))
        rest = [share for name, share in shares.items() if name not in own]
        others[str(value)] = float(np.mean(rest))
        for name, share in own.items():
            differences[name].append(share - others[str(value)])
    means = {name: float(np.mean(values)) for name, values in differences.items()}
    difference = lift(means, dict.fromkeys(means, 0.0))
    assert difference is not None
    return Reach(shown, others, difference)


def conclude(runs: Mapping[Arm, Mapping[str, Any]], split: Split, step: int) -> dict[str, Any]:
    """What one seed shows at the step that was fixed beforehand."""

    def values(arm: Arm, at: int, part: Part) -> dict[str, float]:
        charts = split.seen if part == "seen" else split.unseen
        return accuracy_by_chart(runs[arm]["answers"][str(at)][part], charts)

    references = {"start": values("grpo", 0, "unseen")}
    references |= {arm: values(arm, step, "unseen") for arm in ARMS if arm != "grpo"}
    end = values("grpo", step, "unseen")
    gains = {name: lift(end, reference) for name, reference in references.items()}
    kept = lift(values("grpo", step, "seen"), values("grpo", 0, "seen"))
    reach = measure_reach(runs["grpo"]["sampled"]["0"], split.unseen)
    assert kept is not None
    is_shown = all(gain is not None and gain.is_shown for gain in gains.values())
    return {
        "gains": {name: None if gain is None else asdict(gain) for name, gain in gains.items()},
        "seen": asdict(kept),
        "reach": {**asdict(reach), "holds": reach.holds},
        "shown": is_shown and kept.mean >= -MOST_LOST and reach.holds,
    }


# ------------------------------------------------------------------------------------- report


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


# Okabe and Ito's colours, told apart by all common kinds of colour vision.
LOOKS: Mapping[Arm, tuple[str, str, str]] = {
    "grpo": ("#0072B2", "-", "o"),
    "lr0": ("#000000", "--", "s"),
    "shuffled": ("#D55E00", ":", "^"),
    "seen": ("#009E73", "-.", "D"),
}
LABELS: Mapping[Arm, str] = {
    "grpo": "GRPO on all values",
    "lr0": "learning rate 0",
    "shuffled": "rewards shuffled",
    "seen": "GRPO on seen values",
}
PANELS: Sequence[tuple[Part, str, str]] = (
    ("unseen", "accuracy", "Accuracy on unseen values"),
    ("seen", "accuracy", "Accuracy on seen values"),
    ("unseen", "paint", "Same paint, charts with unseen values"),
    ("unseen", "unseen color", "Unseen colours"),
    ("unseen", "unseen kind", "Unseen type"),
    ("unseen", "unseen number", "Unseen length"),
)


def draw_curves(results: Mapping[str, Any], folder: Path) -> None:
    """Held-out figures over steps, all seeds; as SVG and PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for panel, (part, name, title) in zip(panels.flat, PANELS, strict=True):
        for number, seed_report in enumerate(results["seeds"].values()):
            for arm in ARMS:
                color, line, marker = LOOKS[arm]
                points = {int(s): f[part][name] for s, f in seed_report["held_out"][arm].items()}
                panel.plot(
                    *zip(*sorted(points.items()), strict=True),
                    color=color,
                    linestyle=line,
                    marker=marker,
                    markersize=4,
                    alpha=0.8,
                    label=LABELS[arm] if number == 0 else None,
                )
        panel.set_title(title, fontsize=10)
        panel.set_ylim(-0.03, 1.03)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[1]:
        panel.set_xlabel("step of GRPO")
    panels[0][0].legend(frameon=False, fontsize=9)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"curves.{suffix}", dpi=150)


def choose_examples(charts: Charts, number: int = 3) -> list[str]:
    """The first charts that have nothing unseen but one attribute; as many of each."""
    chosen: list[str] = []
    for attribute in UNSEEN:
        names = [name for name, chart in charts.items() if chart.unseen() == (attribute,)]
        chosen += names[:number]
    return chosen


def draw_examples(
    answers_by_step: Mapping[str, Mapping[Part, Sequence[Answer]]],
    split: Split,
    bench: Bench,
    folder: Path,
) -> None:
    """Charts with what the greedy answers of one run showed, by step; as SVG and PNG."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    names = choose_examples(split.unseen)
    figure = Figure(figsize=(1.1 * (len(answers_by_step) + 1), 1.15 * len(names)))
    panels = figure.subplots(len(names), len(answers_by_step) + 1, squeeze=False)
    titles = ["chart", *(f"step {step}" for step in answers_by_step)]
    for row, name in enumerate(names):
        answers = [
            next(answer for answer in answers["unseen"] if answer["id"] == name)
            for answers in answers_by_step.values()
        ]
        shown = [describe(split.unseen[name]), *(answer["shows"] for answer in answers)]
        for column, text in enumerate(shown):
            panel = panels[row][column]
            panel.axis("off")
            if row == 0:
                panel.set_title(titles[column], fontsize=9)
            if text is None:
                panel.text(0.5, 0.5, "does not run", ha="center", va="center", fontsize=7)
                continue
            png = bench.target(to_sample(text, parse(text)))
            panel.imshow(imread(io.BytesIO(png)))
    figure.tight_layout(pad=0.3)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"examples.{suffix}", dpi=150)


def format_percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}"


def format_lift(entry: Mapping[str, float] | None) -> str:
    """A difference in points with its interval."""
    if entry is None:
        return "–"
    low, high = entry["low"], entry["high"]
    return f"{100 * entry['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def make_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def make_page(results: Mapping[str, Any]) -> str:
    """The result as Markdown: what was measured, and whether it is shown."""
    step = str(results["plan"]["steps"])
    values = [str(value) for entries in UNSEEN.values() for value in entries]
    reach, ends, gains = [], [], []
    for seed, seed_report in results["seeds"].items():
        entry = seed_report["reach"]
        shares = [
            f"{format_percent(entry['shown'][value])} / {format_percent(entry['others'][value])}"
            for value in entry["shown"]
        ]
        is_met = "yes" if entry["holds"] else "NO"
        reach.append([seed, *shares, format_lift(entry["difference"]), is_met])
        points = {"start": seed_report["held_out"]["grpo"]["0"]}
        points |= {LABELS[arm]: seed_report["held_out"][arm][step] for arm in ARMS}
        for label, figures in points.items():
            shares = [
                *(figures["unseen"][name] for name in ("accuracy", *UNSEEN_NAMES, "paint")),
                *(figures["seen"][name] for name in ("accuracy", "paint", "runnable")),
            ]
            ends.append([seed, label, *map(format_percent, shares)])
        lifts = [format_lift(seed_report["gains"][name]) for name in ("start", *ARMS[1:])]
        seen = format_lift(seed_report["seen"])
        gains.append([seed, *lifts, seen, "yes" if seed_report["shown"] else "NO"])
    verdict = "Shown for every seed." if results["shown"] else "NOT shown for every seed."
    return "\n\n".join(
        [
            "# Does it learn from images alone what nobody told it?",
            f"{verdict} Made by `{COMMAND}`; the protocol stands at the head of that script. "
            "All figures are percentages; in brackets 95 % intervals, bootstrap over charts.",
            "![Held-out accuracy by step](curves.png)",
            "## Before GRPO: how often an unseen value is written",
            "Share of samples for charts that show it / for the others, sampled as in training. "
            "Each must be 0.5 to 20 %, and the interval of the difference, paired by chart, must "
            "include 0.",
            make_table(["seed", *values, "difference, points", "holds"], reach),
            f"## Held out, after {step} steps",
            "Accuracy on charts with unseen values counts their unseen attributes alone.",
            make_table(ENDS, ends),
            "## Gain of accuracy on unseen values, in points",
            make_table(GAINS, gains),
            "## Examples",
            "Greedy answers of the first seed to held-out charts, drawn: three with an unseen "
            "colour, three with the unseen type, three with the unseen length.",
            "![Examples by step](examples.png)",
        ]
    )


COMMAND = "python benchmarks/learn_unseen.py --out results/training/learn_unseen"
UNSEEN_NAMES = ("unseen color", "unseen kind", "unseen number")
ENDS = (
    *("seed", "run", "unseen values", "unseen colours", "unseen type", "unseen length"),
    *("paint, unseen", "seen values", "paint, seen", "runnable, seen"),
)
GAINS = (
    *("seed", "over the start", "over learning rate 0", "over shuffled rewards"),
    *("over seen values only", "seen values, over the start", "shown"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--plan", type=json.loads, default={}, help="changes, as JSON; for pilots")
    options = parser.parse_args()
    plan = Plan(**options.plan)
    require_plan(options.out, plan)

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of TRL's use of transformers
    split = split_charts(plan)
    with open_bench(ChartPictures(), judge=PlainLikeness()) as bench:
        world = make_world(plan, bench)
        for seed in options.seeds:
            folder = options.out / f"seed-{seed}"
            start_of(plan, seed, folder / "start", world, split.taught)
            for arm in options.arms:
                if not (folder / f"{arm}.json").is_file():
                    write(folder / f"{arm}.json", train_arm(plan, arm, seed, folder, world, split))
        results = report(plan, options.out, options.seeds, split)
        if results is None:
            return
        write(options.out / "learn_unseen.json", results)
        draw_curves(results, options.out)
        first = options.out / f"seed-{options.seeds[0]}" / "grpo.json"
        draw_examples(json.loads(first.read_text())["answers"], split, bench, options.out)
    (options.out / "README.md").write_text(make_page(results) + "\n")
    print(make_page(results))


if __name__ == "__main__":
    main()
