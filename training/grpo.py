"""GRPO with the benchmark's own scores as the reward.

``python -m training.grpo --config FILE``, alone or under ``accelerate launch``, ``torchrun`` or
``deepspeed``. Keys of the file, and flags by the same names: :mod:`training.settings` and those of
``trl.GRPOConfig``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rrvf.errors import UserError
from rrvf.types import Sample
from training.command import run_as_command
from training.settings import DataArguments, RewardArguments, RunArguments, WorldArguments

logger = logging.getLogger(__name__)


def train(
    data: DataArguments,
    world_told: WorldArguments,
    reward: RewardArguments,
    run: RunArguments,
    arguments: Any,
) -> None:
    """One run from its settings to its last checkpoint.

    Args:
        data: What is trained on.
        world_told: What episodes are played with.
        reward: What they earn.
        run: The model, and how the run is watched.
        arguments: A ``trl.GRPOConfig``.

    Raises:
        UserError: The settings cannot be used, or nothing can be measured any more.
    """
    from training.chat_tokens import ChatTokens
    from training.checkpoints import MarkWhole, last_whole
    from training.models import load_model, load_processor, lora
    from training.records import RolloutLog
    from training.rollouts import Rollouts
    from training.samples import training_samples
    from training.trainer import RrvfTrainer
    from training.watchdog import Watchdog
    from training.worlds import open_world

    samples, held_out, card = training_samples(data)
    out = Path(arguments.output_dir)
    with ExitStack() as stack:
        processor = load_processor(run)
        prepare(arguments, processor)
        turn_tokens = arguments.max_completion_length
        world = stack.enter_context(open_world(data, world_told, reward, turn_tokens))
        watchdog = Watchdog(out / "ranks", arguments.process_index, run.patience)
        stack.callback(watchdog.close)
        rollouts = Rollouts(world, ChatTokens(processor), watchdog)
        stack.callback(rollouts.close)
        model = load_model(run, arguments)
        trainer = RrvfTrainer(
            samples={sample.id: sample for sample in (*samples, *held_out)},
            rollouts=rollouts,
            watchdog=watchdog,
            max_lost_batches=run.max_lost_batches,
            on_rollouts=RolloutLog(out, run.rollouts_every, arguments.process_index),
            model=model,
            args=arguments,
            train_dataset=rows(samples),
            eval_dataset=rows(held_out) if held_out else None,
            processing_class=processor,
            peft_config=lora(run, model),
            callbacks=[MarkWhole()],
        )
        if arguments.process_index == 0:
            told = {"data": asdict(data), "world": asdict(world_told), "run": asdict(run)}
            write_card(out, {**told, "reward": asdict(reward), "card": card}, world, arguments)
        checkpoint = last_whole(out) if run.resume else None
        if checkpoint is not None:
            logger.info("going on from %s", checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        trainer.save_model(str(out / "final"))
        if arguments.process_index == 0:
            processor.save_pretrained(out / "final")


def prepare(arguments: Any, processor: Any) -> None:
    """What TRL must be told so that episodes are its completions.

    Args:
        arguments: A ``trl.GRPOConfig``, changed in place.
        processor: Of the model.

    Raises:
        UserError: A setting that would break them.
    """
    from rrvf.agent import STOP
    from training.generation import stop_arguments

    if arguments.use_transformers_continuous_batching:
        raise UserError("use_transformers_continuous_batching does not take pictures; leave it out")
    if arguments.num_generations_eval is None:
        arguments.num_generations_eval = 1
    arguments.remove_unused_columns = False
    # TRL would write every picture of a batch to every rank's log.
    arguments.log_multimodal = False
    image_token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    stop = stop_arguments(vllm=arguments.use_vllm, stop=STOP, image_token=image_token)
    arguments.generation_kwargs = {**stop, **(arguments.generation_kwargs or {})}
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


def rows(samples: Sequence[Sample]) -> Any:
    """A data set of TRL's that names samples; their pictures and code stay out of it."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": sample.id}], "sample_id": sample.id}
            for sample in samples
        ]
    )


def write_card(out: Path, told: Mapping[str, Any], world: Any, arguments: Any) -> None:
    """The record of what this run is: settings, data, what scores and who judges."""
    out.mkdir(parents=True, exist_ok=True)
    scoring = world.rewarder.scoring
    card = {
        **told,
        "trl": json.loads(arguments.to_json_string()),
        "loop": dict(world.settings.protocol()),
        "teacher": dict(world.teacher.protocol()),
        "rewards": world.rewarder.settings.protocol(),
        "scoring": scoring.protocol(),
        "environment": scoring.environment(),
    }
    (out / "run_card.json").write_text(json.dumps(card, indent=2, default=str) + "\n")


def main() -> None:
    """The command."""
    from trl import GRPOConfig, TrlParser

    parser = TrlParser((DataArguments, WorldArguments, RewardArguments, RunArguments, GRPOConfig))
    data, world, reward, run, arguments = parser.parse_args_and_config()
    train(data, world, reward, run, arguments)


if __name__ == "__main__":
    run_as_command(main)
