"""GRPO with the benchmark's own scores as the reward.

``python -m training.grpo --config FILE``, alone or under ``accelerate launch``, ``torchrun`` or
``deepspeed``. The keys of the file, which are also flags, are those of :mod:`training.settings` and
``trl.GRPOConfig``.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from rrvf.errors import HarnessError, UserError
from rrvf.types import Sample
from training.command import read_arguments, run_as_command, tell_ranks
from training.data import TrainingData, load, separate, split
from training.records import describe_environment
from training.settings import DataArguments, GrpoArguments, RewardArguments, WorldArguments

if TYPE_CHECKING:
    from training.rollouts import World

logger = logging.getLogger(__name__)

CARD = "run_card.json"
_FRESH_SINCE = "fresh_since"
DEFAULTS: Mapping[str, Any] = {
    # One greedy answer for each held-out sample, where TRL would give as many as in training.
    "num_generations_eval": 1,
    # TRL's is the ratio of the whole sequence, above 3 masked: over thousands of tokens the product
    # of ratios near 1 is far from it, and whole episodes would teach nothing.
    "vllm_importance_sampling_mode": "token_truncate",
    "vllm_importance_sampling_clip_max": 2.0,
}
"""In place of TRL's own."""

_SPARE_SECONDS = 300.0
"""That a rank may take beside its waiting, while others wait: last questions, next prompts."""

_Card = Mapping[str, Any]


def train(
    data: DataArguments,
    world_settings: WorldArguments,
    reward: RewardArguments,
    run: GrpoArguments,
    arguments: Any,
) -> None:
    """One run from its settings to its last checkpoint.

    Args:
        data: What is trained on.
        world_settings: What episodes are played with.
        reward: What they earn.
        run: The model, how batches are played, and what ends the run.
        arguments: A ``trl.GRPOConfig``.

    Raises:
        UserError: The settings cannot be used, or nothing can be measured any more.
    """
    from training.checkpoints import find_checkpoint
    from training.worlds import open_world

    tell_ranks()
    check_vllm(arguments)
    samples, held_out, card = open_data(data)
    start = _find_start(Path(arguments.output_dir), run.resume) if world_settings.fresh else 0.0
    record = {"world": asdict(world_settings), "run": asdict(run), "reward": asdict(reward)}
    with open_world(
        samples.benchmark,
        world_settings,
        reward,
        turn_tokens=arguments.max_completion_length,
        with_reference=data.setting == "with_reference",
        since=start,
        assets=samples.find_assets(),
    ) as world:
        if run.resume and find_checkpoint(Path(arguments.output_dir)) is not None:
            check_judge(Path(arguments.output_dir), world)
        if arguments.process_index == 0:
            record |= {"data": card, _FRESH_SINCE: start}
            write_card(Path(arguments.output_dir), record, world, arguments)
        train_in(world, samples, held_out, run, arguments)


def train_in(
    world: World,
    samples: TrainingData,
    held_out: TrainingData | None,
    run: GrpoArguments,
    arguments: Any,
) -> None:
    """Train in an open world; resume from the last complete checkpoint.

    Raises:
        UserError: As :func:`train`.
    """
    from training.chat_tokens import ChatTokens
    from training.checkpoints import MarkWhole, find_checkpoint
    from training.generation import SamplingLimits
    from training.models import load_model, load_processor, lora
    from training.records import RolloutLog, push_folder
    from training.rollouts import Rollouts, Sampling
    from training.trainer import RrvfTrainer
    from training.watchdog import Watchdog, find_memory_meter

    out, rank = Path(arguments.output_dir), arguments.process_index
    check_groups(run, arguments)
    check_turns(run, world)
    check_patience(world, arguments)
    processor = load_processor(run)
    prepare(arguments, processor)
    find = finder([part.with_canvas(world.bench) for part in (samples, held_out) if part])
    with ExitStack() as stack:
        watchdog = Watchdog(out / "ranks", rank, run.patience, find_memory_meter())
        stack.callback(watchdog.close)
        sampling = Sampling(run.parts, run.redraws, samples.ids, run.shared_first_turn)
        rollouts = Rollouts(world, ChatTokens(processor), watchdog, find, sampling=sampling)
        stack.callback(rollouts.close)
        check_context(arguments, rollouts.longest_episode())
        model = load_model(run, arguments)
        trainer: Any = RrvfTrainer(
            rollouts=rollouts,
            watchdog=watchdog,
            max_lost_batches=run.max_lost_batches,
            sampling_limits=SamplingLimits(
                run.max_sampling_difference, run.min_sampling_ratio, run.max_sampling_ratio
            ),
            conversations_at_once=run.conversations_at_once,
            on_rollouts=RolloutLog(out, run.rollouts_every, rank),
            model=model,
            args=arguments,
            train_dataset=rows(samples.ids),
            eval_dataset=rows(held_out.ids) if held_out else None,
            processing_class=processor,
            peft_config=lora(run, model),
            callbacks=[MarkWhole()],
        )
        checkpoint = find_checkpoint(out) if run.resume else None
        if checkpoint is not None:
            logger.info("going on from %s", checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        trainer.save_state()  # of the last steps, too, which no checkpoint may hold
        trainer.save_model(str(out / "final"))
        if rank == 0:
            processor.save_pretrained(out / "final")
            if run.push_final_to:
                push_folder(out / "final", run.push_final_to)


def open_data(options: DataArguments) -> tuple[TrainingData, TrainingData | None, dict[str, Any]]:
    """What is trained on, what is held out, and what the run's card says of both.

    Raises:
        UserError: It cannot be used.
    """
    if not options.data:
        raise UserError("no data: name a source, as in data: synthetic:charts?level=1-3&n=1000")
    data = load(options.data, setting=options.setting, allow_test_items=options.allow_test_items)
    if options.held_out_data is not None:
        # Measuring on test items is what they are for.
        held_out = load(options.held_out_data, setting=options.setting, allow_test_items=True)
        if held_out.benchmark != data.benchmark:
            raise UserError(f"{options.held_out_data} is not data of {data.benchmark}")
        parts = separate(data, held_out)
        return parts.train, parts.held_out, parts.card()
    if options.held_out == 0:
        return data, None, {"train": data.card()}
    parts = split(data, held_out=options.held_out, seed=options.split_seed)
    return parts.train, parts.held_out, parts.card()


def finder(parts: Sequence[TrainingData]) -> Callable[[str], Sample]:
    """Id -> sample, of any of these parts."""

    def find(sample_id: str) -> Sample:
        for part in parts:
            sample = part.find(sample_id)
            if sample is not None:
                return sample
        raise HarnessError(f"no sample {sample_id}")

    return find


def prepare(arguments: Any, processor: Any) -> None:
    """What TRL must be told so that episodes are its completions.

    Args:
        arguments: A ``trl.GRPOConfig``, changed in place.
        processor: Of the model.

    Raises:
        UserError: A setting that would break them.
    """
    from rrvf.agent import STOP
    from training.generation import sampling

    if arguments.deepspeed and arguments.use_cpu:
        raise UserError("use_cpu switches DeepSpeed off; without a GPU it needs no such setting")
    if arguments.use_transformers_continuous_batching:
        raise UserError("use_transformers_continuous_batching does not take pictures; leave it out")
    if arguments.mask_truncated_completions:
        raise UserError(
            "mask_truncated_completions takes every answer for cut off, since turns end at a tag; "
            "leave it out"
        )
    _check_saving(arguments)
    arguments.remove_unused_columns = False
    # TRL would write every picture of a batch to every rank's log.
    arguments.log_multimodal = False
    banned_tokens = processor.tokenizer.convert_tokens_to_ids(
        [processor.image_token, processor.video_token]
    )
    settings = sampling(vllm=arguments.use_vllm, stop=STOP, banned_tokens=banned_tokens)
    arguments.generation_kwargs = {**settings, **(arguments.generation_kwargs or {})}
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


def _check_saving(arguments: Any) -> None:
    """A run must be able to go on exactly where a checkpoint was written.

    Raises:
        UserError: It cannot.
    """
    if arguments.save_strategy == "no":
        return
    if arguments.save_total_limit == 1:
        raise UserError("save_total_limit: 1 may leave no whole checkpoint after a kill; give 2")
    # TRL generates in steps of its own, whose count and rollouts no checkpoint holds.
    cycle = arguments.steps_per_generation * arguments.num_iterations
    micro_steps = arguments.save_steps * arguments.gradient_accumulation_steps
    if arguments.save_steps >= 1 and micro_steps % cycle:
        raise UserError(
            f"save_steps ({arguments.save_steps:g}) must be a multiple of "
            f"{cycle / arguments.gradient_accumulation_steps:g}, the steps between generations, "
            "for a run to go on exactly"
        )


def check_vllm(arguments: Any) -> None:
    """Say that vLLM is missing before a model is loaded.

    Raises:
        UserError: It was asked for and is not installed.
    """
    if arguments.use_vllm and importlib.util.find_spec("vllm") is None:
        raise UserError(
            "use_vllm needs vLLM: pip install 'rrvf[chart,judge,train-vllm]' in an environment of "
            "its own, or set use_vllm: false"
        )


def check_groups(run: GrpoArguments, arguments: Any) -> None:
    """What looks at whole groups needs each on one rank.

    Raises:
        UserError: A group would be shared by ranks, or a setting is out of its range.
    """
    if run.parts < 1 or run.conversations_at_once < 1 or run.redraws < 0:
        raise UserError(
            "parts and conversations_at_once must be at least 1, and redraws at least 0"
        )
    n_own = arguments.per_device_train_batch_size * arguments.steps_per_generation
    looks = [name for name in ("redraws", "shared_first_turn") if getattr(run, name)]
    if looks and n_own % arguments.num_generations:
        raise UserError(
            f"{looks[0]} needs whole groups on a rank: per_device_train_batch_size x "
            f"steps_per_generation ({n_own}) must be a multiple of num_generations "
            f"({arguments.num_generations})"
        )


def check_turns(run: GrpoArguments, world: World) -> None:
    """A shared first turn is not learnt from, so that another one must follow.

    Raises:
        UserError: None can.
    """
    if run.shared_first_turn and world.settings.max_turns == 1:
        raise UserError(
            "shared_first_turn learns from the turns after the first, and max_turns: 1 allows "
            "none; give max_turns of 2 or more, or leave shared_first_turn out"
        )


def check_patience(world: World, arguments: Any) -> None:
    """Ranks must outlast one that waits for its servers, each in turn.

    Args:
        world: Its servers are waited for.
        arguments: A ``trl.GRPOConfig``.

    Raises:
        UserError: They would give up first.
    """
    n_servers, limit = len(world.servers), arguments.ddp_timeout
    longest_wait = n_servers * world.server_patience + _SPARE_SECONDS
    if arguments.world_size == 1 or n_servers == 0 or longest_wait <= limit:
        return
    raise UserError(
        f"server_patience ({world.server_patience:g} s for each of {n_servers} servers) is too "
        f"long: the other ranks wait for {limit:g} s in all (ddp_timeout); give ddp_timeout of "
        f"{math.ceil(longest_wait)} or more, or a shorter server_patience"
    )


def check_context(arguments: Any, n_tokens: int) -> None:
    """VLLM beside the trainer must hold a whole episode.

    Args:
        arguments: A ``trl.GRPOConfig``.
        n_tokens: Of the longest episode, its prompt included.

    Raises:
        UserError: It does not.
    """
    length = arguments.vllm_max_model_length
    if not arguments.use_vllm or arguments.vllm_mode != "colocate" or length is None:
        return
    if length < n_tokens:
        raise UserError(
            f"vllm_max_model_length ({length}) is too short: an episode takes up to {n_tokens} "
            "tokens, a prompt with a picture of max_pixels and max_rollout_tokens; give as many, "
            "or lower max_pixels or max_rollout_tokens"
        )


def rows(ids: Sequence[str]) -> Any:
    """A data set of TRL's that names samples; their pictures and code stay out of it."""
    datasets: Any = importlib.import_module("datasets")
    return datasets.Dataset.from_list(
        [{"prompt": [{"role": "user", "content": name}], "sample_id": name} for name in ids]
    )


def write_card(out: Path, record: Mapping[str, Any], world: World, arguments: Any) -> None:
    """The record of what this run is: settings, data, what scores and who judges."""
    out.mkdir(parents=True, exist_ok=True)
    bench = world.bench
    card = {
        **record,
        "trl": json.loads(arguments.to_json_string()),
        "loop": dict(world.settings.protocol()),
        "teacher": dict(world.teacher.protocol()),
        "rewards": world.rewarder.settings.protocol(),
        "scoring": bench.protocol(),
        "environment": bench.environment(),
        "training_environment": describe_environment(),
    }
    text = json.dumps(_strip_secrets(card), indent=2, default=str)
    (out / CARD).write_text(text + "\n", encoding="utf-8")


def _find_start(out: Path, resume: bool) -> float:
    """When the run began that asks anew: Unix time, as its card tells it; else now."""
    try:
        start = json.loads((out / CARD).read_bytes())[_FRESH_SINCE] if resume else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        start = None
    return start if isinstance(start, float) and start > 0 else time.time()


def check_judge(out: Path, world: World) -> None:
    """Refuse to resume a run that was rewarded by another judge.

    Raises:
        UserError: Its card names another one; says which.
    """
    try:
        card = json.loads((out / "run_card.json").read_text(encoding="utf-8"))
        old_judge = card["scoring"]["judge"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    new_judge = world.bench.protocol()["judge"]
    names = [judge and judge.get("judge", judge["name"]) for judge in (old_judge, new_judge)]
    if names[0] != names[1]:
        raise UserError(
            f"{out}: was trained with the judge {names[0]}, and would resume with {names[1]}; name "
            "another output_dir"
        )


def _strip_secrets(value: Any) -> Any:
    """The same without user, password and query of addresses."""
    if isinstance(value, Mapping):
        return {name: _strip_secrets(part) for name, part in cast("_Card", value).items()}
    if isinstance(value, list):
        return [_strip_secrets(part) for part in cast("list[Any]", value)]
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return value


def main() -> None:
    """The command."""
    trl: Any = importlib.import_module("trl")
    classes = (DataArguments, WorldArguments, RewardArguments, GrpoArguments, trl.GRPOConfig)
    data, world, reward, run, arguments = read_arguments(classes, **DEFAULTS)
    train(data, world, reward, run, arguments)


if __name__ == "__main__":
    run_as_command(main)
