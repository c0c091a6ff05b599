"""One turn of generation for many conversations, with the trainer's generator."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rrvf.errors import UserError
from training.chat_tokens import ChatTokens, Tokens, collapse_pictures


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote.

    Attributes:
        ids: Its tokens, an end-of-turn token included.
        ended: It ended its turn by itself, rather than by a stop string or the limit.
        cut: It was cut off at the limit.
        logprobs: Of each token as it was sampled; ``None`` where the trainer computes them.
    """

    ids: list[int]
    ended: bool
    cut: bool
    logprobs: list[float] | None = None


@dataclass(frozen=True, slots=True)
class SamplingLimits:
    """How far the trainer may be from the generator that sampled for it.

    Both compute the log probability of every token that was sampled. Where they differ much, the
    two do not see the same conversation or do not have the same weights: the importance ratio then
    multiplies the loss by about nothing, and nobody would see why the model does not learn.

    Attributes:
        max_difference: Mean absolute difference of the log probabilities of a batch's tokens.
        min_ratio: Smallest mean importance ratio of a batch.
        max_ratio: Largest.
    """

    max_difference: float = 0.3
    min_ratio: float = 0.5
    max_ratio: float = 1.5

    def check(self, metrics: Mapping[str, Sequence[float]], share: float = 1.0) -> None:
        """Look at what TRL has noted of the last batch; nothing, where it compared nothing.

        Args:
            metrics: Name -> a value a batch, a mean over ranks.
            share: Of the ranks that had a token to compare; TRL counts the others as 0.

        Raises:
            UserError: The batch is beyond a limit.
        """
        differences = metrics.get("sampling/sampling_logp_difference/mean")
        ratios = metrics.get("sampling/importance_sampling_ratio/mean")
        if not differences or not ratios or (differences[-1] == 0 and ratios[-1] == 0):
            return  # no vLLM, or a batch without any token that counts
        difference, ratio = differences[-1] / share, ratios[-1] / share
        if difference <= self.max_difference and self.min_ratio <= ratio <= self.max_ratio:
            return
        raise UserError(
            f"vLLM and the trainer disagree on what was sampled: mean difference of log "
            f"probabilities {difference:.3g} (at most {self.max_difference:g}), mean importance "
            f"ratio {ratio:.3g} ({self.min_ratio:g} to {self.max_ratio:g}); give both the "
            "same weights, precision and sampling settings, or set max_sampling_difference, "
            "min_sampling_ratio and max_sampling_ratio"
        )


def sampling(*, vllm: bool, stop: Sequence[str], banned_tokens: Sequence[int]) -> dict[str, Any]:
    """What TRL's ``generation_kwargs`` must hold.

    Args:
        vllm: It generates; with transformers :func:`generate` itself sees to the stop strings.
        stop: Where turns end.
        banned_tokens: Tokens that are not sampled: those of pictures and videos, which would stand
            for one that is not there and break the forward pass.
    """
    if not vllm:
        return {"suppress_tokens": list(banned_tokens)}
    return {
        "stop": list(stop),
        "include_stop_str_in_output": True,
        "logit_bias": dict.fromkeys(banned_tokens, -100.0),
    }


def generate(
    trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
) -> list[Generated]:
    """Let the model continue every conversation.

    Every rank must call this equally often; with vLLM also with equally many conversations.
    """
    if trainer.use_vllm:
        return _generate_with_vllm(trainer, chat, prompts, stop)
    return _generate_with_transformers(trainer, chat, prompts, stop)


def _generate_with_vllm(
    trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
) -> list[Generated]:
    pictures = [prompt.pictures or None for prompt in prompts]
    expanded = [prompt.ids for prompt in prompts]
    ids = expanded
    if trainer.vllm_generation.mode == "colocate":
        # There vLLM expands every picture token that it is given; a server takes them as they are.
        ids = [collapse_pictures(prompt, chat.picture_token) for prompt in prompts]
    with _sample_greedily(trainer.vllm_generation, evaluating=not trainer.model.training) as vllm:
        read, replies, logprobs, _ = vllm.generate(
            prompts=ids, images=pictures if any(pictures) else None, num_generations=1
        )
    _require_same(expanded, read)
    generations: list[Generated] = []
    for ids, token_logprobs in zip(replies, logprobs, strict=True):
        ended = bool(ids) and ids[-1] in trainer.eos_token_ids
        stopped = ended or any(tag in chat.text(ids) for tag in stop)
        chosen_logprobs = [
            float("nan") if candidates[0] is None else float(candidates[0])
            for candidates in token_logprobs
        ]
        # What neither ended nor met a stop string was cut off, by this limit or the context's.
        generations.append(Generated(list(ids), ended, not stopped, chosen_logprobs))
    return generations


def _require_same(prompts: Sequence[Sequence[int]], read: Sequence[Sequence[int]]) -> None:
    """Refuse to train on what vLLM has answered to another prompt.

    Raises:
        UserError: It has read one.
    """
    for prompt, ids in zip(prompts, read, strict=True):
        if list(prompt) != list(ids):
            raise UserError(
                f"vLLM read a prompt of {len(ids)} tokens where the trainer has {len(prompt)}: the "
                "two make different tokens of pictures; serve the checkpoint with its own processor"
            )


@contextmanager
def _sample_greedily(vllm: Any, *, evaluating: bool) -> Generator[Any]:
    """In evaluation the likeliest words are taken, as transformers' path does."""
    settings = {"temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": None} if evaluating else {}
    old_settings = {name: getattr(vllm, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(vllm, name, value)
        yield vllm
    finally:
        for name, value in old_settings.items():
            setattr(vllm, name, value)


def _generate_with_transformers(
    trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
) -> list[Generated]:
    import torch

    unwrap: Any = importlib.import_module("trl.models").unwrap_model_for_generation

    config = copy.deepcopy(trainer.generation_config)
    config.stop_strings = list(stop)
    if not trainer.model.training:  # evaluation takes the likeliest words
        config.update(do_sample=False, temperature=1.0, top_p=1.0, top_k=50, min_p=None)
    size = trainer.conversations_at_once
    with (
        unwrap(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
            generation_kwargs=trainer.generation_kwargs,
            gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
        ) as model,
        torch.no_grad(),
    ):
        return [
            reply
            for start in range(0, len(prompts), size)
            for reply in _continue(
                model, config, trainer, chat, prompts[start : start + size], stop
            )
        ]


def _continue(
    model: Any,
    config: Any,
    trainer: Any,
    chat: ChatTokens,
    prompts: Sequence[Tokens],
    stop: Sequence[str],
) -> list[Generated]:
    """One call of the model."""
    inputs = model_inputs(trainer, prompts)
    tokenizer = trainer.processing_class.tokenizer
    rows = model.generate(**inputs, generation_config=config, tokenizer=tokenizer)
    ends = {*trainer.eos_token_ids, tokenizer.pad_token_id}
    replies = rows[:, inputs["input_ids"].shape[1] :].tolist()
    return [_read_row(row, ends, chat, stop) for row in replies]


def count_slots(n_own: int, n_most: int, size: int) -> int:
    """For how many conversations a rank generates, so that all ranks call the model equally often.

    Args:
        n_own: Conversations of this rank.
        n_most: Of the rank that has most.
        size: Conversations a call.
    """
    n_calls = -(-n_most // size)
    return max(n_own, (n_calls - 1) * size + 1)


def _read_row(row: list[int], ends: set[int], chat: ChatTokens, stop: Sequence[str]) -> Generated:
    """One row: after a stop string there is padding, which may be an end token, too."""
    length = next((index for index, token in enumerate(row) if token in ends), len(row))
    stopped = any(tag in chat.text(row[:length]) for tag in stop)
    ended = length < len(row) and not stopped
    return Generated(row[: length + ended], ended, length == len(row) and not stopped)


def model_inputs(trainer: Any, prompts: Sequence[Tokens]) -> dict[str, Any]:
    """Conversations as the tensors of one batch, padded on the left, on the trainer's device."""
    import torch

    longest = max(len(prompt.ids) for prompt in prompts)
    pad = trainer.processing_class.tokenizer.pad_token_id
    rows = [[pad] * (longest - len(prompt.ids)) + prompt.ids for prompt in prompts]
    mask = [[0] * (longest - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts]
    device = trainer.accelerator.device
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor(rows, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }
    pictures = [picture for prompt in prompts for picture in prompt.pictures]
    if pictures:
        features = trainer.processing_class.image_processor(images=pictures, return_tensors="pt")
        inputs |= {name: value.to(device) for name, value in features.items()}
        image = trainer.model.config.image_token_id
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == image).long()
    return inputs
