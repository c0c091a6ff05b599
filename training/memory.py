"""What fits on which GPU: memory of training and serving Qwen2.5-VL, computed from its sizes.

``python -m training.memory`` prints ``training/MEMORY.md``. Nothing here was measured. Each figure
follows from a formula, whose source is given at its function. 1 GiB is 2**30 bytes. Runtime,
communication and fragmentation are one flat allowance, :data:`OVERHEAD`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

GIB = 2**30

CARD = 79.0
"""GiB of a GPU sold as one of 80 GB."""

OVERHEAD = 5.0
"""GiB a GPU for the CUDA context, NCCL, buckets of DeepSpeed and fragmentation: an assumption."""

_VISION_WIDTH, _VISION_LAYERS, _PATCH = 1280, 32, 3 * 2 * 14 * 14

Stage = Literal[0, 1, 2, 3]
Offload = Literal["none", "optimizer", "optimizer and weights"]


@dataclass(frozen=True, slots=True)
class Model:
    """Sizes of one model, from its ``config.json`` on the Hugging Face hub.

    Attributes:
        name: As the hub calls it, less its maker.
        width, mlp, layers, kv: Of the language model: hidden and intermediate size, layers, and
            the width of all key heads together.
        vocabulary: Rows of the embedding.
        tied: The output projection is the embedding.
        vision_mlp: Intermediate size of the vision tower.
    """

    name: str
    width: int
    mlp: int
    layers: int
    kv: int
    vocabulary: int
    tied: bool
    vision_mlp: int

    @property
    def text(self) -> int:
        """Parameters of the language model, output projection included."""
        width, mlp, kv = self.width, self.mlp, self.kv
        attention = 2 * width * width + width + 2 * (width * kv + kv)
        layer = attention + 3 * width * mlp + 2 * width
        return self.embedding * (1 if self.tied else 2) + self.layers * layer + width

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, the largest single layer."""
        return self.vocabulary * self.width

    @property
    def vision(self) -> int:
        """Parameters of the vision tower and its merger."""
        width, mlp = _VISION_WIDTH, self.vision_mlp
        attention = 3 * width * width + 3 * width + width * width + width
        block = attention + 3 * width * mlp + 2 * mlp + width + 2 * width
        merger = width + (4 * width) ** 2 + 4 * width + 4 * width * self.width + self.width
        return _PATCH * width + _VISION_LAYERS * block + merger

    @property
    def total(self) -> int:
        """All parameters."""
        return self.text + self.vision

    def lora(self, rank: int) -> int:
        """Parameters of LoRA on every projection of the language model.

        Two matrices of ``rank`` for each, in x rank and rank x out (arXiv 2106.09685).
        """
        attention = 2 * (self.width + self.width) + 2 * (self.width + self.kv)
        return rank * self.layers * (attention + 3 * (self.width + self.mlp))


MODELS: Mapping[str, Model] = {
    "3B": Model("Qwen2.5-VL-3B-Instruct", 2048, 11008, 36, 256, 151936, True, 3420),
    "7B": Model("Qwen2.5-VL-7B-Instruct", 3584, 18944, 28, 512, 152064, False, 3420),
    "32B": Model("Qwen2.5-VL-32B-Instruct", 5120, 27648, 64, 1024, 152064, False, 3456),
    "72B": Model("Qwen2.5-VL-72B-Instruct", 8192, 29568, 80, 1024, 152064, False, 3456),
}


# --------------------------------------------------------------------------------- model states


def states(
    total: int,
    trained: int,
    largest: int,
    *,
    stage: Stage,
    gpus: int,
    offload: Offload = "none",
    nodes: int = 1,
) -> tuple[float, float]:
    """Bytes of weights, gradients and Adam's states: (of a GPU, of a node's CPU).

    A parameter has 2 bytes of weight; a trained one 2 of gradient and 12 of master weight and two
    moments in 32 bit (ZeRO, arXiv 1910.02054, section 3.1), and 4 of gradient in 32 bit while the
    optimizer steps. ZeRO-1 divides the 16 among the GPUs, ZeRO-2 the gradient in 16 bit, too, and
    ZeRO-3 the weights, but for the largest layer, which is put together for use. What is offloaded
    leaves the GPU; on the CPU DeepSpeed's own estimators (``estimate_zero2_...`` and
    ``estimate_zero3_model_states_mem_needs``) count half as much again for buffers, which is
    followed here. Where they count less on a GPU (they take the weights of ZeRO-3 to be part of
    the 18), this counts more.

    Args:
        total: Parameters.
        trained: Those that are trained.
        largest: Those of the largest layer.
        stage: Of ZeRO.
        gpus: All together.
        offload: What lies on the CPU, from stage 1 on; weights need stage 3.
        nodes: Among which the GPUs are divided.
    """
    layer_bytes = 4 * largest if stage == 3 else 0
    weights = 2 * total / (gpus if stage == 3 else 1)
    gradients = 2 * trained / (gpus if stage >= 2 else 1)
    optimizer = 16 * trained / (gpus if stage >= 1 else 1)
    if offload == "none":
        return weights + layer_bytes + gradients + optimizer, 0.0
    on_cpu = 16 * trained
    if offload == "optimizer and weights":
        on_cpu += 2 * total
        weights = 0.0
    return weights + layer_bytes, 1.5 * on_cpu / nodes


# ---------------------------------------------------------------------------------- activations


def picture_tokens(side: int = 1024) -> int:
    """Tokens of a square picture: one for each 28 x 28 pixels (two patches of 14 each way).

    Qwen's preparation takes the nearest multiple of 28 for each side.
    """
    return round(side / 28) ** 2


def activations(model: Model, tokens: int, pictures: int, *, vision: bool) -> float:
    """Bytes of one conversation's activations with gradient checkpointing.

    Each layer keeps its input, 2 bytes a value; one layer at a time is computed anew and keeps what
    its way back needs. Counted by hand along a layer of Qwen2.5, as arXiv 2205.05198 does for GPT,
    for attention that never holds its scores (SDPA or FlashAttention): in 16 bit the residual
    (twice), normalised inputs (twice), queries, attention's result, keys, values, and four results
    of the gated MLP; in 32 bit inside both norms; and on the way back gradients of two results of
    the MLP and of two of the layer's width. The loss is TRL's, which goes through the vocabulary in
    tiles: for it, hidden states and their gradient in 32 bit are counted.

    Args:
        model: Its sizes.
        tokens: Of the conversation, pictures included.
        pictures: In it, of ``picture_tokens()`` each.
        vision: The vision tower is trained, so that it keeps activations, too.
    """
    width, mlp = model.width, model.mlp
    language = _count_checkpointed(width, mlp, model.kv, model.layers, tokens)
    loss = 2 * 4 * width * tokens
    patches = 4 * pictures * picture_tokens()
    layers = _VISION_LAYERS if vision else 1
    tower = _count_checkpointed(_VISION_WIDTH, model.vision_mlp, _VISION_WIDTH, layers, patches)
    return language + loss + tower


def _count_checkpointed(width: int, mlp: int, kv: int, layers: int, tokens: int) -> float:
    inputs = 2 * width * layers
    recomputed = 2 * (6 * width + 2 * kv + 4 * mlp) + 2 * 4 * width
    gradients = 2 * (2 * mlp + 2 * width)
    return tokens * (inputs + recomputed + gradients)


# ---------------------------------------------------------------------------------------- vLLM


def cache_of_token(model: Model) -> int:
    """Bytes of keys and values of a token, in 16 bit: 2 x layers x width of the keys x 2."""
    return 2 * model.layers * model.kv * 2


def count_conversations(
    model: Model, tokens: int, *, share: float, gpus: int = 1, card: float = CARD
) -> float:
    """Whole conversations that vLLM's cache holds at once; below 0 where it does not start.

    vLLM takes ``share`` of each GPU; weights divide by tensor parallelism, and what is left after
    an allowance of 2 GiB a GPU for its own activations is cache (vLLM's documentation, "Conserving
    memory").

    Args:
        model: Its sizes.
        tokens: Of a conversation.
        share: ``gpu_memory_utilization``.
        gpus: Of one copy, ``tensor_parallel_size``.
        card: GiB of a GPU.
    """
    free = gpus * (share * card - 2) * GIB - 2 * model.total
    return free / (tokens * cache_of_token(model))


# ----------------------------------------------------------------------------------------- plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to train.

    Attributes:
        model: Which.
        rank: Of LoRA; 0 trains all weights.
        gpus, nodes: All GPUs of the trainer together, and their nodes.
        stage, offload: Of ZeRO.
        tokens, pictures: Of the longest conversation; one at a time on a GPU.
        vision: The vision tower is trained.
        vllm: Share of each GPU that vLLM takes beside training; 0 where it runs elsewhere.
        sleeps: vLLM gives its memory back while the model is updated.
    """

    model: str
    rank: int = 0
    gpus: int = 8
    nodes: int = 1
    stage: Stage = 2
    offload: Offload = "none"
    tokens: int = 16384
    pictures: int = 5
    vision: bool = True
    vllm: float = 0.0
    sleeps: bool = False

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        model = MODELS[self.model]
        if self.rank:
            return model.lora(self.rank)
        return model.total if self.vision else model.text

    def checkpoint(self) -> float:
        """Gigabytes (10**9 bytes) of a checkpoint that training can go on from.

        Weights in 16 bit, under DeepSpeed beside a master copy and two moments in 32; of LoRA the
        adapter alone, with weights and moments in 32.
        """
        return (12 if self.rank else 14) * self.trained / 1e9

    def on_cpu(self) -> float:
        """GiB of a node's memory."""
        return self._states()[1] / GIB

    def parts(self) -> tuple[float, float, float]:
        """GiB of a GPU: model states, activations, vLLM."""
        model = MODELS[self.model]
        vision = self.vision and not self.rank
        working = activations(model, self.tokens, self.pictures, vision=vision)
        return self._states()[0] / GIB, working / GIB, self.vllm * CARD

    def on_gpu(self) -> float:
        """GiB of a GPU at the worst moment."""
        fixed, working, vllm = self.parts()
        if self.sleeps:  # either the update works or vLLM does
            return fixed + max(working, vllm) + OVERHEAD
        return fixed + working + vllm + OVERHEAD

    def _states(self) -> tuple[float, float]:
        model = MODELS[self.model]
        adapters = self.trained if self.rank else 0
        return states(
            model.total + adapters,
            self.trained,
            model.embedding,
            stage=self.stage,
            gpus=self.gpus,
            offload=self.offload,
            nodes=self.nodes,
        )


PLANS: Mapping[str, Plan] = {
    "grpo_paper_8gpu": Plan(model="7B", vllm=0.4, sleeps=True),
    "grpo_lora_1gpu": Plan(model="7B", rank=64, gpus=1, stage=0, vllm=0.4),
    "grpo_slurm": Plan(model="7B", gpus=16, nodes=2),
    "sft_cold_start": Plan(model="7B", pictures=6),
    "sft_reference_code": Plan(model="7B", tokens=8192, pictures=1),
}
"""The recipes of ``configs/``; the tests hold the two against each other."""


# --------------------------------------------------------------------------------------- the page

Rows = Sequence[Sequence[object]]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; numbers are rounded to a tenth."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _size_rows() -> Rows:
    rows: list[list[object]] = []
    for model in MODELS.values():
        counts = [f"{number / 1e9:.2f}" for number in (model.total, model.vision)]
        adapters, weights = f"{model.lora(64) / 1e9:.2f}", 2 * model.total / GIB
        rows.append([model.name, *counts, adapters, weights, cache_of_token(model) / 1024])
    return rows


_WAYS: Sequence[tuple[str, Stage, Offload]] = (
    ("ZeRO-1", 1, "none"),
    ("ZeRO-2", 2, "none"),
    ("ZeRO-2, optimizer on CPU", 2, "optimizer"),
    ("ZeRO-3", 3, "none"),
    ("ZeRO-3, optimizer on CPU", 3, "optimizer"),
    ("ZeRO-3, optimizer and weights on CPU", 3, "optimizer and weights"),
)


def _fit_rows() -> Rows:
    """Whether full fine-tuning fits, for every model and way."""
    rows: list[list[object]] = []
    for name in MODELS:
        for way, stage, offload in _WAYS:
            plans = [
                Plan(model=name, gpus=gpus, nodes=max(1, gpus // 8), stage=stage, offload=offload)
                for gpus in (1, 8, 16, 32)
            ]
            cells = [_verdict(plan.on_gpu()) for plan in plans]
            rows.append([f"{name}, {way}", *cells, plans[1].on_cpu() or "-"])
    return rows


def _adapter_rows() -> Rows:
    return [
        [name, *(_verdict(plan.on_gpu()) for plan in plans)]
        for name in MODELS
        for plans in [
            [
                Plan(model=name, rank=64, gpus=1, stage=0),
                Plan(model=name, rank=64, gpus=1, stage=0, vllm=0.4),
                Plan(model=name, rank=64, gpus=8, stage=3),
            ]
        ]
    ]


def _verdict(gib: float) -> str:
    return f"**{gib:.1f}**" if gib <= CARD else f"{gib:.1f}"


def _activation_rows() -> Rows:
    return [
        [
            f"{tokens:,} tokens, pictures: {pictures}",
            *(activations(model, tokens, pictures, vision=True) / GIB for model in MODELS.values()),
        ]
        for tokens, pictures in ((4096, 1), (8192, 1), (12288, 5), (16384, 5), (32768, 6))
    ]


def _serving_rows() -> Rows:
    rows: list[list[object]] = []
    for name, gpus, share in (
        ("7B", 1, 0.4), ("7B", 1, 0.9), ("32B", 1, 0.95), ("32B", 2, 0.9), ("72B", 2, 0.95),
        ("72B", 4, 0.9), ("72B", 8, 0.9),
    ):  # fmt: skip
        number = count_conversations(MODELS[name], 16384, share=share, gpus=gpus)
        rows.append([name, gpus, str(share), f"{number:.0f}" if number >= 1 else "does not start"])
    return rows


def _recipe_rows() -> Rows:
    rows: list[list[object]] = []
    for name, plan in PLANS.items():
        fixed, working, vllm = plan.parts()
        total = plan.on_gpu()
        rows.append(
            [
                name,
                plan.gpus,
                fixed,
                working,
                vllm,
                total,
                "yes" if total <= CARD else "no",
                f"{plan.checkpoint():.1f}",
            ]
        )
    return rows


def gpu_hours(steps: int, seconds: float, gpus: int) -> float:
    """Steps x seconds of a step x GPUs held meanwhile."""
    return steps * seconds * gpus / 3600


def page() -> str:
    """``training/MEMORY.md``."""
    plan = PLANS["grpo_paper_8gpu"]
    return f"""\
# Memory and cost

`python -m training.memory` writes this page; change that file, not this one. All figures are
computed, not measured. Compare them with `memory_gib/*` in a run's log, the peak of each phase. The
formulas and their sources are in `training/memory.py`. A GiB is 2**30 bytes. A GPU "of 80 GB" has
{CARD:.0f} GiB; bold figures fit on it. Every total includes {OVERHEAD:.0f} GiB for the CUDA
context, NCCL, DeepSpeed's buckets and fragmentation; this is an assumption. A picture has
1024 x 1024 pixels, which are {picture_tokens():,} tokens. A GPU works on one conversation at a
time (`per_device_train_batch_size: 1`); two conversations need twice the activations.

## The models
{
        table(
            [
                "model",
                "parameters, 10^9",
                "vision tower, 10^9",
                "LoRA of rank 64, 10^9",
                "weights in 16 bit, GiB",
                "cache a token, KiB",
            ],
            _size_rows(),
        )
    }

## Activations, GiB a conversation
With gradient checkpointing and all weights trained.

{table(["longest conversation", *MODELS], _activation_rows())}

## Full fine-tuning, GiB a GPU
{plan.tokens:,} tokens with {plan.pictures} pictures; vLLM runs on other GPUs.

{
        table(
            ["model and way", "1 GPU", "8 GPUs", "16 GPUs", "32 GPUs", "CPU of a node of 8"],
            _fit_rows(),
        )
    }

## LoRA of rank 64, GiB a GPU
{plan.tokens:,} tokens with {plan.pictures} pictures. With ZeRO-3, the weights for vLLM are
gathered layer by layer. Without vLLM, set `ds3_gather_for_generation: false`. Otherwise each GPU
holds the whole model while it generates: 62 GiB more for 32B, 137 GiB more for 72B.

{table(["model", "1 GPU", "1 GPU, vLLM beside it with 0.4", "8 GPUs, ZeRO-3"], _adapter_rows())}

## Serving with vLLM
The number of conversations of 16,384 tokens that the cache holds at once.

{table(["model", "GPUs of a copy", "share of a GPU", "conversations"], _serving_rows())}

## The recipes, GiB a GPU
If vLLM sleeps during the update (grpo_paper_8gpu), the larger of activations and vLLM counts.
Otherwise both count. A recipe keeps its last three checkpoints (`save_total_limit: 3`) and writes
the next one before it deletes the oldest, so the disk needs room for four.

{
        table(
            [
                "recipe",
                "GPUs",
                "model states",
                "activations",
                "vLLM",
                "together",
                "fits",
                "a checkpoint, GB",
            ],
            _recipe_rows(),
        )
    }

## Cost
GPU-hours are `steps x seconds of a step x GPUs held / 3600`. The GPUs of teacher and judge are held
as long as those of the trainer. The seconds of a step depend on rollouts, teacher and judge. Take
them from the first steps of a run (`seconds/*` in its log) and run:

    python -m training.memory --steps 200 --seconds 400 --gpus 16

This prints {gpu_hours(200, 400, 16):.0f} GPU-hours. The numbers are an example, not a claim.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page, or GPU-hours."""
    parser = argparse.ArgumentParser(prog="training.memory", description="What fits where.")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float, help="of a step")
    parser.add_argument("--gpus", type=int, default=8, help="all that are held meanwhile")
    options = parser.parse_args(arguments)
    if options.steps is None and options.seconds is None:
        print(page(), end="")
    elif options.steps is None or options.seconds is None:
        parser.error("GPU-hours need both --steps and --seconds")
    else:
        print(f"{gpu_hours(options.steps, options.seconds, options.gpus):.1f} GPU-hours")


if __name__ == "__main__":
    main()
