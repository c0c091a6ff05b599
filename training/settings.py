"""The settings of a training run besides TRL's own arguments; each is a key of the YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rrvf.options import (
    JudgeOptions,
    LoopOptions,
    RewardOptions,
    RunOptions,
    Unanswered,
    find_flags,
)
from rrvf.types import Mode


def option(help_text: str, default: Any) -> Any:
    """A field with its default and its text in ``--help``."""
    return field(default=default, metadata={"help": help_text})


def as_in_evaluation(options: type, name: str) -> Any:
    """An option of evaluation, with its default and its help."""
    help_text = find_flags(options)[name].help
    return field(default=getattr(options, name), metadata={"help": help_text})


@dataclass
class DataArguments:
    """The training data; sources are named as in :mod:`training.data`."""

    data: str = option("Source, as in synthetic:charts?level=1-3&n=1000 or images:FOLDER.", "")
    setting: Literal["images_only", "with_reference"] = option(
        "Only pictures, as in the paper, or also the code for scorers that need it.",
        "images_only",
    )
    held_out: int = option("Samples set aside for evaluation.", 0)
    held_out_data: str | None = option("Another source of samples for evaluation.", None)
    split_seed: int = option("Seed for the choice of held-out samples.", 0)
    allow_test_items: bool = option("Allow training on a benchmark's test items.", False)


@dataclass
class WorldArguments:
    """Renderers, teacher, judge and the rules of an episode."""

    mode: Mode | None = as_in_evaluation(RunOptions, "mode")
    max_turns: int = as_in_evaluation(LoopOptions, "max_turns")
    max_calls: int = option("Tool calls per turn that are run.", 4)
    max_rollout_tokens: int = option(
        "Tokens of an episode after its prompt, with observations.", 8192
    )
    attach_rendering: bool = as_in_evaluation(LoopOptions, "attach_rendering")
    unanswered: Unanswered = as_in_evaluation(LoopOptions, "unanswered")
    tell_last_call: bool = as_in_evaluation(LoopOptions, "tell_last_call")
    max_pixels: int = as_in_evaluation(LoopOptions, "max_pixels")
    teacher: str | None = as_in_evaluation(LoopOptions, "teacher")
    teacher_base_url: str | None = as_in_evaluation(LoopOptions, "teacher_base_url")
    teacher_name: str | None = as_in_evaluation(LoopOptions, "teacher_name")
    judge: str | None = as_in_evaluation(JudgeOptions, "model")
    judge_base_url: str | None = as_in_evaluation(JudgeOptions, "base_url")
    judge_name: str | None = as_in_evaluation(JudgeOptions, "name")
    server_patience: float = option(
        "Seconds to wait, between batches, for a judge or teacher that stopped answering.", 300.0
    )
    fresh: bool = option("Ask judge and teacher anew, ignoring cached answers.", False)
    judge_rubric: str | None = as_in_evaluation(JudgeOptions, "rubric")
    key_variable: str = as_in_evaluation(JudgeOptions, "key_variable")
    clip: bool = option("Measure CLIP similarity, even if reward_vision does not use it.", False)
    clip_weights: str | None = as_in_evaluation(RunOptions, "clip_weights")
    concurrency: int = option("Renderings, comments and judgements at a time.", 64)
    workers: int = option("Renderings at a time, on each rank.", RunOptions.workers)
    timeout: int | None = as_in_evaluation(RunOptions, "timeout")
    chart_python: str | None = as_in_evaluation(RunOptions, "chart_python")
    browser: str | None = as_in_evaluation(RunOptions, "browser")
    confinement: str | None = option("Level of confinement.", None)


@dataclass
class RewardArguments:
    """How scores become a reward; see ``rrvf.rewards``."""

    reward_vision: str = as_in_evaluation(RewardOptions, "reward_vision")
    reward_terms: str = as_in_evaluation(RewardOptions, "reward_terms")
    vision_weight: float = as_in_evaluation(RewardOptions, "vision_weight")
    format_weight: float = as_in_evaluation(RewardOptions, "format_weight")
    tool_weight: float = as_in_evaluation(RewardOptions, "tool_weight")
    structure_penalty: float = as_in_evaluation(RewardOptions, "structure_penalty")
    running_penalty: float = as_in_evaluation(RewardOptions, "running_penalty")
    tool_gate: float | None = as_in_evaluation(RewardOptions, "tool_gate")
    tool_cap: int = as_in_evaluation(RewardOptions, "tool_cap")
    progress_weight: float = as_in_evaluation(RewardOptions, "progress_weight")
    tool_must_gain: bool = as_in_evaluation(RewardOptions, "tool_must_gain")


@dataclass
class RunArguments:
    """The model, and the start and end of a run; for supervised training and GRPO."""

    model: str = option("Folder or name of a vision-language checkpoint.", "")
    attention: str | None = option(
        "Implementation of attention in transformers: sdpa, flash_attention_2.", None
    )
    freeze_vision: bool = option("Do not train the vision tower.", False)
    own_template: bool = option("Keep the checkpoint's chat template.", False)
    lora_rank: int = option("LoRA of this rank; 0 trains all weights.", 0)
    lora_alpha: int = option("LoRA's alpha.", 32)
    push_final_to: str | None = option("Repository on the hub for the result.", None)
    resume: bool = option("Resume from the last complete checkpoint, if there is one.", True)


@dataclass
class GrpoArguments(RunArguments):
    """More settings for GRPO: how a batch is played, and what ends the run."""

    conversations_at_once: int = option(
        "Conversations per generation on a rank without vLLM, which decides itself.", 32
    )
    parts: int = option("Parts of a batch; one generates while the others render.", 1)
    redraws: int = option("Times that groups with equal rewards are replaced, as in DAPO.", 0)
    shared_first_turn: bool = option(
        "Episodes of a group share their first turn, and learn to correct it.", False
    )
    rollouts_every: int = option("Steps between batches whose episodes are kept for reading.", 20)
    patience: float = option("Seconds without progress before every rank's state is logged.", 600.0)
    max_lost_batches: int = option(
        "Batches in a row without any reward on a rank that end the run.", 3
    )
    max_sampling_difference: float = option(
        "Mean difference of log probabilities between vLLM and the trainer that ends the run.", 0.3
    )
    min_sampling_ratio: float = option("Mean importance ratio below which the run ends.", 0.5)
    max_sampling_ratio: float = option("Mean importance ratio above which the run ends.", 1.5)
