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

import argparse
import io
import json
import random
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.pictures import ChartPictures

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rrvf.agent import AgentSettings, Episode
from rrvf.rewards import Rewarded, Rewarder, RewardSettings
from rrvf.scorers.likeness import LikenessJudge
from rrvf.teacher import PictureOnly
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, Tokens
from training.rollouts import Rollouts, World
from training.synthetic_charts import synthetic_tiny

Arm = Literal["grpo", "lr0", "shuffled"]
ARMS: tuple[Arm, ...] = ("grpo", "lr0", "shuffled")
PROMPT = "Draw it."
_COLORS = re.compile(r'(?<=\*")\w+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run; fixed before the final runs."""

    n_train: int = 1024
    n_held_out: int = 256
    width: int = 128
    layers: int = 2
    vision_width: int = 128
    vision_layers: int = 2
    sft_steps: int = 400
    careless: float = 0.5
    sft_batch: int = 32
    sft_rate: float = 1e-3
    steps: int = 30
    batch: int = 64
    group: int = 8
    rate: float = 2e-4
    warmup: int = 5
    temperature: float = 0.7
    max_tokens: int = 24
    every: int = 10


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


# ---------------------------------------------------------------------------------- the world


def world_of(plan: Plan, bench: Bench) -> World:
    """A single turn, rewarded by the embedded judge."""
    settings = AgentSettings.of("python", max_turns=1, turn_tokens=plan.max_tokens)
    # One plain reply has no thoughts to be well formed with.
    reward = RewardSettings(vision={"likeness": 1.0}, vision_weight=1.0, structure_penalty=0.0)
    rewarder = Rewarder(bench, reward)
    return World(PictureOnly(), settings, rewarder, 4 * plan.max_tokens, concurrency=4)


# ------------------------------------------------------------------------- held-out charts

_PAINTS = (
    (255, 255, 255),
    (255, 0, 0),
    (0, 128, 0),
    (0, 0, 255),
    (0, 191, 191),
    (191, 0, 191),
    (191, 191, 0),
    (0, 0, 0),
)
"""White, matplotlib's r g b c m y, and black, as RGB."""


def find_paints(png: bytes, size: tuple[int, int] | None = None) -> NDArray[np.intp]:
    """Which paint each pixel is nearest to; 0 is white."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    image = Image.alpha_composite(paper, picture).convert("RGB")
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.NEAREST)
    values = np.asarray(image, dtype=np.int64)[:, :, None, :]
    return ((values - np.asarray(_PAINTS)) ** 2).sum(axis=3).argmin(axis=2)


def same_paint(target: bytes, rendering: bytes) -> float:
    """Share of the painted area of either picture that has the same paint in both."""
    first = find_paints(target)
    second = find_paints(rendering, (first.shape[1], first.shape[0]))
    is_painted = (first > 0) | (second > 0)
    return float((first == second)[is_painted].mean()) if is_painted.any() else 1.0


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
    if result.status == "harness_error":
        raise RuntimeError(result.error)
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
    import torch

    chat = ChatTokens(processor)
    lessons = [lesson(chat, processor, world, chart) for chart in train]
    order = random.Random(f"sft:{seed}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.sft_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.sft_rate, plan.sft_steps, pct_start=0.1
    )
    losses: list[float] = []
    model.train()
    for _ in range(plan.sft_steps):
        batch = order.sample(lessons, plan.sft_batch)
        replies = [
            (lesson.prompt, lesson.reply(order.random() < plan.careless)) for lesson in batch
        ]
        inputs = lesson_inputs(processor, replies)
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@dataclass(frozen=True, slots=True)
class Lesson:
    """The prompt as an episode would show it, and the tokens of two replies."""

    prompt: Tokens
    faithful: list[int]
    careless: list[int]

    def reply(self, careless: bool) -> list[int]:
        """One of the two."""
        return self.careless if careless else self.faithful


def lesson(chat: ChatTokens, processor: Any, world: World, chart: Sample) -> Lesson:
    """What is taught about a chart."""
    target = world.bench.target(chart)
    episode = Episode(chart.id, chart.prompt, target, world.settings)
    replies = [reply_for(chart, careless=careless) for careless in (False, True)]
    faithful, careless = [
        [*processor.tokenizer(reply)["input_ids"], chat.end_token] for reply in replies
    ]
    return Lesson(chat.prompt(episode.messages()), faithful, careless)


def lesson_inputs(processor: Any, lessons: Sequence[tuple[Tokens, list[int]]]) -> dict[str, Any]:
    """One batch, padded on the right; only replies are learnt."""
    import torch

    pad = processor.tokenizer.pad_token_id
    longest = max(len(prompt.ids) + len(reply) for prompt, reply in lessons)
    rows: list[list[int]] = []
    labels: list[list[int]] = []
    for prompt, reply in lessons:
        rest = longest - len(prompt.ids) - len(reply)
        rows.append([*prompt.ids, *reply, *[pad] * rest])
        labels.append([*[-100] * len(prompt.ids), *reply, *[-100] * rest])
    ids = torch.tensor(rows)
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    pictures = [picture for prompt, _ in lessons for picture in prompt.pictures]
    return {
        "input_ids": ids,
        "attention_mask": (ids != pad).long(),
        "labels": torch.tensor(labels),
        "mm_token_type_ids": (ids == image).long(),
        **processor.image_processor(images=pictures, return_tensors="pt"),
    }


# ------------------------------------------------------------------------------------ one arm


def start_of(plan: Plan, seed: int, folder: Path, world: World, train: Sequence[Sample]) -> None:
    """The model that all arms of a seed start from; built and taught once."""
    from training.tiny_model import Size, build

    if (folder / "taught.json").is_file():
        return
    start = time.monotonic()
    size = Size(
        width=plan.width,
        layers=plan.layers,
        vision_width=plan.vision_width,
        vision_layers=plan.vision_layers,
    )
    build(folder, seed, size, tokens_of(train[0]))
    model, processor = load_checkpoint(folder)
    losses = teach(model, processor, world, train, plan, seed)
    model.save_pretrained(folder)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = time.monotonic() - start
    record = {"seconds": seconds, "n_parameters": n_parameters, "losses": losses}
    (folder / "taught.json").write_text(json.dumps(record) + "\n")


def load_checkpoint(folder: Path) -> tuple[Any, Any]:
    """Model and processor, as training loads them."""
    import torch
    import transformers

    from training.models import load_processor
    from training.settings import RunArguments

    kind = transformers.AutoModelForImageTextToText
    processor = load_processor(RunArguments(model=str(folder)))
    return kind.from_pretrained(folder, dtype=torch.float32), processor


def grpo_arguments(plan: Plan, arm: Arm, seed: int, folder: Path, processor: Any) -> Any:
    """All arms alike, but for the rate."""
    from trl import GRPOConfig

    # A picture's token that is sampled stands for no picture, and breaks the loss.
    pads = ["<|image_pad|>", "<|video_pad|>"]
    return GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=plan.batch,
        num_generations=plan.group,
        max_completion_length=plan.max_tokens,
        max_steps=plan.steps,
        learning_rate=0.0 if arm == "lr0" else plan.rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=plan.warmup,
        weight_decay=0.0,
        temperature=plan.temperature,
        generation_kwargs={"suppress_tokens": processor.tokenizer.convert_tokens_to_ids(pads)},
        seed=seed,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
    )


def trainer_class(arm: Arm, seed: int) -> type:
    """The trainer itself, or one that hands the rewards of a batch to the wrong episodes."""
    from training.trainer import RrvfTrainer

    class Shuffled(RrvfTrainer):
        def episode_reward(self, *arguments: Any, **columns: Any) -> list[float | None]:
            rewards = super().episode_reward(*arguments, **columns)
            return shuffled(rewards, f"{seed}:{self.state.global_step}")

    return Shuffled if arm == "shuffled" else RrvfTrainer


def shuffled(rewards: Sequence[float | None], seed: str) -> list[float | None]:
    """The same rewards in another order, the same for the same seed."""
    return random.Random(seed).sample(list(rewards), len(rewards))


def train_arm(
    plan: Plan, arm: Arm, seed: int, folder: Path, world: World, split: Split
) -> dict[str, Any]:
    """GRPO from the seed's start; returns the curve and all held-out answers."""
    import transformers

    from training.grpo import prepare, rows
    from training.watchdog import Watchdog

    model, processor = load_checkpoint(folder / "start")
    arguments = grpo_arguments(plan, arm, seed, folder / arm, processor)
    prepare(arguments, processor)
    watchdog = Watchdog(folder / arm / "ranks", 0)
    samples = {sample.id: sample for sample in (*split.train, *split.held_out)}
    rollouts = Rollouts(world, ChatTokens(processor), watchdog, samples.__getitem__)
    answers: dict[int, list[Answer]] = {}

    class HeldOut(transformers.TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.ask(0)

        def on_step_end(self, arguments: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step % plan.every == 0:
                self.ask(state.global_step)

        def on_log(self, arguments: Any, state: Any, *_: Any, logs: Any, **__: Any) -> None:
            say(f"seed {seed} {arm} step {state.global_step}: {format_figures(curve_point(logs))}")

        def ask(self, step: int) -> None:
            answers[step] = answer_greedily(trainer, rollouts, split.held_out, plan.batch)
            figures = summarize([asdict(answer) for answer in answers[step]])
            say(f"seed {seed} {arm} step {step}, held out: {format_figures(figures)}")

    start, cpu = time.monotonic(), time.process_time()
    trainer = trainer_class(arm, seed)(
        rollouts=rollouts,
        watchdog=watchdog,
        model=model,
        args=arguments,
        train_dataset=rows([sample.id for sample in split.train]),
        processing_class=processor,
        callbacks=[HeldOut()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    rollouts.close()
    watchdog.close()
    return {
        "arm": arm,
        "seed": seed,
        "environment": {
            **{name: version(name) for name in ("torch", "transformers", "trl")},
            **world.bench.environment(),
        },
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu,
        "training": [curve_point(row) for row in trainer.state.log_history if "reward" in row],
        "answers": {
            step: [asdict(answer) for answer in step_answers]
            for step, step_answers in answers.items()
        },
    }


def format_figures(figures: Mapping[str, float | None]) -> str:
    """Figures in one line."""
    return " ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)


def say(line: str) -> None:
    """Progress; the result goes to standard output."""
    print(line, file=sys.stderr, flush=True)


def answer_greedily(
    trainer: Any, rollouts: Rollouts, held_out: Sequence[Sample], batch: int
) -> list[Answer]:
    """The likeliest answer to every held-out chart."""
    trainer.model.eval()
    ids = [sample.id for sample in held_out]
    answers: list[Answer] = []
    for start in range(0, len(ids), batch):
        answers += map(answer_of, rollouts.play(ids[start : start + batch], trainer)["rewarded"])
    trainer.model.train()
    return answers


CURVE = ("reward", "runnable", "paint_of_runnable", "entropy", "frac_reward_zero_std")


def curve_point(figures: Mapping[str, float]) -> dict[str, float]:
    """Of what the trainer logs at a step, what is drawn; rewards of training are sampled."""
    return {name: figures[name] for name in CURVE if name in figures}


# ---------------------------------------------------------------------------------- statistics


@dataclass(frozen=True, slots=True)
class Lift:
    """How much more alike one set of answers is than another, on charts that run in both.

    Attributes:
        n: Charts.
        mean: Of the differences.
        low, high: 95 % interval.
    """

    n: int
    mean: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """The whole interval is above 0."""
        return self.low > 0


def lift(
    paints: Mapping[str, float], reference_paints: Mapping[str, float], n_draws: int = 10_000
) -> Lift | None:
    """Paired percentile bootstrap of the mean difference; ``None`` without two common charts.

    Args:
        paints: Chart -> paint, of answers that run.
        reference_paints: What they are compared with, likewise.
        n_draws: Resamples of charts.
    """
    common = sorted(paints.keys() & reference_paints.keys())
    if len(common) < 2:
        return None
    differences = np.array([paints[name] - reference_paints[name] for name in common])
    draws = np.random.default_rng(0).integers(0, len(common), (n_draws, len(common)))
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return Lift(len(common), float(differences.mean()), float(low), float(high))


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


def write(path: Path, value: object) -> None:
    """All of it or nothing, so that half a run never counts as one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value) + "\n")
    partial.replace(path)


def require_plan(out: Path, plan: Plan) -> None:
    """A folder holds runs of one plan.

    Raises:
        SystemExit: It holds runs of another.
    """
    path = out / "plan.json"
    if not path.is_file():
        write(path, asdict(plan))
    elif json.loads(path.read_text()) != asdict(plan):
        raise SystemExit(f"{out} holds runs of another plan; name another folder")


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
    split = charts(plan)
    with open_bench(ChartPictures(), judge=LikenessJudge()) as bench:
        world = world_of(plan, bench)
        for seed in options.seeds:
            folder = options.out / f"seed-{seed}"
            start_of(plan, seed, folder / "start", world, split.train)
            for arm in options.arms:
                if not (folder / f"{arm}.json").is_file():
                    write(folder / f"{arm}.json", train_arm(plan, arm, seed, folder, world, split))
    results = report(plan, options.out, options.seeds)
    if results is not None:
        write(options.out / "learn_charts.json", results)
        draw(results, options.out / "learn_charts.svg")
        print(text_report(results))


if __name__ == "__main__":
    main()
