"""Checkpoints are loaded, frozen, adapted and found again; what cannot be is one line."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from rrvf.chat import Message, Picture
from rrvf.errors import UserError
from rrvf.renderers.chart import ChartRenderer
from rrvf.rewards import Rewarder, RewardSettings, as_trajectory
from tests.benches import chart_bench
from tests.chat_server import ChatServer
from tests.chat_server import answer as reply_with
from tests.episodes import answer
from tests.training.test_rollouts import trainer_for
from tests.training.worlds import ScriptedModel, fake_world
from training import chat_tokens
from training.checkpoints import find_checkpoint, load_weights
from training.data import load
from training.grpo import check_judge, finder, open_data, prepare
from training.models import (
    freeze_vision,
    load_model,
    load_processor,
    lora,
    skip_frozen_vision,
)
from training.settings import DataArguments, RewardArguments, RunArguments, WorldArguments
from training.worlds import open_world, reward_settings

pytestmark = pytest.mark.filterwarnings("default")


def blank() -> bytes:
    """A white picture."""
    out = io.BytesIO()
    Image.new("RGB", (56, 56), "white").save(out, "PNG")
    return out.getvalue()


FULL = SimpleNamespace(bf16=False, deepspeed=None)


def test_a_frozen_vision_tower_is_the_only_part_that_stays(tiny: Path) -> None:
    model = load_model(RunArguments(model=str(tiny), freeze_vision=True), FULL)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == ("visual" not in name), name
    with pytest.raises(UserError, match="has no part called visual"):
        freeze_vision(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_frozen_vision_tower_is_not_differentiated(
    tiny: Path, processor: Any, lora_rank: int
) -> None:
    from peft import get_peft_model

    picture = chat_tokens.open_pictures([Message("user", (Picture(blank()),))])
    inputs = processor(text=["<|vision_start|><|image_pad|><|vision_end|>a"], images=picture)
    inputs = inputs.convert_to_tensors("pt")

    def train(skip: bool) -> tuple[bool, dict[str, torch.Tensor]]:
        """Whether the pictures' features carry a gradient, and the gradients of all weights."""
        run = RunArguments(model=str(tiny), freeze_vision=True, lora_rank=lora_rank)
        model = load_model(run, FULL)
        torch.manual_seed(0)
        if lora_rank:
            model = get_peft_model(model, lora(run, model))
        model.train()
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
        if skip:
            skip_frozen_vision(model)
        features: list[Any] = []
        [tower] = [module for name, module in model.named_modules() if name.endswith("visual")]
        tower.register_forward_hook(lambda _module, _inputs, output: features.append(output))
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        [output] = features
        needs_grad = any(
            value.requires_grad for value in output.values() if isinstance(value, torch.Tensor)
        )
        gradients = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        return needs_grad, gradients

    was_differentiated, before = train(skip=False)
    is_differentiated, after = train(skip=True)
    assert not is_differentiated
    assert was_differentiated  # what this is for
    assert before.keys() == after.keys()
    assert all(torch.allclose(value, after[name], atol=1e-6) for name, value in before.items())


def test_attention_is_computed_as_it_is_asked_for(tiny: Path) -> None:
    model = load_model(RunArguments(model=str(tiny), attention="eager"), FULL)
    assert model.config._attn_implementation == "eager"
    with pytest.raises(UserError, match=r"no weights to load: .*[Ff]lash"):
        load_model(RunArguments(model=str(tiny), attention="flash_attention_2"), FULL)
    with pytest.raises(UserError, match=r"no weights to load: .*sdap"):
        load_model(RunArguments(model=str(tiny), attention="sdap"), FULL)


def test_weights_are_short_only_where_steps_are_not_lost_in_rounding(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCELERATE_USE_DEEPSPEED", raising=False)

    def dtype(lora_rank: int = 0, **told: Any) -> torch.dtype:
        arguments = SimpleNamespace(**{"bf16": True, "deepspeed": None, **told})
        return load_model(RunArguments(model=str(tiny), lora_rank=lora_rank), arguments).dtype

    assert dtype() == torch.float32
    assert dtype(bf16=False, deepspeed="zero2.json") == torch.float32
    assert dtype(deepspeed="zero2.json") == dtype(lora_rank=4) == torch.bfloat16


def test_lora_trains_the_language_model_alone(tmp_path: Path, tiny: Path, processor: Any) -> None:
    model = load_model(RunArguments(model=str(tiny)), FULL)
    settings = lora(RunArguments(model=str(tiny), lora_rank=4), model)
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(model, settings)
    trained = [name for name, value in adapted.named_parameters() if value.requires_grad]
    assert trained
    assert all("lora" in name and "visual" not in name for name in trained)
    assert any("q_proj" in name for name in trained)
    assert any("down_proj" in name for name in trained)
    assert lora(RunArguments(model=str(tiny)), model) is None


def test_a_checkpoint_is_read_whole_whatever_its_names(tiny: Path, tmp_path: Path) -> None:
    """transformers' own trainer leaves the weights of the start in place here."""
    model = load_model(RunArguments(model=str(tiny)), FULL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    model.save_pretrained(tmp_path)
    again = load_model(RunArguments(model=str(tiny)), FULL)
    load_weights(tmp_path, again)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_only_whole_checkpoints_are_gone_on_from(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) is None
    for step in (2, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}" / "whole").touch()
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model: name a checkpoint"):
        load_processor(RunArguments())
    with pytest.raises(UserError, match="no processor to load"):
        load_processor(RunArguments(model=str(tmp_path)))
    with pytest.raises(UserError, match="no weights to load"):
        load_model(RunArguments(model=str(tmp_path)), FULL)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"deepspeed": "x.json", "use_cpu": True}, "use_cpu switches DeepSpeed off"),
        ({"use_transformers_continuous_batching": True}, "does not take pictures"),
        ({"mask_truncated_completions": True}, "takes every answer for cut off"),
        ({"save_total_limit": 1}, "save_total_limit: 1"),
        ({"save_steps": 3, "num_iterations": 2}, "must be a multiple of 2"),
    ],
)
def test_settings_that_break_episodes_are_refused(
    processor: Any, wrong: dict[str, Any], line: str
) -> None:
    given = {
        "deepspeed": None,
        "use_cpu": False,
        "use_transformers_continuous_batching": False,
        "mask_truncated_completions": False,
        "save_strategy": "steps",
        "save_total_limit": None,
        "save_steps": 2,
        "gradient_accumulation_steps": 4,
        "steps_per_generation": 4,
        "num_iterations": 1,
    }
    with pytest.raises(UserError, match=line):
        prepare(SimpleNamespace(**{**given, **wrong}), processor)


def test_data_and_world_that_do_not_fit_are_refused() -> None:

    with pytest.raises(UserError, match="no data: name a source"):
        open_data(DataArguments())
    with pytest.raises(UserError, match="is not data of chartmimic"):
        open_data(DataArguments(data="synthetic:charts?n=4", held_out_data="synthetic:pages?n=4"))
    with (
        pytest.raises(UserError, match="max_rollout_tokens"),
        open_world(
            "chartmimic",
            WorldArguments(max_rollout_tokens=100),
            RewardArguments(),
            turn_tokens=100,
            with_reference=True,
        ),
    ):
        pass
    told = RewardArguments(reward_vision="text=1, color=3", tool_gate=None)
    assert reward_settings(told).vision == {"text": 1.0, "color": 3.0}
    assert reward_settings(told).tool_gate is None


def test_held_out_samples_are_no_training_samples() -> None:
    train, held_out, card = open_data(
        DataArguments(data="synthetic:tiny?n=40", held_out=8, setting="with_reference")
    )
    assert held_out is not None
    assert len(held_out) == 8
    assert not set(train.ids) & set(held_out.ids)
    assert card["held_out"]["n"] == 8


def test_evaluation_takes_the_likeliest_words(tmp_path: Path, tiny: Path, processor: Any) -> None:
    """Twice the same: nothing is sampled in evaluation."""
    from training.chat_tokens import ChatTokens
    from training.generation import generate

    model = ScriptedModel(lambda _, turn: "." + answer("ok red"))
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        chat = ChatTokens(processor)
        from rrvf.chat import Message

        prompts = [chat.prompt([Message("user", (f"Draw {number}.",))]) for number in range(3)]
        trainer.model.eval()
        first = generate(trainer, chat, prompts, ("</answer>",))
        assert generate(trainer, chat, prompts, ("</answer>",)) == first
        trainer.model.train()
        torch.manual_seed(0)
        sampled = generate(trainer, chat, prompts, ("</answer>",))
        assert [one.ids for one in sampled] != [one.ids for one in first]
        placeholders = [processor.image_token, processor.video_token]
        never = set(processor.tokenizer.convert_tokens_to_ids(placeholders))
        for one in (*first, *sampled):
            assert not never & set(one.ids)
            assert len(one.ids) <= 200


def test_the_card_of_a_run_holds_no_secret_of_an_address() -> None:
    from training.grpo import _strip_secrets

    told = {"judge_base_url": "https://user:sk-1@host:8000/v1?key=sk-2", "more": [1, "a://b@c/d"]}
    assert _strip_secrets(told) == {
        "judge_base_url": "https://host:8000/v1",
        "more": [1, "a://c/d"],
    }


def test_a_reference_that_does_not_save_is_matched_by_itself() -> None:
    """Officially it has no texts, and an equal answer scores 0 there."""
    data = load("synthetic:charts?level=2&n=1", setting="with_reference")
    sample = finder([data])(data.ids[0])
    assert "savefig" not in (data[0].reference_code or "savefig")
    text = f"```python\n{data[0].reference_code}\n```"
    with ChartRenderer(workers=1) as renderer:
        rewarder = Rewarder(chart_bench(renderer), RewardSettings(vision={"text": 1, "color": 1}))
        found = rewarder(sample, as_trajectory(sample, text, "python"))
    assert found.reward.vision == 1.0
    assert found.outcome.result.scores["text"].value == 1.0


def test_a_fresh_run_asks_anew_what_was_said_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One judge for all runs; under another address only if it is named."""
    from rrvf.chat import Message
    from rrvf.scorers.model_judge import ModelJudge
    from training.settings import RewardArguments, WorldArguments

    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path))

    def says(url: str, since: float = 0.0, **told: Any) -> str:
        arguments = WorldArguments(judge="m", judge_base_url=url, **told)
        with open_world(
            "chartmimic",
            arguments,
            RewardArguments(),
            turn_tokens=100,
            with_reference=True,
            since=since,
        ) as world:
            judge = world.bench.judge
            assert isinstance(judge, ModelJudge)
            return judge.chat.ask([Message("user", ("How alike?",))]).text

    with ChatServer(lambda _: reply_with("one")) as first:
        assert says(first.url) == "one"
        assert says(first.url, judge_name="ours") == "one"
    with ChatServer(lambda _: reply_with("two")) as second:
        assert says(second.url) == "two"
        assert says(second.url, judge_name="ours") == "one"
        assert says(second.url, time.time() + 0.05, judge_name="ours") == "two"


def test_the_old_name_of_the_reward_warns_and_means_the_new(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = RewardArguments(reward_vision="pixel=2, text=1")
    assert reward_settings(told).vision == {"likeness": 2.0, "text": 1.0}
    assert "pixel is now likeness" in caplog.text


def test_a_run_is_not_gone_on_with_under_another_judge(tmp_path: Path) -> None:
    told = WorldArguments(judge="likeness")
    reward = RewardArguments(reward_vision="likeness")
    with open_world("chartmimic", told, reward, turn_tokens=64, with_reference=True) as world:
        check_judge(tmp_path, world)
        card = tmp_path / "run_card.json"
        for judge in ({"name": "pixel", "judge": "pixel", "width": 384}, None):
            card.write_text(json.dumps({"scoring": {"judge": judge}}))
            with pytest.raises(UserError, match="would resume with likeness 1"):
                check_judge(tmp_path, world)
        card.write_text(json.dumps({"scoring": world.bench.protocol()}))
        check_judge(tmp_path, world)
