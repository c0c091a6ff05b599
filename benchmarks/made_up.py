"""What ``train_one_gpu.py`` trains, made up on the spot: model, pictures, world, and words."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrvf.agent import AgentSettings
from rrvf.bench import Bench
from rrvf.benchmarks.pictures import ChartPictures
from rrvf.kinds.chart import ChartKind
from rrvf.kinds.kind import Drawn, Script
from rrvf.rewards import Rewarder, RewardSettings
from rrvf.scorers.likeness import LikenessJudge
from rrvf.teacher import PictureOnly
from rrvf.types import Drawing, Pictures
from training.rollouts import World

MAX_PIXELS = 12_845_056
"""Qwen's own; the loop bounds pictures before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large everything is.

    Attributes:
        text, vision: Of the model's configuration.
        rows: Of the embedding; the tokenizer has fewer tokens.
        side: Of pictures, in pixels.
        conversations: Of a step.
        code_lines: Of what the script says.
        read_tokens: Written at each turn of a rollout before the script's words take their place.
        new_tokens: Of a conversation, where generation is measured.
    """

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    rows: int
    side: int
    conversations: int
    code_lines: int
    read_tokens: int
    new_tokens: int


SIZES: Mapping[str, Size] = {
    "7B": Size(
        text={
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4,
        },
        vision={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "out_hidden_size": 3584, "fullatt_block_indexes": [7, 15, 23, 31],
        },
        rows=152_064, side=1024, conversations=8, code_lines=18, read_tokens=4, new_tokens=96,
    ),
    "tiny": Size(
        text={
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
        },
        vision={
            "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2,
            "out_hidden_size": 64, "fullatt_block_indexes": [1],
        },
        rows=1024, side=112, conversations=4, code_lines=2, read_tokens=2, new_tokens=8,
    ),
}  # fmt: skip


# -------------------------------------------------------------------------------- the model


def has_card() -> bool:
    """Whether there is a GPU."""
    return bool(importlib.import_module("torch").cuda.is_available())


def make_processor(side: int) -> Any:
    """That of the tiny model, for pictures as large as Qwen takes them.

    Raises:
        RuntimeError: It makes other patches of a picture than Qwen's.
    """
    from PIL import Image

    from training.tiny_model import build_processor

    processor = build_processor()
    images = processor.image_processor
    images.size = type(images.size)(shortest_edge=56 * 56, longest_edge=MAX_PIXELS)
    blank = Image.new("RGB", (side, side), "white")
    patches = len(images(images=[blank], return_tensors="pt")["pixel_values"])
    if patches != 4 * round(side / 28) ** 2:
        raise RuntimeError(f"{patches} patches of a picture {side} pixels wide")
    return processor


def make_model(size: Size, processor: Any, device: str | None = None) -> Any:
    """Random weights, the same each time: in 16 bit where there is a card, else in 32.

    Args:
        size: Of the model.
        processor: Whose tokens it knows.
        device: Where it is made; by default the card, if there is one.
    """
    torch, hub = (importlib.import_module(name) for name in ("torch", "transformers"))
    tokenizer = processor.tokenizer
    number = tokenizer.convert_tokens_to_ids
    half_head = size.text["hidden_size"] // size.text["num_attention_heads"] // 2
    side = 3 * half_head // 8
    text = {
        **size.text,
        "vocab_size": size.rows,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [half_head - 2 * side, side, side],
        },
    }
    config = hub.Qwen2_5_VLConfig(
        text_config=text,
        vision_config=dict(size.vision),
        tie_word_embeddings=False,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if has_card() else torch.float32
    with torch.device(device or ("cuda" if has_card() else "cpu")):
        model = hub.AutoModelForImageTextToText.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    ends = [tokenizer.eos_token_id]
    model.generation_config = hub.GenerationConfig(
        eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    return model


# -------------------------------------------------------------------------------- the world


def make_picture(seed: int, width: int, height: int) -> bytes:
    """A PNG of coloured boxes."""
    from PIL import Image, ImageDraw

    draw = random.Random(seed)
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = draw.randrange(width), draw.randrange(height)
        corner = (x + draw.randrange(width // 4), y + draw.randrange(height // 4))
        color = (draw.randrange(256), draw.randrange(256), draw.randrange(256))
        pen.rectangle((x, y, *corner), fill=color)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class MadeCharts(ChartKind):
    """Charts that nobody draws: any code comes to one of some pictures, by its hash."""

    made: tuple[bytes, ...] = ()

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """One of the pictures."""
        number = hashlib.sha256(self.code_of(script).encode()).digest()[0]
        png = self.made[number % len(self.made)]
        return Drawn("ok", png=png, judge_png=png, view=Drawing("ok", None))

    def protocol(self) -> Mapping[str, Any]:
        """Nothing is drawn."""
        return {"renderer": "pictures made beforehand"}

    def environment(self) -> Mapping[str, Any]:
        """Nothing moves a score."""
        return {}

    def close(self) -> None:
        """Nothing is under way."""


def make_world(pictures: Sequence[bytes]) -> World:
    """The rules of ``configs/grpo_lora_1gpu.yaml``, the embedded judge, pictures for drawings."""
    no_renderer: Any = None
    kind = MadeCharts(no_renderer, made=tuple(pictures))
    rules = RewardSettings(vision={"likeness": 1.0}, tool_gate=None)
    settings = AgentSettings.of("python", max_turns=5, turn_tokens=3072, max_pixels=1024 * 1024)
    rewarder = Rewarder(Bench(ChartPictures(), kind, judge=LikenessJudge()), rules)
    return World(PictureOnly(), settings, rewarder, max_tokens=16384, concurrency=8)


def say(number: int, turn: int, turns: int, n_lines: int) -> str:
    """What the script has a conversation say: calls, and in the last turn an answer."""
    lines = [
        f"ax.plot([{k}, {k + 1}], [{k * 3 % 7}.5, {k * 5 % 11}.2], label='series {number} {turn}')"
        for k in range(n_lines)
    ]
    code = "\n".join(("import matplotlib.pyplot as plt", "fig, ax = plt.subplots()", *lines))
    if turn == turns:
        return f"<think>It is close.</think><answer>\n```python\n{code}\n```\n</answer>"
    call = {"name": "python_render_and_compare_tool", "arguments": {"python_code": code}}
    return f"<think>I see a chart.</think><tool_call>{json.dumps(call)}</tool_call>"
