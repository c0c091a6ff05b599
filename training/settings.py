"""What a training run can be told beside TRL's own arguments; each is a key of the YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


def _option(help_text: str, default: Any) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass
class DataArguments:
    """What is trained on; sources are named as in :mod:`training.data`."""

    data: str = _option("As in synthetic:charts?level=1-3&n=1000 or images:FOLDER.", "")
    setting: Literal["images_only", "with_reference"] = _option(
        "Only pictures, as in the paper, or references' code for scorers that need it.",
        "images_only",
    )
    held_out: int = _option("Samples set aside for evaluation.", 0)
    held_out_data: str | None = _option("Samples for evaluation from elsewhere.", None)
    split_seed: int = _option("Of the choice of held-out samples.", 0)
    allow_test_items: bool = _option("Train on a benchmark's test items all the same.", False)


@dataclass
class WorldArguments:
    """Renderers, teacher, judge and the rules of an episode."""

    mode: Literal["official", "fixed"] = _option(
        "Official scores, or with the listed bugs mended, as in evaluation.", "official"
    )
    max_turns: int = _option("Completions an episode.", 5)
    max_calls: int = _option("Tool calls a turn that are run.", 4)
    max_rollout_tokens: int = _option("Of an episode after its prompt, with observations.", 8192)
    attach_rendering: bool = _option("Show the policy its renderings beside the comments.", True)
    unanswered: Literal["nothing", "last_rendered"] = _option(
        "What counts of an episode without an answer.", "nothing"
    )
    max_pixels: int = _option("Larger pictures are scaled down for the policy.", 2048 * 1024)
    teacher: str | None = _option("Model that comments; without one the rendering speaks.", None)
    teacher_base_url: str | None = _option("Its OpenAI-compatible server.", None)
    teacher_name: str | None = _option("Yours for it: the same one, whatever its address.", None)
    judge: str | None = _option("Model that judges, or likeness.", None)
    judge_base_url: str | None = _option("Its OpenAI-compatible server.", None)
    judge_name: str | None = _option("Yours for it: the same one, whatever its address.", None)
    fresh: bool = _option("Ask judge and teacher anew, whatever is kept of earlier runs.", False)
    judge_rubric: str | None = _option("Another than the benchmark's own.", None)
    key_variable: str = _option("Environment variable with the servers' key.", "OPENAI_API_KEY")
    clip: bool = _option("Measure CLIP similarity, so that reward_vision can name it.", False)
    clip_weights: str | None = _option("open_clip tag, or a file.", None)
    concurrency: int = _option("Renderings, comments and judgements at a time.", 64)
    workers: int = _option("Renderings at a time, on each rank.", 2)
    timeout: int | None = _option("Seconds a rendering may take: 60 of CPU, 10 a page.", None)
    chart_python: str | None = _option("Interpreter that draws charts.", None)
    browser: str | None = _option("Chromium that shows pages.", None)
    confinement: str | None = _option("Level of confinement.", None)


@dataclass
class RewardArguments:
    """How scores become a reward; see ``rrvf.rewards``."""

    reward_vision: str = _option("Scores with weights, as in gpt, or text=1, layout=1.", "gpt")
    reward_terms: str = _option("Terms of your own with weights, as in my.module:progress=0.3.", "")
    vision_weight: float = _option("Of R_vision.", 0.8)
    format_weight: float = _option("Of R_format.", 0.2)
    tool_weight: float = _option("Of R_tool.", 1.2)
    structure_penalty: float = _option("Off R_format for a structure not the protocol's.", 1.0)
    running_penalty: float = _option("Off R_format where no final code runs.", 1.0)
    tool_gate: float | None = _option("R_tool needs an R_vision above; null for no gate.", 0.5)
    tool_cap: int = _option("Successful calls that earn the whole of R_tool.", 1)


@dataclass
class RunArguments:
    """The model, and how the run is watched."""

    model: str = _option("Folder or name of a vision-language checkpoint.", "")
    freeze_vision: bool = _option("Leave the vision tower as it is.", False)
    own_template: bool = _option("Keep the checkpoint's chat template.", False)
    lora_rank: int = _option("LoRA of this rank; 0 trains all weights.", 0)
    lora_alpha: int = _option("Of LoRA.", 32)
    resume: bool = _option("Go on from the last whole checkpoint, where there is one.", True)
    rollouts_every: int = _option("Steps between batches whose episodes are kept for reading.", 20)
    patience: float = _option("Seconds without progress before every rank's state is told.", 600.0)
    max_lost_batches: int = _option("Batches without any reward in a row that end the run.", 3)
