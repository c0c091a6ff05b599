"""``python -m training.grpo`` with vLLM in its own process, on a CPU.

Two things are not the command's own. vLLM's build for processors packs the weights and throws the
originals away, so that no new ones can be loaded: here it keeps them. And what the tiny model
writes is read as calls of the tool, twice an episode, as in ``tests.training.calling``, so that
conversations hold several pictures.

``PUT_BACK`` names what is broken on purpose: ``expansion`` gives vLLM the prompts with their
picture tokens expanded; ``comparison`` does so and does not compare the prompts that it has read;
``weights`` leaves vLLM with the weights that it began with.
"""

from __future__ import annotations

import os
import runpy

import torch
from trl.generation.vllm_generation import VLLMGeneration
from vllm.model_executor.layers import utils

from tests.training.calling import read_as_calls
from training import generation
from training.chat_tokens import Tokens

N_CALLS = 2


def keep_weights(layer: torch.nn.Module, remove_weight: bool) -> None:
    """In place of vLLM's function that packs them."""
    del remove_weight
    layer.cpu_linear = torch.nn.functional.linear


def expand_twice(tokens: Tokens, picture_token: int) -> list[int]:
    """In place of ours that gives vLLM one token a picture."""
    del picture_token
    return tokens.ids


def main() -> None:
    """The command."""
    utils.dispatch_cpu_unquantized_gemm = keep_weights
    read_as_calls(N_CALLS)
    fault = os.environ.get("PUT_BACK")
    if fault == "weights":
        VLLMGeneration.sync_weights = lambda self: None
    elif fault:
        generation.collapse_pictures = expand_twice
    if fault == "comparison":
        generation._require_same = lambda prompts, read: None
    runpy.run_module("training.grpo", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
