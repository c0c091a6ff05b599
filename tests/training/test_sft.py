"""Supervised training of a tiny model: what the loss is on, that it falls, and that a run goes on.

Which tokens belong to whom is worked out here from the text of the whole conversation, which the
template gives in one piece, not from how the code under test puts it together.
"""

from __future__ import annotations

import io
import json
import random
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.chat import Message, Picture
from rrvf.errors import DataError, UserError
from rrvf.policies import to_parts
from training import sft
from training.chat_tokens import ChatTokens
from training.conversations import Conversation
from training.settings import DataArguments, RunArguments

MISSING = [name for name in ("trl", "transformers", "torch", "datasets") if not find_spec(name)]
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING), reason=f"{', '.join(MISSING)} missing: pip install 'rrvf[train]'"
    ),
    # transformers, torch and TRL warn of what is theirs.
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("one_thread"),
]

CALL = (
    '<think>bars</think>\n<tool_call>{"name": "t", "arguments": {"python_code": "x"}}</tool_call>'
)
ANSWER = "<think>good</think>\n<answer>\n```python\nplt.bar([1], [2])\n```\n</answer>"


def png(*, color: tuple[int, int, int], dot: bool = False, size: int = 84) -> bytes:
    """A plain picture, with or without a bright dot in it."""
    picture = Image.new("RGB", (size, size), color)
    if dot:
        picture.putpixel((40, 40), (255, 255, 255))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def episode(*, name: str = "a", dot: bool = False, said: str = ANSWER) -> Conversation:
    """Two turns, a picture in each of the user's messages, and somebody's special token."""
    first, second = png(color=(200, 30, 30)), png(color=(30, 30, 200), dot=dot, size=112)
    return Conversation(
        name,
        (
            Message("system", ("You draw charts.",)),
            Message("user", ("Draw this <|im_end|> chart.", Picture(first))),
            Message("assistant", (CALL,)),
            Message("user", ("<tool_response>Colors differ.</tool_response>", Picture(second))),
            Message("assistant", (said,)),
        ),
    )


@pytest.fixture(scope="module")
def chat(processor: Any) -> ChatTokens:
    """Its tokens."""
    return ChatTokens(processor)


PIXELS = 1024 * 1024


# ---------------------------------------------------------------------------------- the labels


def expected_learnt(processor: Any, conversation: Conversation) -> list[tuple[str, bool]]:
    """Each character of the conversation's text, and whether the model wrote it."""
    text: str = processor.apply_chat_template(to_parts(conversation.messages), tokenize=False)
    found: list[tuple[str, bool]] = []
    at = 0
    for match in re.finditer(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", text, re.DOTALL):
        found += [(sign, False) for sign in text[at : match.start(1)]]
        found += [(sign, True) for sign in match[1]]
        at = match.end(1)
    return found + [(sign, False) for sign in text[at:]]


def test_the_loss_is_on_what_the_model_wrote_and_on_nothing_else(
    processor: Any, chat: ChatTokens
) -> None:
    example = sft.as_example(chat, episode(), PIXELS)
    assert len(example.ids) == len(example.labels)
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    shown: list[tuple[str, bool]] = []
    previous = None
    for token, label in zip(example.ids, example.labels, strict=True):
        assert label in (sft.IGNORED, token)
        if token == image and previous == image:
            continue  # a picture is one sign in the text, and many tokens
        previous = token
        piece = processor.tokenizer.decode([token])
        shown += [(sign, label != sft.IGNORED) for sign in piece]
    expected = expected_learnt(processor, episode())
    while expected[-1] == ("\n", False):  # the template's, after the last turn
        expected.pop()
    assert shown == expected
    # The pictures: 84 x 84 is 3 x 3 tokens of 28 pixels, 112 x 112 is 4 x 4.
    assert example.ids.count(image) == 9 + 16
    learnt = [label for label in example.labels if label != sft.IGNORED]
    assert processor.tokenizer.decode(learnt) == f"{CALL}<|im_end|>{ANSWER}<|im_end|>"


def test_a_conversation_begins_as_a_rollout_does(chat: ChatTokens) -> None:
    example = sft.as_example(chat, episode(), PIXELS)
    messages = episode().messages
    prompt = chat.prompt(messages[:2]).ids
    told = chat.continuation(messages[3:4], ended=True).ids
    reply = chat.tokenizer.encode(CALL, add_special_tokens=False)
    so_far = [*prompt, *reply, chat.end_token, *told]
    assert example.ids[: len(so_far)] == so_far


def test_a_special_token_in_a_reply_is_spelled_out(chat: ChatTokens) -> None:
    example = sft.as_example(chat, episode(said="a<|im_end|>b<|image_pad|>"), PIXELS)
    assert chat.text(example.ids, special=True).endswith("a<| im_end |>b<| image_pad |><|im_end|>")


def test_large_pictures_are_scaled_down(processor: Any, chat: ChatTokens) -> None:
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    example = sft.as_example(chat, episode(), 60 * 60)  # rounded to 56 x 56
    assert example.ids.count(image) == 4 + 4


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ((Message("user", ("?",)),), "must begin with"),
        ((Message("assistant", ("!",)),), "must begin with"),
        ((Message("user", ("?",)), Message("assistant", ("!",))), "no picture"),
    ],
)
def test_what_cannot_be_learnt_is_told(
    chat: ChatTokens, messages: tuple[Message, ...], problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        sft.as_example(chat, Conversation("7", messages), PIXELS)


def test_too_long_ones_are_left_out_whole_and_counted(
    chat: ChatTokens, caplog: pytest.LogCaptureFixture
) -> None:
    long = episode(name="long", said=ANSWER + "<think>" * 500)
    length = len(sft.as_example(chat, episode(), PIXELS).ids)
    kept, n_too_long = sft.prepare_examples(
        chat, [episode(), long, episode()], "train", length, PIXELS
    )
    assert [len(one.ids) for one in kept] == [length, length]
    assert n_too_long == 1
    assert len(caplog.records) == 1
    assert "1 of 3 conversations are longer" in caplog.text
    with pytest.raises(DataError, match="raise max_length"):
        sft.prepare_examples(chat, [episode()], "train", length - 1, PIXELS)


# ---------------------------------------------------------------------------------- the batches


def loss_of(model: Any, processor: Any, chat: ChatTokens, *talks: Conversation) -> Any:
    """The model's own loss on a batch."""
    examples = [sft.as_example(chat, talk, PIXELS) for talk in talks]
    rows = [{"part": "train", "place": place} for place in range(len(examples))]
    return model(**sft.Collator(processor, {"train": examples})(rows)).loss


def test_a_pixel_of_a_later_picture_reaches_the_loss(
    tiny: Path, processor: Any, chat: ChatTokens
) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny).eval()
    with torch.no_grad():
        plain = loss_of(model, processor, chat, episode())
        assert torch.equal(plain, loss_of(model, processor, chat, episode()))
        assert not torch.equal(plain, loss_of(model, processor, chat, episode(dot=True)))


def test_padding_does_not_move_the_loss(tiny: Path, processor: Any, chat: ChatTokens) -> None:
    """Two of different lengths: the mean over their tokens is that of both alone."""
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny).eval()
    short, long = episode(said="<answer>no</answer>"), episode(dot=True)
    with torch.no_grad():
        both = loss_of(model, processor, chat, short, long)
        alone = [loss_of(model, processor, chat, talk) for talk in (short, long)]
    counts = [
        sum(label != sft.IGNORED for label in sft.as_example(chat, talk, PIXELS).labels)
        for talk in (short, long)
    ]
    mean = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    assert torch.allclose(both, mean, atol=1e-5)


# -------------------------------------------------------------------------------------- runs


def written(folder: Path, number: int = 6) -> Path:
    """A file of conversations, with different answers about different pictures."""
    draw = random.Random(0)
    lines: list[str] = []
    for place in range(number):
        color = (draw.randrange(256), draw.randrange(256), draw.randrange(256))
        (folder / f"{place}.png").write_bytes(png(color=color))
        row = {
            "id": place,
            "image": f"{place}.png",
            "prompt": "<image>Draw this.",
            "completion": f"<answer>plt.bar([{place}], [{color[0]}])</answer>",
        }
        lines.append(json.dumps(row))
    path = folder / "talks.jsonl"
    path.write_text("\n".join(lines))
    return path


def run(tiny: Path, out: Path, told: dict[str, Any], **changes: Any) -> Any:
    """One run on CPU."""
    from trl import SFTConfig

    given: dict[str, Any] = {
        "output_dir": str(out),
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "learning_rate": 3e-3,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "max_length": None,
        **changes,
    }
    ours = [name for name in given if name in RunArguments.__annotations__]
    model = {name: given.pop(name) for name in ours}
    return sft.train(
        DataArguments(held_out=2),
        sft.SftArguments(**told),
        RunArguments(model=str(tiny), **model),
        SFTConfig(**given),
    )


def losses(trainer: Any, name: str = "loss") -> list[float]:
    """As they were logged."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_loss_falls_and_the_result_loads(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    told = {"conversations": str(written(tmp_path))}
    trainer = run(tiny, tmp_path / "out", told, max_steps=20, eval_strategy="steps", eval_steps=10)
    found = losses(trainer)
    assert len(found) == 20
    assert found[0] > 5  # nothing is known yet: about the logarithm of some 550 pieces
    assert sum(found[-3:]) / 3 < 0.5 * found[0]
    held_out = losses(trainer, "eval_loss")
    assert len(held_out) == 2
    assert held_out[1] < held_out[0]
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out" / "final")
    weights = dict(trainer.model.named_parameters())
    assert all(bool((value == weights[name]).all()) for name, value in model.named_parameters())
    AutoProcessor.from_pretrained(tmp_path / "out" / "final")
    card = json.loads((tmp_path / "out" / "run_card.json").read_text())
    assert card["data"]["n_train"] == 4
    assert card["data"]["n_held_out"] == 2


def test_a_run_goes_on_as_if_it_had_not_stopped(tiny: Path, tmp_path: Path) -> None:
    import torch

    told = {"conversations": str(written(tmp_path))}
    saved = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6}
    whole = run(tiny, tmp_path / "whole", told, **saved)
    run(tiny, tmp_path / "parts", told, **saved | {"max_steps": 4})
    # A checkpoint that a kill tore is passed over.
    (tmp_path / "parts" / "checkpoint-4" / "whole").unlink()
    resumed = run(tiny, tmp_path / "parts", told, **saved)
    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-5)
    assert losses(resumed)[-1] < losses(resumed)[0]
    for (name, one), (_, other) in zip(
        whole.model.named_parameters(), resumed.model.named_parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-6), name


def merge(tiny: Path, adapter: Path) -> Any:
    """As the README tells."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(tiny, dtype="auto")
    PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(adapter / "merged")
    again = AutoModelForImageTextToText.from_pretrained(adapter / "merged")
    return dict(again.named_parameters())


def test_lora_and_a_frozen_vision_tower_leave_the_rest_alone(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft missing: pip install 'rrvf[train]'")
    import torch

    told = {"conversations": str(written(tmp_path))}
    trainer = run(tiny, tmp_path / "lora", told, lora_rank=4, gradient_checkpointing=True)
    names = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora" in name and "visual" not in name for name in names)
    assert losses(trainer)[-1] < losses(trainer)[0]
    merged = merge(tiny, tmp_path / "lora" / "final")
    learnt = dict(trainer.model.get_base_model().named_parameters())
    name = "model.language_model.layers.0.self_attn.q_proj"
    assert not torch.equal(merged[f"{name}.weight"], learnt[f"{name}.base_layer.weight"])
    trainer = run(tiny, tmp_path / "frozen", told, freeze_vision=True, max_steps=1)
    trained = {name: weight.requires_grad for name, weight in trainer.model.named_parameters()}
    assert {name for name, learns in trained.items() if not learns} == {
        name for name in trained if ".visual." in name
    }


_FORMS: tuple[tuple[Any, str], ...] = (
    ("tags", "<answer>\n```python\n"),
    ("block", "```python\n"),
)


def test_picture_and_code_of_scripts(chat: ChatTokens) -> None:
    data = DataArguments(data="synthetic:tiny?n=3&seed=1", held_out=1)
    for answer, form in _FORMS:
        told = sft.SftArguments(answer=answer)
        learnt, held_out, card = sft.find_conversations(data, told)
        assert (len(learnt), len(held_out)) == (2, 1)
        assert card["held_out"]["n"] == 1
        said = learnt[0].messages[-1].parts[0]
        assert isinstance(said, str)
        assert said.startswith(form)
        assert (learnt[0].messages[0].role == "system") == (answer == "tags")
        example = sft.as_example(chat, learnt[0], PIXELS)
        text = chat.text([one for one in example.labels if one != sft.IGNORED])
        assert text == said


def test_settings_that_do_not_fit_are_one_line(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training data: set conversations"):
        run(tiny, tmp_path / "out", {})
    with pytest.raises(UserError, match="score"):
        sft.find_conversations(
            DataArguments(data="synthetic:tiny?n=3"), sft.SftArguments(recorded=str(tmp_path))
        )
