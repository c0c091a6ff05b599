"""Rollouts by a scripted model through the real trainer: tokens, masks, pictures, losses."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from trl import GRPOConfig

from rrvf.agent import NO_CALL_LEFT, STOP, AgentSettings, Episode, widen
from rrvf.chat import Message, Picture
from rrvf.errors import HarnessError, UserError
from rrvf.policies import to_parts
from rrvf.types import Sample
from tests.chat_server import ChatServer
from tests.chat_server import answer as says
from tests.episodes import TARGET, answer, call
from tests.training.worlds import ScriptedModel, fake_world, sample, tokens_of
from training import grpo
from training.chat_tokens import ChatTokens
from training.generation import Generated, generate
from training.grpo import (
    check_context,
    check_groups,
    check_patience,
    check_turns,
    check_vllm,
    prepare,
    rows,
)
from training.models import load_model
from training.rollouts import Rollouts, Sampling, World, as_completion
from training.settings import (
    DataArguments,
    GrpoArguments,
    RewardArguments,
    RunArguments,
    WorldArguments,
)
from training.trainer import RrvfTrainer
from training.watchdog import Watchdog

pytestmark = pytest.mark.filterwarnings("default")

SEES = "<think>Bars.</think>" + call("ok blue")
MENDS = "<think>Red ones.</think>" + call("ok red")
ENDS = "." + answer("ok red")
TWO_TURNS = (SEES, ENDS)
THREE_TURNS = (SEES, MENDS, ENDS)


@contextmanager
def trainer_for(
    folder: Path, tiny: Path, processor: Any, world: World, model: Any, **arguments: Any
) -> Iterator[RrvfTrainer]:
    """The real trainer around a scripted model."""
    given = {
        "per_device_train_batch_size": 4,
        "num_generations": 4,
        "max_completion_length": 200,
        "logging_steps": 1,
        "report_to": [],
        "use_cpu": True,
        "save_strategy": "no",
        "max_steps": 1,
        **arguments,
    }
    config = GRPOConfig(output_dir=str(folder), **given)
    prepare(config, processor)
    watchdog = Watchdog(folder / "ranks", 0)
    rollouts = Rollouts(world, ChatTokens(processor), watchdog, sample, model)
    yield RrvfTrainer(
        rollouts=rollouts,
        watchdog=watchdog,
        model=load_model(RunArguments(model=str(tiny)), config),
        args=config,
        train_dataset=rows(["s0", "s1", "s2", "s3"]),
        processing_class=processor,
    )
    rollouts.close()
    watchdog.close()


def batch(trainer: RrvfTrainer, n: int = 4) -> dict[str, Any]:
    """One batch of rollouts of the same sample, as the trainer prepares it for the loss."""
    row = {"prompt": [{"role": "user", "content": "s0"}], "sample_id": "s0"}
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1  # as the training loop sets it
    return trainer._generate_and_score_completions([dict(row) for _ in range(n)])


def by_colour(*colours: str) -> ScriptedModel:
    """Conversation k calls once, then answers with its own colour."""
    return ScriptedModel(
        lambda number, turn: SEES if turn == 0 else "." + answer(f"ok {colours[number]}")
    )


# ------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("script", [TWO_TURNS, THREE_TURNS], ids=["two", "three"])
def test_only_what_the_model_wrote_is_trained_on(
    tmp_path: Path, tiny: Path, processor: Any, script: Sequence[str]
) -> None:
    model = ScriptedModel(lambda _, turn: script[turn])
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        output = batch(trainer)
    chat = ChatTokens(processor)
    ids, counts = output["completion_ids"][0], output["completion_mask"][0]
    mask = output["tool_mask"][0]
    kept = int(counts.sum())
    pieces: list[tuple[int, list[int]]] = []
    for token, own in zip(ids[:kept].tolist(), mask[:kept].tolist(), strict=True):
        if not pieces or pieces[-1][0] != own:
            pieces.append((own, []))
        pieces[-1][1].append(token)
    written = [chat.text(piece, special=True) for own, piece in pieces if own]
    assert written == [
        text.removeprefix(".") + "<|im_end|>" * text.startswith(".") for text in script
    ]
    told = [chat.text(piece, special=True) for own, piece in pieces if not own]
    assert len(told) == len(script) - 1
    for text in told:
        assert text.startswith("<|im_end|>\n<|im_start|>user\n<tool_response>---Comments:\n")
        assert text.endswith("<|vision_end|><|im_end|>\n<|im_start|>assistant\n")
        assert "The bars are red, not blue." in text


def test_a_rollout_reads_as_the_conversation_of_evaluation(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    model = ScriptedModel(lambda _, turn: THREE_TURNS[turn])
    world, shown = fake_world(), []
    rollouts = Rollouts(world, ChatTokens(processor), Watchdog(tmp_path, 0), sample, model)
    begun = rollouts._begin

    def begin(*given: Any) -> Any:
        shown.append(begun(*given))
        return shown[-1]

    rollouts._begin = begin  # type: ignore[method-assign]
    with trainer_for(tmp_path, tiny, processor, world, model) as trainer:
        found = rollouts.play(["s0"], trainer)
    chat = ChatTokens(processor)
    text = chat.text(found["prompt_ids"][0] + found["completion_ids"][0], special=True)
    collapsed = re.sub(r"(<\|image_pad\|>)+", "<|image_pad|>", text)
    last = Message("assistant", (ENDS.removeprefix("."),))
    conversation = [*shown[0].episode.messages(), last]
    rendered = processor.apply_chat_template(to_parts(conversation), tokenize=False)
    assert collapsed + "\n" == rendered
    assert collapsed.count("<|image_pad|>") == len(found["pictures"][0]) == 3


def test_text_after_a_stop_string_is_not_read_but_stays_in_the_rollout(processor: Any) -> None:
    chat = ChatTokens(processor)
    ids = tokens_of(chat, SEES + "\nand more")
    completion = as_completion(chat, Generated(ids, False, False))
    assert completion.text == SEES
    assert completion.output_tokens == len(ids)


def test_a_template_that_rewrites_earlier_turns_is_refused(processor: Any) -> None:
    class Forgetful:
        tokenizer = processor.tokenizer

        def apply_chat_template(self, messages: list[Any], **_: Any) -> str:
            return f"{len(messages)} messages, the last: {messages[-1]}"

    with pytest.raises(UserError, match="rewrites earlier turns"):
        ChatTokens(Forgetful())


# -------------------------------------------------------------------------------------- losses


def test_gradients_are_zero_on_what_the_model_was_told(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    model = by_colour("red", "green", "blue", "red")
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        output = batch(trainer)
        kept = []
        whole = trainer._get_per_token_logps_and_entropies

        def keep(*args: Any, **kwargs: Any) -> Any:
            logps, *rest = whole(*args, **kwargs)
            logps.retain_grad()
            kept.append(logps)
            return logps, *rest

        trainer._get_per_token_logps_and_entropies = keep  # type: ignore[method-assign]
        trainer.compute_loss(trainer.model, output).backward()
    own = (output["completion_mask"] * output["tool_mask"]).bool()
    gradient = kept[0].grad
    assert (gradient[~own] == 0).all()
    rewarded = own & (output["advantages"].unsqueeze(1).abs() > 1e-3)
    assert rewarded.any()
    assert (gradient[rewarded] != 0).all()


def loss_with(trainer: RrvfTrainer, output: dict[str, Any], old: torch.Tensor) -> float:
    with torch.no_grad():
        given = {**output, "old_per_token_logps": old}
        return float(trainer.compute_loss(trainer.model, given))


@pytest.mark.parametrize("which", [0, 1], ids=["of the prompt", "of the second turn"])
def test_a_changed_pixel_of_any_turn_changes_the_loss(
    tmp_path: Path, tiny: Path, processor: Any, which: int, one_thread: None
) -> None:
    model = by_colour("red", "green", "blue", "red")
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        output = batch(trainer)
        assert output["num_images"] == [2, 2, 2, 2]
        with torch.no_grad():
            logps, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model,
                torch.cat([output["prompt_ids"], output["completion_ids"]], 1),
                torch.cat([output["prompt_mask"], output["completion_mask"]], 1),
                output["completion_ids"].size(1),
                **{
                    name: output[name]
                    for name in (
                        "pixel_values",
                        "image_grid_thw",
                        "num_images",
                        "mm_token_type_ids",
                    )
                },
            )
        before = loss_with(trainer, output, logps)
        assert before == loss_with(trainer, output, logps)
        rows_of = output["image_grid_thw"].prod(-1).tolist()
        pixels = output["pixel_values"].clone()
        pixels[sum(rows_of[:which])] += 0.5
        after = loss_with(trainer, {**output, "pixel_values": pixels}, logps)
    assert after != before


def test_a_group_without_spread_or_without_any_reward_moves_nothing(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    alike = by_colour("red", "red", "red", "red")
    with trainer_for(tmp_path / "a", tiny, processor, fake_world(), alike) as trainer:
        assert batch(trainer)["advantages"].abs().max() < 1e-6
    lost = fake_world(lost=["s0"])
    with trainer_for(tmp_path / "b", tiny, processor, lost, by_colour(*["red"] * 4)) as trainer:
        output = batch(trainer)
        loss = trainer.compute_loss(trainer.model, output)
    assert output["tool_mask"].sum() == 0
    assert float(output["num_items_in_batch"]) == 1
    assert float(loss) == 0.0


def test_an_unscored_rollout_takes_no_part_in_its_group(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    """The same rewards with and without a lost rollout beside them give the same advantages."""
    rewards = {"red": 2.0, "green": 0.16}
    model = ScriptedModel(
        lambda number, turn: (
            SEES
            if turn == 0
            else "." + answer(("ok red", "broken now", "ok green", "ok green")[number])
        )
    )
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        output = batch(trainer)
        tokens = int((output["completion_mask"] * output["tool_mask"]).sum())
        trainer.log({})
    [told] = [entry for entry in trainer.state.log_history if "reward" in entry]
    scored = torch.tensor([rewards["red"], rewards["green"], rewards["green"]])
    expected = (scored - scored.mean()) / (scored.std() + 1e-4)
    assert torch.allclose(output["advantages"][[0, 2, 3]], expected, atol=1e-4)
    assert output["advantages"][1] == 0
    assert output["tool_mask"][1].sum() == 0
    assert float(output["num_items_in_batch"]) == tokens
    assert told["unscored"] == 0.25
    assert told["reward_std_in_groups"] == pytest.approx(float(scored.std()))
    assert told["runnable"] == 1.0


# ------------------------------------------------------------------------------------ the batch


def test_episodes_of_any_length_share_a_batch_and_are_counted(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    says = {
        "s0": THREE_TURNS,
        "s1": ("." + answer("ok red"),),
        "s2": ("Just words.",),
        "s3": (call("broken"),),
        "no_target": (),
    }

    class ByTarget(ScriptedModel):
        """Knows whose turn it is by who still goes on."""

    order = {0: ["s0", "s1", "s2", "s3"], 1: ["s0"], 2: ["s0"]}
    model = ByTarget(lambda number, turn: says[order[turn][number]][turn])
    world = fake_world()
    with trainer_for(tmp_path, tiny, processor, world, model) as trainer:
        rollouts = Rollouts(world, ChatTokens(processor), Watchdog(tmp_path, 0), sample, model)
        found = rollouts.play(list(says), trainer)
    assert model.n_conversations == [4, 1, 1]
    stops = [one.trajectory.stop_reason for one in found["rewarded"]]
    assert stops == ["answered", "answered", "no_action", "harness_error", "harness_error"]
    rewards = [one.reward.total for one in found["rewarded"]]
    # 0.8 vision + 0.2 format + 1.2 tool, by hand: the second answers without a call.
    assert rewards == [pytest.approx(2.0), pytest.approx(0.8), pytest.approx(-0.2), None, None]
    assert all(found["completion_ids"])
    assert found["env_mask"][4] == [0]


def test_an_observation_that_does_not_fit_ends_the_episode(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    model = ScriptedModel(lambda _, turn: THREE_TURNS[turn])
    chat = ChatTokens(processor)
    world = fake_world(max_tokens=len(tokens_of(chat, SEES)) + 10 + 200)
    with trainer_for(tmp_path, tiny, processor, world, model) as trainer:
        rollouts = Rollouts(world, chat, Watchdog(tmp_path, 0), sample, model)
        found = rollouts.play(["s0"], trainer)
    assert found["rewarded"][0].trajectory.stop_reason == "token_budget"
    assert all(found["env_mask"][0])


def test_an_episode_is_answered_before_its_budget_is_spent(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    def play(tell: bool) -> tuple[str, int, bool]:
        """How an episode ends whose model calls until it is told not to."""

        def answers(trainer: Any, chat: ChatTokens, prompts: Any, stop: Any) -> Any:
            text = chat.text(prompts[0].ids)
            said = "." + answer("ok red") if NO_CALL_LEFT in text else SEES
            return ScriptedModel(lambda _number, _turn: said)(trainer, chat, prompts, stop)

        chat = ChatTokens(processor)
        world = fake_world(max_tokens=1200, max_turns=40, tell_last_call=tell)
        with trainer_for(tmp_path, tiny, processor, world, answers) as trainer:
            rollouts = Rollouts(world, chat, Watchdog(tmp_path, 0), sample, answers)
            found = rollouts.play(["s0"], trainer)
        [ids] = found["completion_ids"] or []
        done = found["rewarded"][0]
        return done.trajectory.stop_reason, len(ids), done.reward.total > 1

    stop_reason, n_tokens, is_rewarded = play(tell=True)
    assert (stop_reason, is_rewarded) == ("answered", True)
    assert n_tokens <= 1200
    stop_reason, n_tokens, is_rewarded = play(tell=False)
    assert (stop_reason, is_rewarded) == ("token_budget", False)
    assert n_tokens <= 1200


def test_a_rank_whose_episodes_are_over_generates_along(
    tmp_path: Path, tiny: Path, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rank's conversations go on for two turns more than ours."""
    model = ScriptedModel(lambda number, turn: ENDS)
    others = iter([1, 1, 1, 0])
    monkeypatch.setattr(
        "training.rollouts.max_over_ranks", lambda mine, accelerator: max(mine, next(others))
    )
    world = fake_world()
    with trainer_for(tmp_path, tiny, processor, world, model) as trainer:
        rollouts = Rollouts(world, ChatTokens(processor), Watchdog(tmp_path, 0), sample, model)
        found = rollouts.play(["s0", "s1"], trainer)
    assert model.n_conversations == [2, 1, 1]
    assert [len(one.trajectory.turns) for one in found["rewarded"]] == [1, 1]


def test_where_nothing_can_be_measured_training_stops_in_one_line(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    world = fake_world(lost=["s0", "s1", "s2", "s3"])
    model = ScriptedModel(lambda _, turn: TWO_TURNS[turn])
    with (
        trainer_for(tmp_path, tiny, processor, world, model, max_steps=9) as trainer,
        pytest.raises(UserError, match=r"3 batches in a row by rank 0: the judge is down"),
    ):
        trainer.train()
    assert trainer.state.global_step == 2


def test_pictures_are_shown_as_evaluation_shows_them(processor: Any) -> None:
    out = io.BytesIO()
    Image.new("RGB", (56, 28), "red").save(out, "PNG")
    chat = ChatTokens(processor)
    tokens = chat.prompt([Message("user", ("Draw.", Picture(out.getvalue())))])
    text = chat.text(tokens.ids, special=True)
    assert text.count("<|image_pad|>") == 2  # 28 x 28 pixels a token
    assert [picture.size for picture in tokens.pictures] == [(56, 28)]
    assert AgentSettings.of("python").system() not in text


def test_a_group_of_one_teaches_nothing_and_is_told_as_one_without_spread(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    answers = ["ok red", "broken", "broken", "broken"]
    model = ScriptedModel(lambda number, turn: SEES if turn == 0 else "." + answer(answers[number]))
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        output = batch(trainer)
        trainer.log({})
    [told] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert output["tool_mask"].sum() == 0
    assert told["groups_without_spread"] == 1.0
    assert "reward_std_in_groups" not in told


def test_a_sample_that_cannot_begin_has_a_micro_batch_of_its_own(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    """It has no picture; the vision tower must be run all the same."""
    model = ScriptedModel(lambda _, turn: TWO_TURNS[turn])
    one_by_one = {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "num_generations": 4,
    }
    with trainer_for(tmp_path, tiny, processor, fake_world(), model, **one_by_one) as trainer:
        trainer.train_dataset = rows(["no_target", "s0"])
        trainer.train()
    [told] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert told["unscored"] == 0.5
    assert told["harness_failures"] == 0.5


def test_evaluation_gives_the_benchmark_s_own_metrics_over_all_batches(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    """Three held-out samples in batches of two and one; one answer does not run."""
    colours = iter(["ok red", "NameError", "ok blue"])
    model = ScriptedModel(lambda _, turn: "." + answer(next(colours)))
    evaluation = {"per_device_eval_batch_size": 2, "num_generations_eval": 1}
    with trainer_for(tmp_path, tiny, processor, fake_world(), model, **evaluation) as trainer:
        found = trainer.evaluate(rows(["s0", "s1", "s2"]))
    told = {**trainer.state.log_history[-1], **found}
    assert told["eval_metrics/exec_rate"] == pytest.approx(200 / 3)
    assert told["eval_metrics/n"] == 3
    assert "eval_metrics/other" not in told
    assert told["eval_unscored"] == 0.0
    assert told["eval_runnable"] == pytest.approx(2 / 3)
    # Whichever two share a batch: (1 + 0.6) / 2, not a mean of the batches' means.
    assert told["eval_likeness_of_runnable"] == pytest.approx(0.8)


def test_a_stripe_is_shown_to_the_policy_and_ends_nothing(processor: Any) -> None:
    out = io.BytesIO()
    Image.new("RGB", (3000, 9), "red").save(out, "PNG")
    chat = ChatTokens(processor)
    with pytest.raises(ValueError, match="aspect ratio"):
        chat.prompt([Message("user", (Picture(out.getvalue()),))])
    tokens = chat.prompt([Message("user", (Picture(widen(out.getvalue())),))])
    [picture] = tokens.pictures
    assert picture.size == (3000, 20)
    assert picture.getpixel((1500, 4)) == (255, 0, 0)
    assert picture.getpixel((1500, 19)) == (255, 255, 255)


def test_a_rank_generates_for_a_bounded_number_at_once(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    chat = ChatTokens(processor)
    prompts = [
        chat.prompt([Message("user", (f"Draw {'it ' * number}.", Picture(TARGET)))])
        for number in range(5)
    ]
    sizes: list[int] = []
    with trainer_for(tmp_path, tiny, processor, fake_world(), None) as trainer:
        trainer.model.eval()  # the likeliest words, so that chunks change nothing
        trainer.generation_config.max_new_tokens = 8
        replies = generate(trainer, chat, prompts, STOP)
        model_generate = trainer.model.generate

        def counted(**inputs: Any) -> Any:
            sizes.append(len(inputs["input_ids"]))
            return model_generate(**inputs)

        trainer.model.generate = counted
        trainer.conversations_at_once = 2
        assert generate(trainer, chat, prompts, STOP) == replies
    assert sizes == [2, 2, 1]


def test_the_context_of_vllm_holds_a_whole_episode(tmp_path: Path, processor: Any) -> None:
    world = fake_world(max_tokens=1000)
    chat = ChatTokens(processor)
    rollouts = Rollouts(world, chat, Watchdog(tmp_path, 0), sample)
    longest = rollouts.longest_episode()
    prompt = chat.prompt(Episode("", "", TARGET, world.settings).messages())
    assert longest >= 1000 + len(prompt.ids)

    def arguments(**changes: Any) -> SimpleNamespace:
        given = {"use_vllm": True, "vllm_mode": "colocate", "vllm_max_model_length": longest - 1}
        return SimpleNamespace(**{**given, **changes})

    with pytest.raises(UserError, match=f"{longest - 1}. is too short: .* up to {longest} tokens"):
        check_context(arguments(), longest)
    check_context(arguments(vllm_max_model_length=longest), longest)
    check_context(arguments(vllm_max_model_length=None), longest)
    check_context(arguments(vllm_mode="server"), longest)
    check_context(arguments(use_vllm=False), longest)


def test_vllm_is_missed_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'rrvf\[chart,judge,train-vllm\]'"):
        check_vllm(SimpleNamespace(use_vllm=True))
    check_vllm(SimpleNamespace(use_vllm=False))


def test_the_log_tells_the_most_memory_of_each_phase(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    model = ScriptedModel(lambda _number, turn: TWO_TURNS[turn])
    with trainer_for(tmp_path, tiny, processor, fake_world(), model, max_steps=2) as trainer:
        sizes = iter(range(1, 1000))
        trainer._watchdog._take_peak = lambda: next(sizes) * 2**30
        trainer.train()
    logged = [entry for entry in trainer.state.log_history if "step_time" in entry]
    for entry in logged:
        told = {name for name in entry if name.startswith("memory_gib/")}
        assert told >= {f"memory_gib/{phase}" for phase in ("training", "generate", "judge")}
    assert logged[0]["memory_gib/judge"] < logged[1]["memory_gib/judge"]  # each since the last


# --------------------------------------------------------------------- which episodes are played


def played_with(
    tmp_path: Path, tiny: Path, processor: Any, model: Any, sampling: Sampling, **more: Any
) -> tuple[RrvfTrainer, dict[str, Any], Rollouts]:
    """A batch of the trainer's: 8 episodes, in groups of 4."""
    given = {"per_device_train_batch_size": 8, "num_generations": 4, **more}
    with trainer_for(tmp_path, tiny, processor, fake_world(), model, **given) as trainer:
        trainer.model.train()
        world, watchdog = fake_world(), Watchdog(tmp_path / "ranks", 0)
        rollouts = Rollouts(world, ChatTokens(processor), watchdog, sample, model, sampling)
        found = rollouts.play(["s0"] * 4 + ["s1"] * 4, trainer)
        rollouts.close()
    return trainer, found, rollouts


def test_groups_without_spread_are_drawn_again_from_other_samples(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    batches: list[int] = []

    def answers(trainer: Any, chat: ChatTokens, prompts: Any, stop: Any) -> Any:
        batches.append(len(prompts))
        # At first the second group is all alike; what is drawn for it is not.
        colours = ["red", "blue", "green", "red", *["red"] * 4]
        if len(batches) > 1:
            colours = ["red", "blue", "green", "blue"]
        said = [
            f".<think>a</think><answer>```python\nok {colour}\n```</answer>" for colour in colours
        ]
        return ScriptedModel(lambda number, _turn: said[number])(trainer, chat, prompts, stop)

    sampling = Sampling(redraws=3, ids=("s0", "s1", "s2", "s3"))
    _, found, rollouts = played_with(tmp_path, tiny, processor, answers, sampling)
    assert batches == [8, 4]
    assert rollouts.n_drawn_again == 1
    names = [one.trajectory.sample_id for one in found["rewarded"]]
    assert names[:4] == ["s0"] * 4
    assert len(set(names[4:])) == 1
    assert names[4] in ("s2", "s3")
    assert [one.trajectory.repeat for one in found["rewarded"]] == [0, 1, 2, 3] * 2
    visions = [one.reward.vision for one in found["rewarded"]]
    assert visions == [1.0, 0.6, 0.2, 1.0, 1.0, 0.6, 0.2, 0.6]
    # Tokens and pictures are those of the new episodes.
    for name in ("prompt_ids", "completion_ids", "env_mask", "pictures"):
        assert len(found[name]) == 8


def test_drawing_again_is_bounded_and_off_by_default(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    def count(sampling: Sampling) -> tuple[int, int]:
        model = ScriptedModel(lambda _number, _turn: ENDS)
        _, _, rollouts = played_with(tmp_path, tiny, processor, model, sampling)
        return sum(model.n_conversations), rollouts.n_drawn_again

    assert count(Sampling(ids=("s2",))) == (8, 0)
    assert count(Sampling(redraws=2, ids=("s2",))) == (24, 4)


def test_a_rank_without_flat_groups_plays_along(
    tmp_path: Path, tiny: Path, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rank has one flat group, whose episodes take one turn."""
    ours: list[int] = []
    others = iter([0, 0, 1, 4, 0, 0])  # 2 turns, its flat groups, 1 turn, then nothing

    def gather(number: int, accelerator: Any) -> int:
        ours.append(number)
        return max(number, next(others))

    monkeypatch.setattr("training.rollouts.max_over_ranks", gather)
    colours = ["red", "blue"] * 4
    model = ScriptedModel(lambda number, _turn: "." + answer(f"ok {colours[number]}"))
    sampling = Sampling(redraws=1, ids=("s2",))
    _, found, rollouts = played_with(tmp_path, tiny, processor, model, sampling)
    assert ours == [8, 0, 0, 0, 0]
    assert model.n_conversations == [8, 1]  # once the filler, as long as the other rank plays
    assert rollouts.n_drawn_again == 0
    assert [one.trajectory.sample_id for one in found["rewarded"]] == ["s0"] * 4 + ["s1"] * 4


def test_a_shared_first_turn_is_generated_once_and_not_learnt_from(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    colours = ["red", "blue", "green", "red", "blue", "red", "green", "blue"]
    model = ScriptedModel(
        lambda number, turn: SEES if turn == 0 else "." + answer(f"ok {colours[number]}")
    )
    _, found, _ = played_with(tmp_path, tiny, processor, model, Sampling(shared_first_turn=True))
    assert model.n_conversations == [2, 8]  # one a group, then all
    n_first = len(tokens_of(ChatTokens(processor), SEES))
    for group in (range(4), range(4, 8)):
        firsts = {tuple(found["completion_ids"][number][:n_first]) for number in group}
        assert len(firsts) == 1
    for ids, mask in zip(found["completion_ids"], found["env_mask"], strict=True):
        assert len(ids) == len(mask)
        assert mask[:n_first] == [0] * n_first
        assert sum(mask) > 0  # the answer
    assert [len(one.trajectory.turns) for one in found["rewarded"]] == [2] * 8
    visions = [one.reward.vision for one in found["rewarded"]]
    assert visions == [1.0, 0.6, 0.2, 1.0, 0.6, 1.0, 0.2, 0.6]


def test_parts_of_a_batch_take_turns(tmp_path: Path, tiny: Path, processor: Any) -> None:
    """While one part is rendered the other generates; the episodes are the same."""
    events: list[str] = []
    model = ScriptedModel(lambda _number, turn: TWO_TURNS[turn])

    def generating(trainer: Any, chat: ChatTokens, prompts: Any, stop: Any) -> Any:
        events.append(f"generate {len(prompts)}")
        return model(trainer, chat, prompts, stop)

    def play(parts: int) -> list[Any]:
        events.clear()
        _, found, _ = played_with(tmp_path, tiny, processor, generating, Sampling(parts=parts))
        return [found["completion_ids"], found["env_mask"]]

    whole = play(1)
    assert events == ["generate 8"] * 2
    assert play(2) == whole
    assert events == ["generate 4"] * 4
    assert play(3) == whole  # more parts than groups: one is empty
    assert events == ["generate 4"] * 4


@pytest.mark.parametrize("name", ["redraws", "shared_first_turn"])
def test_what_looks_at_groups_needs_them_whole(name: str) -> None:
    run = GrpoArguments(**{name: 1})
    whole = SimpleNamespace(
        per_device_train_batch_size=2, steps_per_generation=4, num_generations=4
    )
    check_groups(run, whole)
    shared = SimpleNamespace(**{**vars(whole), "num_generations": 16})
    with pytest.raises(UserError, match=f"{name} needs whole groups on a rank"):
        check_groups(run, shared)
    check_groups(GrpoArguments(), shared)
    with pytest.raises(UserError, match="parts and conversations_at_once must be at least 1"):
        check_groups(GrpoArguments(parts=0), whole)


def test_a_shared_first_turn_needs_another_to_learn_from() -> None:
    run = GrpoArguments(shared_first_turn=True)
    check_turns(run, fake_world(max_turns=2))
    check_turns(GrpoArguments(), fake_world(max_turns=1))
    with pytest.raises(UserError, match="give max_turns of 2 or more") as told:
        check_turns(run, fake_world(max_turns=1))
    assert "\n" not in str(told.value)


def test_ranks_outlast_one_that_waits_for_its_servers() -> None:
    def check(
        n_servers: int, patience: float, world_size: int = 2, ddp_timeout: int = 1800
    ) -> None:
        servers: Any = (None,) * n_servers
        world = replace(fake_world(), servers=servers, server_patience=patience)
        arguments = SimpleNamespace(world_size=world_size, ddp_timeout=ddp_timeout)
        check_patience(world, arguments)

    check(2, 300.0)  # as it stands without a word
    check(2, 750.0)
    check(1, 1500.0)
    check(2, 751.0, ddp_timeout=1802)
    check(2, 9000.0, world_size=1)  # nobody waits for it
    check(0, 9000.0)
    with pytest.raises(UserError, match="ddp_timeout of 1802 or more") as told:
        check(2, 751.0)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("world", "run", "line"),
    [
        ({"max_turns": 1}, {"shared_first_turn": True}, "give max_turns of 2 or more"),
        ({"server_patience": 2000.0}, {}, "give ddp_timeout of 2300 or more"),
    ],
)
def test_a_run_that_cannot_learn_or_wait_does_not_start(
    tmp_path: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    world: dict[str, Any],
    run: dict[str, Any],
    line: str,
) -> None:
    """It ends in one line, before the model is loaded."""
    monkeypatch.setattr("training.models.load_model", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(GRPOConfig, "world_size", 2)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    config = GRPOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        per_device_train_batch_size=8,
    )
    with ChatServer(lambda _: says("Score: 9/10")) as server, pytest.raises(UserError, match=line):
        grpo.train(
            DataArguments(data="synthetic:tiny?n=2"),
            WorldArguments(judge="judge", judge_base_url=server.url, workers=1, **world),
            RewardArguments(),
            GrpoArguments(model=str(tiny), **run),
            config,
        )


# ------------------------------------------------------------------------------ how they begin


def test_episodes_of_a_sample_share_its_prompt(
    tmp_path: Path, tiny: Path, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[Any] = []
    make_prompt = ChatTokens.prompt

    def count(self: ChatTokens, messages: Any) -> Any:
        prompts.append(messages)
        return make_prompt(self, messages)

    model = ScriptedModel(lambda _, turn: TWO_TURNS[turn])
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        monkeypatch.setattr(ChatTokens, "prompt", count)
        output = batch(trainer)
    assert len(prompts) == 1
    first, *others = output["prompt_ids"].tolist()
    assert all(prompt == first for prompt in others)


def test_a_prompt_that_fails_once_costs_one_episode_at_most(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    n_asked = 0

    def find(name: str) -> Sample:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 1:
            raise HarnessError("the disk is slow")
        return sample(name)

    model = ScriptedModel(lambda _, turn: TWO_TURNS[turn])
    with trainer_for(tmp_path, tiny, processor, fake_world(), model) as trainer:
        trainer.model.train()
        rollouts = Rollouts(fake_world(), ChatTokens(processor), Watchdog(tmp_path, 0), find, model)
        found = rollouts.play(["s0"] * 4, trainer)
        rollouts.close()
    assert [entry.trajectory.failed for entry in found["rewarded"] or ()] == [False] * 4
