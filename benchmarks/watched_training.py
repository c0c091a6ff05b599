"""Runs of training for ``train_one_gpu.py``: short, by a script, with somebody who takes notes."""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.made_up import Size, has_card, make_model, make_picture, make_world, say
from training.chat_tokens import ChatTokens, Tokens
from training.generation import Generated, generate
from training.memory import GIB
from training.rollouts import Rollouts
from training.settings import GrpoArguments

RANK = 64
"""Of LoRA."""

Found = dict[str, Any]


# --------------------------------------------------------------------------------- the card


def gib(what: str) -> float:
    """GiB of the card, by the name of one of ``torch.cuda``'s functions; 0 without a card."""
    if not has_card():
        return 0.0
    return round(getattr(importlib.import_module("torch").cuda, what)() / GIB, 2)


def now() -> float:
    """Seconds, once the card has done what it was told."""
    if has_card():
        importlib.import_module("torch").cuda.synchronize()
    return time.monotonic()


def clear_card() -> None:
    """Give back what nobody holds any more, and count peaks anew."""
    gc.collect()
    if has_card():
        cuda = importlib.import_module("torch").cuda
        cuda.empty_cache()
        cuda.reset_peak_memory_stats()


# --------------------------------------------------------------------------------- one run


@dataclass
class Watched:
    """What is seen of a run of training.

    Attributes:
        turns: Of each episode.
        trainer: Once it is built.
        tokens, pictures: Of each conversation at its end.
        prompt_tokens: Of the longest prompt.
        steps: Numbers of the steps that this run itself took.
        began, kept_gib: When the last rollouts were over, and what the card held then.
        weights: Sum of the adapters' absolute values at the start and after each step.
        update: What the last update took.
    """

    turns: int
    trainer: Any = None
    tokens: list[int] = field(default_factory=list[int])
    pictures: list[int] = field(default_factory=list[int])
    prompt_tokens: int = 0
    steps: list[int] = field(default_factory=list[int])
    began: float = 0.0
    kept_gib: float = 0.0
    weights: list[float] = field(default_factory=list[float])
    update: Found = field(default_factory=Found)

    def weigh(self) -> float:
        """The adapters as one number."""
        parameters = self.trainer.model.parameters()
        return sum(float(p.detach().double().abs().sum()) for p in parameters if p.requires_grad)


def make_rollouts(size: Size, watched: Watched, *parts: Any, **options: Any) -> Rollouts:
    """Rollouts that read with the model and speak by the script."""

    def speak(
        trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
    ) -> list[Generated]:
        trainer.generation_config.max_new_tokens = size.read_tokens
        generate(trainer, chat, prompts, stop)
        replies: list[Generated] = []
        for number, prompt in enumerate(prompts):
            text = say(number, len(prompt.pictures), watched.turns, size.code_lines)
            ids = chat.tokenizer(text, add_special_tokens=False)["input_ids"]
            replies.append(Generated(list(ids), ended=False, cut=False))
        return replies

    class WatchedRollouts(Rollouts):
        def play(self, ids: Sequence[str], trainer: Any) -> dict[str, list[Any] | None]:
            played = super().play(ids, trainer)
            prompts, replies = played["prompt_ids"] or [], played["completion_ids"] or []
            watched.tokens = [len(a) + len(b) for a, b in zip(prompts, replies, strict=True)]
            watched.prompt_tokens = max(map(len, prompts))
            watched.pictures = [len(pictures) for pictures in played["pictures"] or []]
            watched.began, watched.kept_gib = now(), gib("memory_allocated")
            return played

    return WatchedRollouts(*parts, generate=speak, **options)


def make_trainer(trainer_class: Any, watched: Watched, **settings: Any) -> Any:
    """The project's trainer, with somebody who notes what an update took."""
    hub: Any = importlib.import_module("transformers")

    class Notes(hub.TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **extras: Any) -> None:
            watched.weights = [watched.weigh()]

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **extras: Any) -> None:
            # Peaks are counted from the end of the last phase of the rollouts.
            watched.update = {"backward_peak_gib": gib("max_memory_allocated")}

        def on_step_end(self, args: Any, state: Any, control: Any, **extras: Any) -> None:
            watched.update |= {
                "seconds": round(now() - watched.began, 2),
                "peak_gib": gib("max_memory_allocated"),
                "reserved_peak_gib": gib("max_memory_reserved"),
                "kept_before_gib": watched.kept_gib,
                "kept_after_gib": gib("memory_allocated"),
            }
            watched.steps.append(int(state.global_step))
            watched.weights.append(watched.weigh())

    watched.trainer = trainer_class(**settings)
    watched.trainer.add_callback(Notes())
    return watched.trainer


def make_arguments(size: Size, out: Path, steps: int, *, save: bool) -> Any:
    """TRL's settings for a few steps."""
    trl: Any = importlib.import_module("trl")
    return trl.GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=size.conversations,
        num_generations=size.conversations,
        max_completion_length=3072,
        max_steps=steps,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        bf16=has_card(),
        use_cpu=not has_card(),
        gradient_checkpointing=True,
        logging_steps=1,
        save_strategy="steps" if save else "no",
        save_steps=1,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


@dataclass
class Session:
    """What the parts share.

    Attributes:
        size: Of everything.
        folder: For pictures and checkpoints.
        processor: The model's.
        first: The run of one turn, whose trainer generation is measured with.
    """

    size: Size
    folder: Path
    processor: Any = None
    first: Watched | None = None

    def pictures(self) -> list[bytes]:
        """Targets and drawings."""
        return [make_picture(seed, self.size.side, self.size.side) for seed in range(12)]

    def train(self, name: str, turns: int, steps: int, *, save: bool = False) -> Watched:
        """One run by the project's own command, less its reading of settings."""
        from training.data import load
        from training.grpo import train_in
        from training.trainer import RrvfTrainer

        watched, pictures, data = Watched(turns), self.pictures(), self.folder / "pictures"
        data.mkdir(exist_ok=True)
        for number, png in enumerate(pictures[:4]):
            (data / f"{number}.png").write_bytes(png)
        arguments = make_arguments(self.size, self.folder / name, steps, save=save)
        run = GrpoArguments(model="random", lora_rank=RANK, lora_alpha=128, rollouts_every=1000)

        def load_processor(run: GrpoArguments) -> Any:
            return self.processor

        def load_model(run: GrpoArguments, arguments: Any) -> Any:
            return make_model(self.size, self.processor)

        made: Mapping[str, Any] = {
            "training.models.load_processor": load_processor,
            "training.models.load_model": load_model,
            "training.rollouts.Rollouts": partial(make_rollouts, self.size, watched),
            "training.trainer.RrvfTrainer": partial(make_trainer, RrvfTrainer, watched),
        }
        clear_card()
        with patch_all(made):
            train_in(make_world(pictures), load(f"images:{data}?kind=charts"), None, run, arguments)
        return watched


@contextmanager
def patch_all(made: Mapping[str, Any]) -> Generator[None]:
    """Put these in the places of what stands under their names."""
    modules = {name: importlib.import_module(name.rpartition(".")[0]) for name in made}
    patches = [
        mock.patch.object(modules[name], name.rpartition(".")[2], value)
        for name, value in made.items()
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
