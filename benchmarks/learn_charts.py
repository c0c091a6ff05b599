"""Does training with a score as the reward teach what held-out charts show?

``python benchmarks/learn_charts.py --out DIR`` (42 minutes on two cores that were busy with other
work, too; no download; needs the extras ``train``, ``chart`` and ``judge``). A (seed, arm) that is
done is not run again. It prints the result and writes ``DIR/learn_charts.json`` and
``DIR/learn_charts.svg``.

The protocol, fixed before the runs of the three seeds; pilots used another seed (99).

* **Charts.** ``synthetic_tiny``: 84 x 84 pixels, two to four bars of nine heights in six colours;
  1,024 to train on, 256 held out, no script in both; the same for all seeds.
* **Model.** A Qwen2.5-VL of 1.2 million random parameters. What all scripts have in common is a
  token for each stretch; numbers and colours are single bytes. Nothing but the likelihoods taught
  keeps it from writing anything else.
* **SFT.** 400 batches of 32 by a careless hand: half of the answers it is taught are faithful, and
  half give every bar the colour of the first. All run. Afterwards the model can answer either
  way, and the likeliest answer is the careless one.
* **GRPO.** The project's own trainer, rollouts and rewarder; one turn; 30 steps of 8 charts with 8
  answers each. The reward is that of the embedded ``likeness`` judge (of its forerunner ``pixel``
  in the run that is kept), less 0.2 for an answer that does not run. It sees pictures only: no
  script, and not which answers are careless.
* **Controls.** The same from the same start with learning rate 0, and with the rewards of a batch
  in a random order, drawn by seed and step.
* **Measured** on the greedy answers to the held-out charts: the share that runs, and apart from it
  the paint of those that do: the share of the area painted in either picture that has the same
  paint (nearest of eight) in both. The reward knows nothing of it.
* **Shown**, for a seed, when at step 30 the 95 % paired bootstrap interval of the mean difference
  in paint, over charts whose answers run on both sides, is above 0 against the start and
  against each control.

What it does not show: that a model learns to *see* better. In two pilots whose SFT was faithful
only, 20 steps of 64 answers left paint where it was or lowered it (0.647 at the start, then
0.654 and, with other settings, 0.596); a few thousand rewards hold far less than as many labels.
What is shown or not is that the reward decides between what a model can already do, by pictures
alone, and that it carries over.

An exact answer has a paint of about 0.975, and had 0.92 by ``pixel``, on 64 of the charts: answers
are drawn through the PDF that ChartMimic's scorer saves, these charts straight to pixels.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import learning
from benchmarks.learning import (
    PROMPT,
    WHITE,
    Lesson,
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
from rrvf.bench import open_bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.rewards import Rewarded
from rrvf.scorers.likeness import LikenessJudge
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, Tokens
from training.rollouts import Rollouts, World
from training.synthetic_charts import synthetic_tiny

Arm = Literal["grpo", "lr0", "shuffled"]
ARMS: tuple[Arm, ...] = ("grpo", "lr0", "shuffled")
_COLORS = re.compile(r'(?<=\*")\w+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Training):
    """What is run; fixed before the final runs."""

    n_train: int = 1024
    n_held_out: int = 256
    careless: float = 0.5


SEEDS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Split:
    """Charts to train on, and charts to be asked about; no script stands in both."""

    train: tuple[Sample, ...]
    held_out: tuple[Sample, ...]


# ----------------------------------------------------------------------------------- charts


def charts(plan: Plan) -> Split:
    """The same for all seeds."""
    charts_by_code: dict[str, Sample] = {}
    seed = 0
    while len(charts_by_code) < plan.n_train + plan.n_held_out:
        chart = replace(synthetic_tiny(seed), prompt=PROMPT)
        assert chart.reference_code is not None
        charts_by_code.setdefault(chart.reference_code, chart)
        seed += 1
    unique = tuple(charts_by_code.values())
    return Split(unique[plan.n_held_out :], unique[: plan.n_held_out])


def reply_for(chart: Sample, *, careless: bool = False) -> str:
    """An answer that is taught first: faithful, or with all bars in the colour of the first."""
    code = chart.reference_code or ""
    if careless:
        code = _COLORS.sub(lambda match: match[0][0] * len(match[0]), code)
    return f"```python\n{code}```"


def tokens_of(chart: Sample) -> list[str]:
    """What all replies have in common, a token each; numbers and colours remain single bytes."""
    pattern = rf"(?<=range\()\d|(?<=\[)\d[\d,]*(?=\])|{_COLORS.pattern}"
    stretches = re.split(pattern, reply_for(chart))
    return ["user", "assistant", PROMPT, *stretches]


# ------------------------------------------------------------------------- held-out charts

_PAINTS = (
    WHITE,
    (255, 0, 0),
    (0, 128, 0),
    (0, 0, 255),
    (0, 191, 191),
    (191, 0, 191),
    (191, 191, 0),
    (0, 0, 0),
)
"""White, matplotlib's r g b c m y, and black, as RGB."""


def same_paint(target: bytes, rendering: bytes) -> float:
    """Share of the painted area of either picture that has the same paint in both."""
    return measure_paint(target, rendering, _PAINTS)


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer to a held-out chart; ``paint`` and ``likeness`` only where it runs."""

    id: str
    runnable: bool
    paint: float | None
    likeness: float | None
    code: str | None


def answer_of(episode: Rewarded) -> Answer:
    """What a scored episode says of its chart."""
    result, pictures = episode.outcome.result, episode.outcome.pictures
    is_ok = result.status == "ok"
    paint = same_paint(pictures["reference"], pictures["rendering"]) if is_ok else None
    return Answer(
        result.sample_id,
        is_ok,
        paint,
        result.scores["likeness"].value if is_ok else None,
        result.code,
    )


# ----------------------------------------------------------------------------- short SFT


def teach(
    model: Any, processor: Any, world: World, train: Sequence[Sample], plan: Plan, seed: int
) -> list[float]:
    """Teach the form of an answer, and a little of seeing; returns the losses."""
    chat, order = ChatTokens(processor), random.Random(f"sft:{seed}")
    exercises = [make_exercise(chat, processor, world, chart) for chart in train]

    def draw_lessons() -> list[Lesson]:
        batch = order.sample(exercises, plan.sft_batch)
        return [exercise.answer(order.random() < plan.careless) for exercise in batch]

    return learning.teach(model, processor, draw_lessons, plan)


@dataclass(frozen=True, slots=True)
class Exercise:
    """The prompt as an episode would show it, and the tokens of two replies."""

    prompt: Tokens
    faithful: list[int]
    careless: list[int]

    def answer(self, careless: bool) -> Lesson:
        """With one of the two."""
        return self.prompt, self.careless if careless else self.faithful


def make_exercise(chat: ChatTokens, processor: Any, world: World, chart: Sample) -> Exercise:
    """What is taught about a chart."""
    faithful, careless = [
        make_reply(processor, reply_for(chart, careless=careless)) for careless in (False, True)
    ]
    return Exercise(make_prompt(chat, world, chart), faithful, careless)


# ------------------------------------------------------------------------------------ one arm


def start_of(plan: Plan, seed: int, folder: Path, world: World, train: Sequence[Sample]) -> None:
    """The model that all arms of a seed start from."""

    def teach_model(model: Any, processor: Any) -> list[float]:
        return teach(model, processor, world, train, plan, seed)

    make_start(plan, seed, folder, tokens_of(train[0]), teach_model)


def train_arm(
    plan: Plan, arm: Arm, seed: int, folder: Path, world: World, split: Split
) -> dict[str, Any]:
    """GRPO from the seed's start; returns the curve and all held-out answers."""
    answers: dict[int, list[dict[str, Any]]] = {}

    def ask(step: int, trainer: Any, rollouts: Rollouts) -> None:
        ids = [sample.id for sample in split.held_out]
        episodes = play(trainer, rollouts, ids, plan.batch)
        answers[step] = [asdict(answer_of(episode)) for episode in episodes]
        say(f"seed {seed} {arm} step {step}, held out: {format_figures(summarize(answers[step]))}")

    entry = learning.Arm(
        name=arm,
        seed=seed,
        rate=0.0 if arm == "lr0" else plan.rate,
        is_shuffled=arm == "shuffled",
        samples={sample.id: sample for sample in (*split.train, *split.held_out)},
        train_ids=[sample.id for sample in split.train],
        folder=folder,
    )
    return {**run_arm(plan, entry, world, ask), "answers": answers}


# ---------------------------------------------------------------------------------- statistics


def paint_by_chart(answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Chart -> paint, of answers that run."""
    return {answer["id"]: answer["paint"] for answer in answers if answer["runnable"]}


def summarize(answers: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Runnable rate and both measures of what runs, apart."""
    measures = ("paint", "likeness")
    runnable = [answer for answer in answers if answer["runnable"]]
    means = {
        name: float(np.mean([answer[name] for answer in runnable])) if runnable else None
        for name in measures
    }
    return {"runnable": len(runnable) / len(answers), **means}


def compare(runs: Mapping[Arm, Mapping[str, Any]], step: int) -> dict[str, Any]:
    """What one seed shows at the step that was fixed beforehand."""
    end = {arm: paint_by_chart(run["answers"][str(step)]) for arm, run in runs.items()}
    start = paint_by_chart(runs["grpo"]["answers"]["0"])
    references = {"start": start, "lr0": end["lr0"], "shuffled": end["shuffled"]}
    lifts = {name: lift(end["grpo"], reference) for name, reference in references.items()}
    return {
        "lifts": {name: None if entry is None else asdict(entry) for name, entry in lifts.items()},
        "shown": all(entry is not None and entry.is_shown for entry in lifts.values()),
    }


# ------------------------------------------------------------------------------------- report


def report(plan: Plan, out: Path, seeds: Sequence[int]) -> dict[str, Any] | None:
    """Read all runs back; ``None`` while one is missing."""
    by_seed: dict[str, Any] = {}
    for seed in seeds:
        paths = {arm: out / f"seed-{seed}" / f"{arm}.json" for arm in ARMS}
        if not all(path.is_file() for path in paths.values()):
            return None
        runs = {arm: json.loads(path.read_text()) for arm, path in paths.items()}
        start_record = json.loads((out / f"seed-{seed}" / "start" / "taught.json").read_text())
        by_seed[str(seed)] = {
            **compare(runs, plan.steps),
            "n_parameters": start_record["n_parameters"],
            "environment": runs["grpo"]["environment"],
            "sft_seconds": start_record["seconds"],
            "seconds": {arm: run["seconds"] for arm, run in runs.items()},
            "held_out": {
                arm: {step: summarize(answers) for step, answers in run["answers"].items()}
                for arm, run in runs.items()
            },
            "training": {arm: run["training"] for arm, run in runs.items()},
        }
    is_shown = all(seed_report["shown"] for seed_report in by_seed.values())
    return {"plan": asdict(plan), "shown": is_shown, "seeds": by_seed}


def text_report(results: Mapping[str, Any]) -> str:
    """The result in words."""
    step = str(results["plan"]["steps"])
    lines: list[str] = []
    for seed, seed_report in results["seeds"].items():
        lines.append(f"seed {seed}, {seed_report['n_parameters']:,} parameters")
        points = [("start", seed_report["held_out"]["grpo"]["0"])]
        points += [(arm, seed_report["held_out"][arm][step]) for arm in ARMS]
        lines += [f"  {name:9} {format_figures(figures)}" for name, figures in points]
        for name, gain in seed_report["lifts"].items():
            if gain is None:
                lines.append(f"  grpo - {name:9} not two charts run on both sides")
                continue
            lines.append(
                f"  grpo - {name:9} {gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] "
                f"on {gain['n']} charts"
            )
        lines.append(f"  {'shown' if seed_report['shown'] else 'NOT shown'}")
        times = ", ".join(f"{arm} {seconds:.0f}" for arm, seconds in seed_report["seconds"].items())
        lines.append(f"  seconds: SFT {seed_report['sft_seconds']:.0f}, {times}")
    verdict = (
        "It learns: shown for every seed." if results["shown"] else "NOT shown for every seed."
    )
    return "\n".join([*lines, verdict])


# Okabe and Ito's colours, told apart by all common kinds of colour vision.
LOOKS: Mapping[Arm, tuple[str, str, str]] = {
    "grpo": ("#0072B2", "-", "o"),
    "lr0": ("#000000", "--", "s"),
    "shuffled": ("#D55E00", ":", "^"),
}
LABELS: Mapping[Arm, str] = {
    "grpo": "GRPO",
    "lr0": "learning rate 0",
    "shuffled": "rewards shuffled",
}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Held-out paint and runnable rate over steps, and reward in training; all seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, 3)
    for number, seed_report in enumerate(results["seeds"].values()):
        for arm in ARMS:
            color, line, marker = LOOKS[arm]
            look = {"color": color, "linestyle": line, "alpha": 0.8}
            name = {"label": LABELS[arm]} if number == 0 else {}
            points = sorted(
                (int(step), figures) for step, figures in seed_report["held_out"][arm].items()
            )
            steps = [step for step, _ in points]
            for panel, measure in zip(panels, ("paint", "runnable"), strict=False):
                values = [figures[measure] for _, figures in points]
                panel.plot(steps, values, marker=marker, **look, **name)
            rewards = [point["reward"] for point in seed_report["training"][arm]]
            smooth = np.convolve(rewards, np.ones(5) / 5, mode="valid")
            panels[2].plot(np.arange(len(smooth)) + 5, smooth, **look, **name)
    titles = (
        "Held-out paint of what runs",
        "Held-out share that runs",
        "Reward in training, mean of 5",
    )
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].set_ylim(0, 1.02)
    panels[0].legend(frameon=False)
    figure.savefig(path)


# --------------------------------------------------------------------------------------- main


def main() -> None:
    options = learning.read_options(__doc__, SEEDS, ARMS)
    plan = Plan(**options.plan)
    require_plan(options.out, plan)
    split = charts(plan)
    with open_bench(ChartPictures(), judge=LikenessJudge()) as bench:
        world = make_world(plan, bench)
        learning.run_missing(
            options,
            lambda seed, folder: start_of(plan, seed, folder, world, split.train),
            lambda arm, seed, folder: train_arm(plan, arm, seed, folder, world, split),
        )
    results = report(plan, options.out, options.seeds)
    if results is not None:
        write(options.out / "learn_charts.json", results)
        draw(results, options.out / "learn_charts.svg")
        print(text_report(results))


if __name__ == "__main__":
    main()
