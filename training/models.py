"""The trained model and its processor."""

from __future__ import annotations

import importlib
import os
from importlib import resources
from typing import Any

from rrvf.errors import SetupError, UserError
from training.settings import RunArguments

_VISION = "visual"
"""How Qwen's vision-language models call their vision tower."""


def load_processor(run: RunArguments) -> Any:
    """The checkpoint's processor, with the template that ships unless its own is asked for.

    Raises:
        UserError: There is no such checkpoint.
    """
    hub: Any = importlib.import_module("transformers")
    if not run.model:
        raise UserError("no model: name a checkpoint, as in model: Qwen/Qwen2.5-VL-7B-Instruct")
    try:
        processor = hub.AutoProcessor.from_pretrained(run.model)
    except (OSError, ValueError) as error:
        raise UserError(f"{run.model}: no processor to load: {_line(error)}") from error
    if not hasattr(processor, "image_processor"):
        raise UserError(
            f"{run.model} is not a vision-language model: its processor accepts no pictures"
        )
    processor.tokenizer.padding_side = "left"  # answers are written to the right
    if not run.own_template:
        template = resources.files("rrvf") / "prompts" / "qwen_tools.jinja"
        processor.chat_template = template.read_text(encoding="utf-8")
    return processor


def load_model(run: RunArguments, arguments: Any) -> Any:
    """The checkpoint's weights.

    In 16 bit where DeepSpeed keeps them in 32 as well, or where only adapters move; otherwise in
    32, since a small step is lost in rounding.

    Raises:
        UserError: They cannot be loaded.
    """
    torch: Any = importlib.import_module("torch")
    hub: Any = importlib.import_module("transformers")
    deepspeed = arguments.deepspeed or os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true"
    is_short = arguments.bf16 and (deepspeed or run.lora_rank > 0)
    dtype = torch.bfloat16 if is_short else torch.float32
    try:
        model = hub.AutoModelForImageTextToText.from_pretrained(
            run.model, dtype=dtype, attn_implementation=run.attention
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"{run.model}: no weights to load: {_line(error)}") from error
    _keep_names(model)
    if run.freeze_vision:
        freeze_vision(model)
    return model


def _keep_names(model: Any) -> None:
    """Have weights saved by the names that the checkpoint gave them.

    Under ZeRO-3 transformers (5.23) remembers every renaming that it knows, used or not; the oldest
    would turn ``model.layers`` into ``model.model.layers``, which vLLM does not know.
    """
    integrations: Any = importlib.import_module("transformers.integrations")
    if integrations.is_deepspeed_zero3_enabled():
        model._weight_conversions = None


def freeze_vision(model: Any) -> None:
    """Leave the vision tower, its merger included, out of training.

    Raises:
        UserError: There is none by the name that is known.
    """
    frozen = [
        parameter for name, parameter in model.named_parameters() if f".{_VISION}." in f".{name}"
    ]
    if not frozen:
        raise UserError(f"freeze_vision: {type(model).__name__} has no part called {_VISION}")
    for parameter in frozen:
        parameter.requires_grad_(False)


def skip_frozen_vision(model: Any) -> None:
    """Compute a vision tower that is not trained without anything to differentiate it by.

    Gradient checkpointing makes the tower's inputs need a gradient, for the sake of layers that are
    trained behind them; where none is, its activations would be kept and its way back computed for
    nothing. A tower that is trained stays as it is.

    Args:
        model: With its adapters, if it has any; changed in place.
    """
    import torch

    for name, module in model.named_modules():
        if name.rpartition(".")[2] == _VISION and not any(
            parameter.requires_grad for parameter in module.parameters()
        ):
            module.forward = torch.no_grad()(module.forward)


def lora(run: RunArguments, model: Any) -> Any:
    """The settings of LoRA, ``None`` where all weights are trained.

    Raises:
        SetupError: peft is missing.
    """
    if run.lora_rank == 0:
        return None
    try:
        peft: Any = importlib.import_module("peft")
    except ImportError as error:
        raise SetupError(f"LoRA needs peft: pip install 'rrvf[train]' ({error})") from error
    # Attention and MLP of the language model; the vision tower has projections of the same names.
    pattern = r"(?!.*visual).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
    return peft.LoraConfig(
        r=run.lora_rank, lora_alpha=run.lora_alpha, target_modules=pattern, task_type="CAUSAL_LM"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
