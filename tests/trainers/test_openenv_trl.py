"""TRL's trainer with environments of ours: one step, its second turn holding the rendering.

What the model says is given by a script, in place of what it really generates from the same
conversation; everything else is TRL's, the service's and the model's own: the parser of tool calls,
the tool, the pictures, the masks, the forward pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from rrvf.episodes import Trajectories
from rrvf.errors import UserError
from rrvf.options import RewardOptions
from rrvf.rewards import read_rewards, reward_of
from rrvf.run_folder import read_results
from rrvf.trainers.openenv import RrvfEnv
from rrvf.trainers.openenv.trl import (
    ChartEnvironment,
    list_rows,
    make_environment_factory,
    prepare_processor,
    read_completions,
    reward,
)
from tests.chat_server import ChatServer, Reply, Request, completion, reply
from tests.runs import plot, rrvf
from tests.served import Served, serving, write_files
from tests.test_same_floats import block
from training.tiny_model import build

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("default")]

TITLES = {"a": "Tides", "b": "Winds"}
TOOL = "python_render_and_compare_tool"
WORDS = ("--reward-vision", "text=1", "--scorers", "execution,text", "--max-turns", 3)


def call(code: str) -> str:
    told = json.dumps({"name": TOOL, "arguments": {"python_code": code}})
    return f"<think>Look.</think><tool_call>{told}</tool_call><|im_end|>"


def answer(code: str) -> str:
    return f"<think>So.</think><answer>{block(code)}</answer><|im_end|>"


SCRIPTS: Sequence[Sequence[str]] = (
    (call(plot("Fog")), answer(plot("Tides"))),
    (call(plot("Fog")), call(plot("Tides")), answer(plot("Other words"))),
    (answer("raise ValueError('no')"),),
    (call(plot("Tides")), "<think>So.</think>The answer would"),
)
"""Of four rollouts of one sample: drawn once, drawn twice, not at all, and one that is cut off."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {f"{name}.py": plot(title) for name, title in TITLES.items()}
    return write_files(tmp_path_factory.mktemp("data"), files)


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Served]:
    words = ("--data", data, "--interface", "openenv", "--native-tools")
    with serving("chartmimic", *words, *WORDS) as started:
        yield started


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def processor(tiny: Path) -> Any:
    loaded = AutoProcessor.from_pretrained(tiny, padding_side="left")
    prepare_processor(loaded)
    return loaded


@dataclass
class Seen:
    """What a step was made of.

    Attributes:
        prompts: Tokens of every prompt that was gone on with, turn by turn.
        n_pictures: That all prompts of a turn were generated from.
        batch: What the loss was computed from.
        forward: Rows of ``image_grid_thw`` in every forward pass of the model.
    """

    prompts: list[list[list[int]]]
    n_pictures: list[int]
    batch: dict[str, Any]
    forward: list[int]


def make_trainer(folder: Path, tiny: Path, processor: Any, url: str, **more: Any) -> GRPOTrainer:
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=1500,
        max_tool_calling_iterations=2,
        max_steps=1,
        learning_rate=1e-3,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        logging_steps=1,
        shuffle_dataset=False,
        gradient_checkpointing=False,
    )
    return GRPOTrainer(
        model=AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list(list_rows(url, ["a"])),
        processing_class=processor,
        environment_factory=make_environment_factory(url, processor),
        **{"reward_funcs": reward, **more},
    )


def train(trainer: GRPOTrainer, processor: Any, scripts: Sequence[Sequence[str]]) -> Seen:
    """One step in which rollout k says what its script says."""
    seen = Seen([], [], {}, [])

    def generate(prompt_ids: Any, images: Any, fields: Any, *given: Any, **more: Any) -> Any:
        turn = len(seen.prompts)
        seen.n_pictures.append(len(fields["image_grid_thw"]))
        really_generated, _ = generated(prompt_ids, images, fields, *given, **more)
        assert len(really_generated) == len(prompt_ids)
        seen.prompts.append([list(ids) for ids in prompt_ids])
        texts = [script[turn] for script in scripts if len(script) > turn]
        assert len(texts) == len(prompt_ids)
        return [processor.tokenizer(text)["input_ids"] for text in texts], None

    def score(inputs: Any) -> Any:
        seen.batch = scored(inputs)
        return seen.batch

    def watch(_: Any, __: Any, given: Mapping[str, Any]) -> None:
        grid = given.get("image_grid_thw")
        seen.forward.append(0 if grid is None else len(grid))

    generated = trainer._generate_single_turn
    scored = trainer._generate_and_score_completions
    trainer.generation_config.max_new_tokens = 3
    trainer._generate_single_turn = generate
    trainer._generate_and_score_completions = score
    handle = trainer.model.register_forward_pre_hook(watch, with_kwargs=True)
    trainer.train()
    handle.remove()
    return seen


def keep(seen: dict[str, Any]) -> Callable[..., list[float | None]]:
    """The reward, and what it was asked."""

    def rrvf_reward(completions: Any, environments: Any, **columns: Any) -> list[float | None]:
        rewards = reward(completions, environments, **columns)
        seen.update(completions=completions, environments=list(environments), rewards=rewards)
        return rewards

    return rrvf_reward


def test_a_step_sees_every_rendering_and_learns_from_nothing_it_was_told(
    tmp_path: Path, tiny: Path, processor: Any, service: Served, data: Path
) -> None:
    asked: dict[str, Any] = {}
    trainer = make_trainer(tmp_path, tiny, processor, service.url, reward_funcs=keep(asked))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    seen = train(trainer, processor, SCRIPTS)
    n_shown = [2, 3, 1, 2]  # the target, and every rendering
    batch = seen.batch
    assert list(batch["num_images"]) == n_shown
    assert len(batch["image_grid_thw"]) == sum(n_shown)
    assert seen.forward[-1] == sum(n_shown)
    assert seen.n_pictures == [4, 6, 3]
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    expected = int((batch["image_grid_thw"].prod(-1) // 4).sum())
    assert int((tokens == pad).sum()) == expected
    assert_only_own_words_count(batch, processor)
    assert_prompt_is_that_of_evaluation(seen, processor, service.url)
    stops = [environment.outcome.stop_reason for environment in asked["environments"]]
    assert list(zip(asked["rewards"], stops, strict=True)) == evaluate_all(tmp_path, data)
    assert stops == ["answered", "answered", "answered", "token_budget"]
    assert len(set(asked["rewards"])) == 3
    moved = [
        name
        for name, value in trainer.model.named_parameters()
        if not torch.equal(value, before[name])
    ]
    assert any("visual" in name for name in moved)
    assert any("layers" in name for name in moved)


def assert_only_own_words_count(batch: Mapping[str, Any], processor: Any) -> None:
    """What counts in the loss is the script, to the token; what the tool said does not."""
    decode = processor.tokenizer.decode
    own = batch["completion_mask"].bool() & batch["tool_mask"].bool()
    told = batch["completion_mask"].bool() & ~batch["tool_mask"].bool()
    for number, script in enumerate(SCRIPTS):
        ids = batch["completion_ids"][number]
        assert decode(ids[own[number]]) == "".join(script)
        text = decode(ids[told[number]])
        assert text.count("<tool_response>") == len(script) - 1
        assert text.count("<|vision_start|>") == len(script) - 1
        assert text.count("What your code renders to:") == len(script) - 1


def assert_prompt_is_that_of_evaluation(seen: Seen, processor: Any, url: str) -> None:
    """System message, tool, instruction and picture are those of ``rrvf eval --native-tools``."""
    with RrvfEnv(url).sync() as client:
        observation = client.reset(sample="a").observation
    told = processor.apply_chat_template(
        observation.messages, tools=observation.tools, add_generation_prompt=True, tokenize=False
    )
    assert collapse(processor.tokenizer.decode(seen.prompts[0][0])) == told


def collapse(text: str) -> str:
    """One placeholder a picture."""
    while "<|image_pad|><|image_pad|>" in text:
        text = text.replace("<|image_pad|><|image_pad|>", "<|image_pad|>")
    return text


def evaluate_all(folder: Path, data: Path) -> list[tuple[float | None, str]]:
    """What ``rrvf eval --native-tools`` makes of the same words, said by a server's model."""
    return [evaluate(folder / str(number), data, script) for number, script in enumerate(SCRIPTS)]


def evaluate(folder: Path, data: Path, script: Sequence[str]) -> tuple[float | None, str]:
    def say(request: Request) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.body["messages"])
        return as_served(script[turn])

    with ChatServer(say) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        words = ("--data", data, "--native-tools", "--limit", 1, *WORDS[2:])
        policy = ("--policy", "policy", "--base-url", server.url, "--out", folder)
        done = rrvf("eval", "chartmimic", *words, *policy)
        assert done.returncode == 0, done.stderr
    results, _ = read_results(folder)
    trajectory = Trajectories(folder).find("a", None)
    assert trajectory is not None
    settings = read_rewards(RewardOptions(reward_vision="text=1"))
    total = reward_of(trajectory, results["a"], settings, "python").total
    return total, trajectory.stop_reason


def as_served(text: str) -> Reply:
    """A completion as a server with parsers of thoughts and of tool calls gives it."""
    ended = text.endswith("<|im_end|>")
    thought, _, rest = text.removesuffix("<|im_end|>").removeprefix("<think>").partition("</think>")
    calls = re.findall(r"<tool_call>(.*?)</tool_call>", rest, re.DOTALL)
    told = [json.loads(one) for one in calls]
    native = [
        {
            "id": "",
            "type": "function",
            "function": {"name": one["name"], "arguments": json.dumps(one["arguments"])},
        }
        for one in told
    ]
    content = re.sub(r"<tool_call>.*?</tool_call>", "", rest, flags=re.DOTALL)
    said = completion(content, reasoning_content=thought, tool_calls=native or None)
    said["choices"][0]["finish_reason"] = "stop" if ended else "length"
    return reply(said)


def test_a_rollout_without_a_reward_takes_no_part_in_its_group(
    tmp_path: Path, tiny: Path, processor: Any, service: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def lose_one(completions: Any, environments: Any, **columns: Any) -> list[float | None]:
        environments[1]._client.disconnect()
        environments[1]._client.async_client._ws_url = "ws://127.0.0.1:9/ws"
        return reward(completions, environments, **columns)

    trainer = make_trainer(tmp_path, tiny, processor, service.url, reward_funcs=lose_one)
    batch = train(trainer, processor, SCRIPTS).batch
    assert "a rollout is left out: ConnectionError" in caplog.text
    advantages = batch["advantages"].tolist()
    assert advantages[1] == 0
    assert sum(advantages) == pytest.approx(0, abs=1e-5)
    assert advantages[0] > 0 > advantages[2]


# ------------------------------------------------------------------------------ without a trainer


def test_a_tool_called_too_often_says_that_the_episode_is_over(service: Served) -> None:
    environment = make_environment_factory(service.url)()
    blocks = environment.reset(sample="a", prompt="whatever else a row holds")
    assert [part["type"] for part in blocks] == ["text", "image"]
    assert blocks[1]["image"].size == (640, 480)
    assert isinstance(environment, ChartEnvironment)
    told = [environment.python_render_and_compare_tool(plot(str(number))) for number in range(4)]
    kinds = [[part["type"] for part in blocks] for blocks in told]
    assert kinds == [["text", "text", "image"]] * 2 + [["text"]] * 2
    assert told[2] == told[3] == [{"type": "text", "text": "The episode is over: max_turns."}]


def test_what_is_missing_is_told_before_training(service: Served, data: Path) -> None:
    environment = make_environment_factory(service.url)()
    with pytest.raises(RuntimeError, match="no sample 'nope' in chartmimic's data"):
        environment.reset(sample="nope")
    rows = list_rows(service.url)
    assert [row["sample"] for row in rows] == ["a", "b"]
    assert [message["role"] for message in rows[0]["prompt"]] == ["system", "user"]
    assert f"Call the tool {TOOL}" in rows[0]["prompt"][0]["content"]
    words = ("--data", data, "--interface", "openenv", *WORDS)
    with serving("chartmimic", *words) as other:
        for ask in (make_environment_factory, list_rows):
            with pytest.raises(UserError, match="start the service with --native-tools"):
                ask(other.url)


def test_pages_have_a_tool_of_their_own(tmp_path: Path, web_browser: Path) -> None:
    page = "<html><body><h1>Tides</h1></body></html>"
    data = write_files(tmp_path, {"a.html": page})
    words = ("--data", data, "--interface", "openenv", "--native-tools")
    scorers = ("--scorers", "execution,text", "--reward-vision", "text=1")
    with serving("websight", *words, *scorers) as started:
        environment: Any = make_environment_factory(started.url)()
        environment.reset(sample="a")
        told = environment.html_render_and_compare_tool(html_code=page)
        assert [part["type"] for part in told] == ["text", "text", "image"]
        function = {"name": "html_render_and_compare_tool", "arguments": {"html_code": page}}
        answer = f"<think>a</think><answer>{block(page, 'html')}</answer>"
        messages = [
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "Look.",
                "tool_calls": [{"type": "function", "function": function}],
            },
            {"role": "tool", "name": "html_render_and_compare_tool", "content": told},
            {"role": "assistant", "content": answer},
        ]
        assert reward([messages], [environment]) == [2.0]
        assert environment.outcome.stop_reason == "answered"


def test_completions_are_read_as_a_server_with_parsers_gives_them() -> None:
    function = {"name": "t" * 300, "arguments": '{"a": 1}'}
    messages = [
        {"role": "assistant", "content": "w", "tool_calls": [{"function": function}]},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "content": "", "reasoning_content": "never closed"},
        {"role": "assistant", "content": [{"type": "text", "text": "<answer>a</answer> and on"}]},
        {},
    ]
    one, two, three = read_completions(messages, is_cut=True)
    assert (one.text, one.finish_reason) == ("w", "tool_calls")
    assert (one.tool_calls[0].name, one.tool_calls[0].arguments) == ("t" * 256, '{"a": 1}')
    assert (two.text, two.finish_reason) == ("<think>never closed", "stop")
    assert (three.text, three.finish_reason) == ("<answer>a</answer>", "length")
