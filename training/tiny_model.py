"""A Qwen2.5-VL with a third of a million random parameters, built without any download.

``python -m training.tiny_model OUT_DIR --seed 0`` writes a folder that ``AutoProcessor``,
``AutoModelForImageTextToText`` and vLLM load like a released checkpoint, with tokenizer, image
processor and chat template. It knows nothing; tests and live checks use it for complete runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rrvf.errors import SetupError

MAX_PIXELS = 112 * 112
"""Of a prepared picture, which makes at most 16 tokens of it."""

MAX_POSITIONS = 4096

SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
"""Qwen's; left out when an answer is decoded."""

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
"""One token each, which stays in a decoded answer."""

_N_PIECES = 512
_HEAD_SIZE = 32  # the smallest that vLLM serves

_WORDS = """\
chart page bar line axis title legend label color layout text figure table button
the a is are of in and to with more less left right same other red blue picture
"""
_CODE = """\
import matplotlib.pyplot as plt
import numpy as np
fig, ax = plt.subplots(figsize=(8, 6))
ax.bar([1, 2, 3], [4.5, 5.2, 6.9], color="steelblue", label="first")
ax.plot(x, y, marker="o")
ax.set_title("Sales by month")
ax.set_xlabel("Month")
ax.set_ylabel("Sales")
ax.legend(loc="upper left")
plt.savefig("chart.png")
plt.show()
<!DOCTYPE html>
<html><head><style>body { margin: 0; color: #333333; }</style></head>
<body><div class="card"><h1>Welcome</h1><p>Read more</p></div></body></html>
{"name": "python_render_and_compare_tool", "arguments": {"python_code": "..."}}
{"name": "html_render_and_compare_tool", "arguments": {"html_code": "..."}}
Comments: **Layout** **Chart type** **Text** **Color** **Data** **Style** Score: 75/100
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the model is.

    Attributes:
        width, vision_width: Of the language model and of the vision tower; multiples of 64.
        layers, vision_layers: Of each.
    """

    width: int = 64
    layers: int = 2
    vision_width: int = 64
    vision_layers: int = 2


TINY = Size()


def build(
    folder: Path, seed: int = 0, size: Size = TINY, tokens: Sequence[str] | None = None
) -> Path:
    """Write model, processor and settings of generation into ``folder``, and return it.

    The same seed gives the same weights; tokenizer and template do not depend on it.

    Args:
        folder: Made where it is missing.
        seed: Of the weights.
        size: Of the model.
        tokens: The vocabulary beside single bytes, in place of pieces learnt from a small text.

    Raises:
        SetupError: A package is missing.
    """
    processor = build_processor(tokens)
    model = build_model(processor.tokenizer, seed, size)
    folder.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def chat_template() -> str:
    """The template that ships: Qwen2.5-VL's form, with tools."""
    prompts = resources.files("rrvf") / "prompts"
    return (prompts / "qwen_tools.jinja").read_text(encoding="utf-8")


def build_processor(tokens: Sequence[str] | None = None) -> Any:
    """A ``Qwen2_5_VLProcessor`` with the tokenizer and the template.

    Raises:
        SetupError: A package is missing.
    """
    transformers = _package("transformers")
    pixels = {"min_pixels": 28 * 28, "max_pixels": MAX_PIXELS}
    return transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(**pixels),
        tokenizer=build_tokenizer(tokens),
        video_processor=transformers.Qwen2VLVideoProcessor(**pixels),
        chat_template=chat_template(),
    )


def build_tokenizer(tokens: Sequence[str] | None = None) -> Any:
    """A byte-level BPE in Qwen's form, trained here on a small text unless tokens are given.

    Raises:
        SetupError: A package is missing.
    """
    vocabulary, merges = _learn_pieces(_text() if tokens is None else ())
    tokenizer = _package("transformers").Qwen2TokenizerFast(
        vocab=vocabulary,
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=MAX_POSITIONS,
        padding_side="left",
    )
    tokenizer.add_tokens([*TAGS, *(tokens or ())])
    return tokenizer


def _learn_pieces(text: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces with their numbers, and the merges that make them."""
    tokenizers = _package("tokenizers")
    learner = tokenizers.Tokenizer(tokenizers.models.BPE())
    learner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=_N_PIECES,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(text, trainer)
    # Its own file format holds the merges in their order; there is no other way to ask for them.
    pieces = json.loads(learner.to_str())["model"]
    return pieces["vocab"], [(first, second) for first, second in pieces["merges"]]


def _text() -> list[str]:
    """The words of charts, pages and judgements."""
    draw = random.Random(0)
    words = _WORDS.split()
    sentences = [" ".join(draw.choices(words, k=9)) + "." for _ in range(200)]
    return [*sentences, *_CODE.splitlines(keepends=True) * 4]


def build_model(tokenizer: Any, seed: int = 0, size: Size = TINY) -> Any:
    """A ``Qwen2_5_VLForConditionalGeneration`` with random weights, in 32 bit, for evaluation.

    Torch's own random state stays as it is.

    Raises:
        SetupError: A package is missing.
    """
    torch, transformers = _package("torch"), _package("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.Qwen2_5_VLForConditionalGeneration(_config(tokenizer, size))
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]),
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=256,
    )
    return model.eval()


def _config(tokenizer: Any, size: Size) -> Any:
    number = tokenizer.convert_tokens_to_ids
    n_heads = size.width // _HEAD_SIZE
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.width,
        "intermediate_size": 2 * size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_heads // 2,
        "head_dim": _HEAD_SIZE,
        "max_position_embeddings": MAX_POSITIONS,
        # Parts of a head for time, height and width: together half a head.
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 6, 6],
        },
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "depth": size.vision_layers,
        "hidden_size": size.vision_width,
        "intermediate_size": 2 * size.vision_width,
        "num_heads": size.vision_width // _HEAD_SIZE,
        "out_hidden_size": size.width,
        "fullatt_block_indexes": [size.vision_layers - 1],
    }
    return _package("transformers").Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(
            f"the tiny model needs transformers and torch: pip install 'rrvf[train]' ({error})"
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Build it where the command line says."""
    parser = argparse.ArgumentParser(prog="training.tiny_model", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    build(options.folder, options.seed)


if __name__ == "__main__":
    main()
