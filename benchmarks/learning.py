"""What the learning benchmarks share: a short SFT, GRPO by our own trainer, and statistics."""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rrvf.agent import AgentSettings, Episode
from rrvf.bench import Bench
from rrvf.rewards import Rewarded, Rewarder, RewardSettings
from rrvf.teacher import PictureOnly
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, Tokens
from training.rollouts import Rollouts, World

PROMPT = "Draw it."
WHITE = (255, 255, 255)
CURVE = ("reward", "runnable", "paint_of_runnable", "entropy", "frac_reward_zero_std")

Rgb = tuple[int, int, int]
Device = Literal["cpu", "cuda"]
Scale = Literal["group", "batch"]
Schedule = Literal["constant_with_warmup", "linear"]
Lesson = tuple[Tokens, list[int]]
"""A prompt and the tokens of the reply that is taught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Model, SFT and GRPO; what a benchmark fixes before its runs.

    Attributes:
        width, layers, vision_width, vision_layers: Of the model.
        sft_steps, sft_batch, sft_rate: Of SFT.
        steps, batch, group: Of GRPO; a step plays one batch, which counts answers.
        updates: Of the weights in a step, each by its share of the batch.
        rate, warmup: Learning rate, and the steps until it is reached.
        schedule: Of the rate afterwards; ``linear`` ends at 0.
        scale: What rewards are divided by: the deviation of their group or of the batch.
        beta: Weight of the divergence from the start.
        temperature, max_tokens: Of sampling.
        every: Steps between two looks at what is held out.
        device: That computes.
    """

    width: int = 128
    layers: int = 2
    vision_width: int = 128
    vision_layers: int = 2
    sft_steps: int = 400
    sft_batch: int = 32
    sft_rate: float = 1e-3
    steps: int = 30
    batch: int = 64
    group: int = 8
    updates: int = 1
    rate: float = 2e-4
    scale: Scale = "group"
    beta: float = 0.0
    warmup: int = 5
    schedule: Schedule = "constant_with_warmup"
    temperature: float = 0.7
    max_tokens: int = 24
    every: int = 10
    device: Device = "cpu"


def make_world(plan: Training, bench: Bench) -> World:
    """A single turn, rewarded by the judge of the bench and by nothing else but running."""
    assert bench.judge is not None
    settings = AgentSettings.of("python", max_turns=1, turn_tokens=plan.max_tokens)
    # One plain reply has no thoughts to be well formed with.
    reward = RewardSettings(
        vision={bench.judge.name: 1.0}, vision_weight=1.0, structure_penalty=0.0
    )
    rewarder = Rewarder(bench, reward)
    return World(PictureOnly(), settings, rewarder, 4 * plan.max_tokens, concurrency=4)


# ------------------------------------------------------------------------------------ paint


def find_paints(
    png: bytes, paints: Sequence[Rgb], size: tuple[int, int] | None = None
) -> NDArray[np.intp]:
    """Which paint each pixel is nearest to; the first one is white.

    Args:
        png: Put on white where it is transparent.
        paints: RGB.
        size: Width and height to bring the picture to.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    image = Image.alpha_composite(paper, picture).convert("RGB")
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.NEAREST)
    values = np.asarray(image, dtype=np.int64)[:, :, None, :]
    return ((values - np.asarray(paints)) ** 2).sum(axis=3).argmin(axis=2)


def measure_paint(target: bytes, rendering: bytes, paints: Sequence[Rgb]) -> float:
    """Share of the painted area of either picture that has the same paint in both."""
    first = find_paints(target, paints)
    second = find_paints(rendering, paints, (first.shape[1], first.shape[0]))
    is_painted = (first > 0) | (second > 0)
    return float((first == second)[is_painted].mean()) if is_painted.any() else 1.0


# ---------------------------------------------------------------------------------- short SFT


def make_prompt(chat: ChatTokens, world: World, sample: Sample) -> Tokens:
    """The prompt as an episode would show it."""
    target = world.bench.target(sample)
    return chat.prompt(Episode(sample.id, sample.prompt, target, world.settings).messages())


def make_reply(processor: Any, text: str) -> list[int]:
    """The tokens of a reply that ends its turn."""
    tokenizer = processor.tokenizer
    return [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


def make_start(
    plan: Training,
    seed: int,
    folder: Path,
    tokens: Sequence[str],
    teach_model: Callable[[Any, Any], list[float]],
) -> None:
    """The model that all arms of a seed start from; built and taught once.

    Args:
        plan: Sizes.
        seed: Of the weights.
        folder: Of the checkpoint.
        tokens: The vocabulary beside single bytes.
        teach_model: Teaches a model with its processor; returns the losses.
    """
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
    build(folder, seed, size, tokens)
    model, processor = load_checkpoint(folder)
    losses = teach_model(model, processor)
    model.save_pretrained(folder)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = time.monotonic() - start
    write(
        folder / "taught.json",
        {"seconds": seconds, "n_parameters": n_parameters, "losses": losses},
    )


def teach(
    model: Any, processor: Any, draw_lessons: Callable[[], Sequence[Lesson]], plan: Training
) -> list[float]:
    """Teach the form of an answer, and a little of seeing; returns the losses."""
    import torch

    model.to(plan.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.sft_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.sft_rate, plan.sft_steps, pct_start=0.1
    )
    losses: list[float] = []
    model.train()
    for step in range(1, plan.sft_steps + 1):
        loss = model(**make_inputs(processor, draw_lessons(), plan.device)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 100 == 0:
            say(f"SFT step {step}: loss {np.mean(losses[-100:]):.3f}")
    return losses


def make_inputs(processor: Any, lessons: Sequence[Lesson], device: Device) -> dict[str, Any]:
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
    tensors = {
        "input_ids": ids,
        "attention_mask": (ids != pad).long(),
        "labels": torch.tensor(labels),
        "mm_token_type_ids": (ids == image).long(),
        **processor.image_processor(images=pictures, return_tensors="pt"),
    }
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def sample_replies(
    plan: Training, model: Any, processor: Any, prompts: Sequence[Tokens]
) -> list[str]:
    """A reply to each prompt, sampled as in training; the prompts have the same length."""
    import torch

    texts: list[str] = []
    model.to(plan.device)
    for start in range(0, len(prompts), plan.batch):
        lessons: list[Lesson] = [(prompt, []) for prompt in prompts[start : start + plan.batch]]
        inputs = make_inputs(processor, lessons, plan.device)
        del inputs["labels"]
        with torch.no_grad():
            ids = model.generate(
                **inputs,
                do_sample=True,
                temperature=plan.temperature,
                top_k=0,
                max_new_tokens=plan.max_tokens,
                suppress_tokens=list_unsampled_tokens(processor),
            )
        replies = ids[:, inputs["input_ids"].shape[1] :]
        texts += processor.tokenizer.batch_decode(replies, skip_special_tokens=True)
    return texts


def list_unsampled_tokens(processor: Any) -> list[int]:
    """Tokens of pictures: one that is sampled stands for no picture, and breaks the loss."""
    return list(processor.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"]))


def load_checkpoint(folder: Path) -> tuple[Any, Any]:
    """Model and processor, as training loads them."""
    import torch
    import transformers

    from training.models import load_processor
    from training.settings import RunArguments

    kind = transformers.AutoModelForImageTextToText
    processor = load_processor(RunArguments(model=str(folder)))
    return kind.from_pretrained(folder, dtype=torch.float32), processor


# --------------------------------------------------------------------------------------- GRPO


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One run of GRPO.

    Attributes:
        name: Of the run.
        seed: Of the run.
        rate: The learning rate.
        is_shuffled: The rewards of a batch go to the wrong episodes.
        samples: By id; all that is trained on or asked about.
        train_ids: What is trained on.
        folder: Of the seed; the start lies in ``start``.
    """

    name: str
    seed: int
    rate: float
    is_shuffled: bool
    samples: Mapping[str, Sample]
    train_ids: Sequence[str]
    folder: Path


Ask = Callable[[int, Any, Rollouts], None]
"""Is given the step, the trainer and the rollouts, at the start and every few steps."""


def run_arm(plan: Training, arm: Arm, world: World, ask: Ask) -> dict[str, Any]:
    """GRPO from the seed's start; what it cost and its curve."""
    import transformers

    from training.grpo import prepare, rows
    from training.watchdog import Watchdog

    class Asking(transformers.TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            ask(0, trainer, rollouts)

        def on_step_end(self, arguments: Any, state: Any, *_: Any, **__: Any) -> None:
            step, rest = divmod(state.global_step, plan.updates)
            if rest == 0 and step % plan.every == 0:
                ask(step, trainer, rollouts)

        def on_log(self, arguments: Any, state: Any, *_: Any, logs: Any, **__: Any) -> None:
            where = f"seed {arm.seed} {arm.name} step {state.global_step // plan.updates}"
            if "reward" in logs:
                say(f"{where}: {format_figures(find_curve_point(logs))}")

    model, processor = load_checkpoint(arm.folder / "start")
    out = arm.folder / arm.name
    arguments = _grpo_arguments(plan, arm, out, processor)
    prepare(arguments, processor)
    watchdog = Watchdog(out / "ranks", 0)
    rollouts = Rollouts(world, ChatTokens(processor), watchdog, arm.samples.__getitem__)
    start, cpu = time.monotonic(), time.process_time()
    trainer = _trainer_class(arm)(
        rollouts=rollouts,
        watchdog=watchdog,
        model=model,
        args=arguments,
        train_dataset=rows(list(arm.train_ids)),
        processing_class=processor,
        callbacks=[Asking()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    rollouts.close()
    watchdog.close()
    return {
        "arm": arm.name,
        "seed": arm.seed,
        "environment": {
            **{name: version(name) for name in ("torch", "transformers", "trl")},
            **world.bench.environment(),
        },
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu,
        "training": [find_curve_point(row) for row in trainer.state.log_history if "reward" in row],
    }


def _grpo_arguments(plan: Training, arm: Arm, out: Path, processor: Any) -> Any:
    """All arms alike, but for the rate."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=plan.batch // plan.updates,
        steps_per_generation=plan.updates,
        num_generations=plan.group,
        max_completion_length=plan.max_tokens,
        max_steps=plan.steps * plan.updates,
        learning_rate=arm.rate,
        scale_rewards=plan.scale,
        beta=plan.beta,
        lr_scheduler_type=plan.schedule,
        warmup_steps=plan.warmup * plan.updates,
        weight_decay=0.0,
        temperature=plan.temperature,
        generation_kwargs={"suppress_tokens": list_unsampled_tokens(processor)},
        seed=arm.seed,
        use_cpu=plan.device == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=plan.updates,
        report_to=[],
        disable_tqdm=True,
    )


def _trainer_class(arm: Arm) -> type:
    """The trainer itself, or one that hands the rewards of a batch to the wrong episodes."""
    from training.trainer import RrvfTrainer

    class Shuffled(RrvfTrainer):
        def episode_reward(self, *arguments: Any, **columns: Any) -> list[float | None]:
            rewards = super().episode_reward(*arguments, **columns)
            return shuffled(rewards, f"{arm.seed}:{self.state.global_step}")

    return Shuffled if arm.is_shuffled else RrvfTrainer


def shuffled(rewards: Sequence[float | None], seed: str) -> list[float | None]:
    """The same rewards in another order, the same for the same seed."""
    return random.Random(seed).sample(list(rewards), len(rewards))


def play(
    trainer: Any, rollouts: Rollouts, ids: Sequence[str], batch: int, *, greedy: bool = True
) -> list[Rewarded]:
    """An answer to every chart, the likeliest one or one that is sampled as in training.

    Raises:
        RuntimeError: One could not be measured, through no fault of the model.
    """
    trainer.model.train(not greedy)
    episodes: list[Rewarded] = []
    for start in range(0, len(ids), batch):
        part = list(ids[start : start + batch])
        episodes += rollouts.play(part, trainer)["rewarded"] or ()
    trainer.model.train()
    for episode in episodes:
        if episode.outcome.result.status == "harness_error":
            raise RuntimeError(episode.outcome.result.error)
    return episodes


def find_curve_point(figures: Mapping[str, float]) -> dict[str, float]:
    """Of what the trainer logs at a step, what is drawn; rewards of training are sampled."""
    return {name: figures[name] for name in CURVE if name in figures}


# ---------------------------------------------------------------------------------- statistics


@dataclass(frozen=True, slots=True)
class Lift:
    """A mean of paired differences.

    Attributes:
        n: Pairs.
        mean: Of the differences.
        low, high: 95 % interval, percentile bootstrap over the pairs.
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
    values: Mapping[str, float], reference_values: Mapping[str, float], n_draws: int = 10_000
) -> Lift | None:
    """How much larger one set of values is than another; ``None`` without two common charts.

    Args:
        values: Chart -> value.
        reference_values: What they are compared with, likewise.
        n_draws: Resamples of charts.
    """
    common = sorted(values.keys() & reference_values.keys())
    if len(common) < 2:
        return None
    differences = np.array([values[name] - reference_values[name] for name in common])
    draws = np.random.default_rng(0).integers(0, len(common), (n_draws, len(common)))
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return Lift(len(common), float(differences.mean()), float(low), float(high))


# ------------------------------------------------------------------------------------ command


def read_options(
    description: str,
    seeds: Sequence[int],
    arms: Sequence[str],
    larger: Mapping[str, Any] | None = None,
) -> argparse.Namespace:
    """The command line of a learning benchmark: ``out``, ``seeds``, ``arms``, ``plan``.

    Args:
        description: Of ``--help``.
        seeds: By default.
        arms: All there are.
        larger: What ``--large`` changes of the plan, if there is such a flag.

    Raises:
        SystemExit: The command is wrong, or the device is not here.
    """
    import torch

    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--arms", nargs="+", choices=arms, default=list(arms))
    parser.add_argument("--plan", type=json.loads, default={}, help="changes, as JSON; for pilots")
    if larger is not None:
        parser.add_argument("--large", action="store_true", help="ten times the size, on one GPU")
    options = parser.parse_args()
    if larger is not None and options.large:
        options.plan = {**larger, **options.plan}
    if options.plan.get("device") == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--large needs a GPU that torch can use; there is none here")
    return options


def run_missing(
    options: argparse.Namespace,
    prepare_start: Callable[[int, Path], None],
    train_arm: Callable[[Any, int, Path], object],
) -> None:
    """Every (seed, arm) that has no file yet.

    Args:
        options: Of :func:`read_options`.
        prepare_start: Makes the start of a seed in a folder.
        train_arm: Runs an arm of a seed in the seed's folder; its result is written as JSON.
    """
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of TRL's use of transformers
    for seed in options.seeds:
        folder = options.out / f"seed-{seed}"
        prepare_start(seed, folder / "start")
        for arm in options.arms:
            if not (folder / f"{arm}.json").is_file():
                write(folder / f"{arm}.json", train_arm(arm, seed, folder))


# -------------------------------------------------------------------------------------- files


def format_figures(figures: Mapping[str, float | None]) -> str:
    """Figures in one line."""
    return " ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)


def say(line: str) -> None:
    """Progress; the result goes to standard output."""
    print(line, file=sys.stderr, flush=True)


def write(path: Path, value: object) -> None:
    """All of it or nothing, so that half a run never counts as one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value) + "\n")
    partial.replace(path)


def require_plan(out: Path, plan: Training) -> None:
    """A folder holds runs of one plan.

    Raises:
        SystemExit: It holds runs of another.
    """
    path = out / "plan.json"
    if not path.is_file():
        write(path, asdict(plan))
    elif json.loads(path.read_text()) != asdict(plan):
        raise SystemExit(f"{out} holds runs of another plan; name another folder")
