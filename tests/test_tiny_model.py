"""The tiny model: built here, loaded back, with a template that shows every part of a conversation.

What the template must give is written out by hand, from the form of Qwen's conversations and that
of the RRVF paper's tool calls.
"""

from __future__ import annotations

from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from training import tiny_model

MISSING = [
    name for name in ("transformers", "tokenizers", "torch", "torchvision") if not find_spec(name)
]
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING), reason=f"{', '.join(MISSING)} missing: pip install 'rrvf[train]'"
    ),
    # transformers and torch warn of what is theirs.
    pytest.mark.filterwarnings("default"),
]

PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
IMAGE_PART = {"type": "image"}
TOOL = {
    "type": "function",
    "function": {
        "name": "python_render_and_compare_tool",
        "parameters": {"type": "object", "properties": {"python_code": {"type": "string"}}},
    },
}
ASK = {"role": "user", "content": [IMAGE_PART, {"type": "text", "text": "Draw this."}]}


def call(arguments: object) -> dict[str, Any]:
    """One call of the tool in an endpoint's form."""
    function = {"name": "python_render_and_compare_tool", "arguments": arguments}
    return {"id": "1", "type": "function", "function": function}


EPISODE = [
    {"role": "system", "content": "Be exact."},
    ASK,
    {
        "role": "assistant",
        "content": "<think>Two bars.</think>",
        "tool_calls": [call({"python_code": 'print("é<b>")'}), call('{"python_code":"x"}')],
    },
    {"role": "tool", "content": [{"type": "text", "text": "Colors differ."}, IMAGE_PART]},
    {"role": "tool", "content": "NameError: x"},
    {"role": "assistant", "content": "<answer>done</answer>"},
]

INTRODUCTION = """\


You may call the tools below. Each line is the JSON schema of one:
<tools>
{"type": "function", "function": {"name": "python_render_and_compare_tool", "parameters": \
{"type": "object", "properties": {"python_code": {"type": "string"}}}}}
</tools>
To call a tool, write its name and arguments as one JSON object:
<tool_call>{"name": "...", "arguments": {...}}</tool_call>
What it returns is shown as <tool_response>...</tool_response>."""

SHOWN_EPISODE = f"""\
<|im_start|>system
Be exact.{INTRODUCTION}<|im_end|>
<|im_start|>user
{PICTURE}Draw this.<|im_end|>
<|im_start|>assistant
<think>Two bars.</think>
<tool_call>{{"name": "python_render_and_compare_tool", \
"arguments": {{"python_code": "print(\\"é<b>\\")"}}}}</tool_call>
<tool_call>{{"name": "python_render_and_compare_tool", \
"arguments": {{"python_code":"x"}}}}</tool_call><|im_end|>
<|im_start|>user
<tool_response>Colors differ.{PICTURE}</tool_response>
<tool_response>NameError: x</tool_response><|im_end|>
<|im_start|>assistant
<answer>done</answer><|im_end|>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny") / "model", seed=3)


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(folder)


def shown(processor: Any, messages: list[Any], **options: Any) -> str:
    return processor.apply_chat_template(messages, tokenize=False, **options)


def prepared(processor: Any, picture: Image.Image) -> Any:
    text = shown(processor, [ASK], add_generation_prompt=True)
    return processor(text=[text], images=[picture], return_tensors="pt")


def drawn(color: str) -> Image.Image:
    picture = Image.new("RGB", (200, 150), "white")
    picture.paste(color, (40, 30, 120, 110))
    return picture


# ------------------------------------------------------------------------------- what was built


def test_loads_back_as_what_it_is(processor: Any, model: Any) -> None:
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert processor.tokenizer.padding_side == "left"
    assert processor.tokenizer.eos_token == "<|im_end|>"
    assert processor.tokenizer.eos_token_id in model.generation_config.eos_token_id


def test_it_is_tiny_and_fit_for_vllm(folder: Path, model: Any) -> None:
    assert 100_000 < sum(parameter.numel() for parameter in model.parameters()) < 500_000
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    text, vision = model.config.text_config, model.config.vision_config
    head = text.hidden_size // text.num_attention_heads
    assert head == model.model.language_model.layers[0].self_attn.head_dim >= 32
    assert sum(text.rope_parameters["mrope_section"]) == head // 2
    assert vision.hidden_size // vision.num_heads >= 32


def test_same_seed_same_model_another_seed_another(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    before = torch.random.get_rng_state()
    tiny_model.main([str(tmp_path / "again"), "--seed", "3"])
    tiny_model.main([str(tmp_path / "other"), "--seed", "4"])
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in sorted(file.name for file in folder.iterdir()):
        first = (folder / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == first, name
        same = (tmp_path / "other" / name).read_bytes() == first
        assert same == (name != "model.safetensors"), name


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from rrvf.errors import SetupError

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(SetupError, match=r"pip install 'rrvf\[train\]'"):
        tiny_model.build_tokenizer()


# ------------------------------------------------------------------------------------ tokenizer


@pytest.mark.parametrize("tag", tiny_model.TAGS)
def test_a_tag_is_one_token_that_stays_in_an_answer(processor: Any, tag: str) -> None:
    tokenizer = processor.tokenizer
    numbers = tokenizer.encode(f"a{tag}b", add_special_tokens=False)
    assert numbers.count(tokenizer.convert_tokens_to_ids(tag)) == 1
    assert tokenizer.decode(numbers, skip_special_tokens=True) == f"a{tag}b"


@pytest.mark.parametrize("token", tiny_model.SPECIAL_TOKENS)
def test_a_special_token_is_one_token_that_is_left_out(processor: Any, token: str) -> None:
    tokenizer = processor.tokenizer
    numbers = tokenizer.encode(f"a{token}b", add_special_tokens=False)
    assert numbers.count(tokenizer.convert_tokens_to_ids(token)) == 1
    assert tokenizer.decode(numbers, skip_special_tokens=True) == "ab"


@pytest.mark.parametrize(
    "text", ["plt.bar([1, 2], [3, 4])\n", "<p>Grüße, 你好</p>", "\x00\t 🙂", "  four  blanks  "]
)
def test_every_text_comes_back(processor: Any, text: str) -> None:
    numbers = processor.tokenizer.encode(text, add_special_tokens=False)
    assert processor.tokenizer.decode(numbers) == text


def test_it_learned_the_words_of_its_trade(processor: Any) -> None:
    numbers = processor.tokenizer.encode(
        "import matplotlib.pyplot as plt", add_special_tokens=False
    )
    assert len(numbers) < len("import matplotlib.pyplot as plt") / 2


# ------------------------------------------------------------------------------------- template


def test_template_is_saved_as_it_ships(folder: Path, processor: Any) -> None:
    ships = resources.files("rrvf").joinpath("prompts", "qwen_tools.jinja").read_text()
    assert (folder / "chat_template.jinja").read_text() == ships
    assert processor.chat_template == ships == processor.tokenizer.get_chat_template()


def test_without_tools_it_is_the_stock_form(processor: Any) -> None:
    assert shown(processor, [ASK], add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{PICTURE}Draw this.<|im_end|>\n<|im_start|>assistant\n"
    )


def test_shows_a_whole_episode(processor: Any) -> None:
    assert shown(processor, EPISODE, tools=[TOOL]) == SHOWN_EPISODE
    asked = shown(processor, EPISODE[:-1], tools=[TOOL], add_generation_prompt=True)
    assert f"{asked}<answer>done</answer><|im_end|>\n" == SHOWN_EPISODE


def test_tools_without_a_system_message_join_the_usual_one(processor: Any) -> None:
    assert shown(processor, [ASK], tools=[TOOL]).startswith(
        f"<|im_start|>system\nYou are a helpful assistant.{INTRODUCTION}<|im_end|>\n"
    )


def test_what_a_model_wrote_is_shown_as_it_wrote_it(processor: Any) -> None:
    raw = '<think>\n a </think>\n<tool_call>{"name":"f",\n"arguments":{}}</tool_call>'
    text = shown(processor, [ASK, {"role": "assistant", "content": raw}])
    assert text.endswith(f"<|im_start|>assistant\n{raw}<|im_end|>\n")


def test_a_call_without_words_stands_alone(processor: Any) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [call({})]}
    assert shown(processor, [ASK, message]).endswith(
        '<|im_start|>assistant\n<tool_call>{"name": "python_render_and_compare_tool", '
        '"arguments": {}}</tool_call><|im_end|>\n'
    )


def test_a_conversation_that_grows_keeps_its_beginning(processor: Any) -> None:
    for n_messages in (2, 3, 5):  # the model speaks after 2 and 5, is answered after 3
        assert SHOWN_EPISODE.startswith(shown(processor, EPISODE[:n_messages], tools=[TOOL]))


@pytest.mark.parametrize(
    "message",
    [
        {"role": "critic", "content": "No."},
        {"role": "user", "content": [{"type": "audio"}]},
    ],
)
def test_what_it_cannot_show_is_an_error(processor: Any, message: dict[str, Any]) -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match=r"critic|audio"):
        shown(processor, [message])


# ----------------------------------------------------------------------------------- generation


def test_a_picture_becomes_as_many_tokens_as_it_has_squares(processor: Any) -> None:
    # 200 x 150 within 112 x 112 pixels, in squares of 28: 4 x 3.
    batch = prepared(processor, drawn("red"))
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert int((batch["input_ids"] == pad).sum()) == 12
    assert batch["image_grid_thw"].tolist() == [[1, 6, 8]]


def test_generates_the_same_tokens_again(folder: Path, processor: Any, model: Any) -> None:
    from transformers import AutoModelForImageTextToText

    batch = prepared(processor, drawn("red"))
    first = model.generate(**batch, do_sample=False, max_new_tokens=12)
    again = AutoModelForImageTextToText.from_pretrained(folder)
    assert again.generate(**batch, do_sample=False, max_new_tokens=12).tolist() == first.tolist()
    n_new = first.shape[1] - batch["input_ids"].shape[1]
    assert 1 <= n_new <= 12


def test_sampling_follows_the_seed(processor: Any, model: Any) -> None:
    import torch

    batch = prepared(processor, drawn("red"))
    drawn_by_seed: list[list[int]] = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn_by_seed.append(model.generate(**batch, do_sample=True, max_new_tokens=12)[0].tolist())
    assert drawn_by_seed[0] == drawn_by_seed[1] != drawn_by_seed[2]


def test_it_sees_the_picture(processor: Any, model: Any) -> None:
    import torch

    with torch.no_grad():
        red, blue = (model(**prepared(processor, drawn(c))).logits[0, -1] for c in ("red", "blue"))
    assert not torch.allclose(red, blue, atol=1e-6)
