"""TRL's trainer with environments of ours: one step, its second turn holding the rendering.

What the model generates is given by a script; everything else is TRL's, the service's and the
model's own: the parser of tool calls, the tool, the pictures, the masks, the forward pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rrvf.agent import AgentSettings
from rrvf.errors import UserError
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
from tests.chat_server import ChatServer, Reply, Request
from tests.chat_server import answer as says
from tests.runs import plot, rrvf
from tests.test_same_floats import block
from tests.trainers.services import Served, served, write_files
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
    (call(plot("Tides")), "<think>So.</think><answer>```python\nimport matplotlib"),
)
"""Of four rollouts of one sample: drawn once, drawn twice, not at all, and cut off."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {f"{name}.py": plot(title) for name, title in TITLES.items()}
    return write_files(tmp_path_factory.mktemp("data"), files)


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Served]:
    words = ("--data", data, "--interface", "openenv", "--native-tools")
    with served("chartmimic", *words, *WORDS) as started:
        yield started


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def processor(tiny: Path) -> Any:
    from transformers import AutoProcessor

    loaded = AutoProcessor.from_pretrained(tiny, padding_side="left")
    prepare_processor(loaded)
    return loaded


@dataclass
class Seen:
    """What a step was made of.

    Attributes:
        prompts: Tokens of every prompt that was gone on with, turn by turn.
        completions: Messages that the reward was asked about.
        rewards: What it was.
        batch: What the loss was computed from.
        forward: Rows of ``image_grid_thw`` in every forward pass of the model.
    """

    prompts: list[list[list[int]]]
    completions: list[Any]
    rewards: list[float | None]
    batch: dict[str, Any]
    forward: list[int]


def make_trainer(folder: Path, tiny: Path, processor: Any, url: str, **more: Any) -> GRPOTrainer:
    from transformers import AutoModelForImageTextToText

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
    seen = Seen([], [], [], {}, [])
    tokenizer = processor.tokenizer
    active: list[int] = []

    def generate(prompt_ids: list[list[int]], *_: Any, **__: Any) -> Any:
        seen.prompts.append([list(ids) for ids in prompt_ids])
        turn = len(seen.prompts) - 1
        active[:] = range(len(prompt_ids)) if turn == 0 else going_on(scripts, turn)
        texts = [scripts[number][turn] for number in active]
        return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts], None

    trainer._generate_single_turn = generate
    scored = trainer._generate_and_score_completions

    def score(inputs: Any) -> Any:
        seen.batch = scored(inputs)
        return seen.batch

    trainer._generate_and_score_completions = score
    kind = type(trainer.model)

    def watch(_: Any, __: Any, given: Mapping[str, Any]) -> None:
        grid = given.get("image_grid_thw")
        seen.forward.append(0 if grid is None else len(grid))

    handle = trainer.model.register_forward_pre_hook(watch, with_kwargs=True)
    assert kind is type(trainer.model)
    trainer.train()
    handle.remove()
    return seen


def going_on(scripts: Sequence[Sequence[str]], turn: int) -> list[int]:
    """Rollouts that have another turn."""
    return [number for number, script in enumerate(scripts) if len(script) > turn]


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
    assert (
        batch["num_images"].tolist() == n_shown
        if hasattr(batch["num_images"], "tolist")
        else batch["num_images"] == n_shown
    )
    assert len(batch["image_grid_thw"]) == sum(n_shown)
    assert sum(n_shown) in seen.forward
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    expected = int((batch["image_grid_thw"].prod(-1) // 4).sum())
    assert int((tokens == pad).sum()) == expected
    assert_only_own_words_count(batch, processor)
    assert_prompt_is_that_of_evaluation(seen, processor, service.url)
    assert asked["rewards"] == evaluated_rewards(tmp_path, data)
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
    text = processor.apply_chat_template(
        observation.messages, tools=observation.tools, add_generation_prompt=True, tokenize=False
    )
    told = processor.tokenizer.decode(seen.prompts[0][0])
    head, _, rest = told.partition("<|image_pad|>")
    assert f"{head}<|image_pad|>{rest.lstrip('<|image_pad|>')}" == text.replace(
        "<|image_pad|><|vision_end|>", "<|image_pad|>|vision_end|>"
    ) or text == collapse(told)


def collapse(text: str) -> str:
    """One placeholder a picture."""
    while "<|image_pad|><|image_pad|>" in text:
        text = text.replace("<|image_pad|><|image_pad|>", "<|image_pad|>")
    return text


def evaluated_rewards(folder: Path, data: Path) -> list[float | None]:
    """What ``rrvf eval --native-tools`` makes of the same words, said by a server's model."""
    return [evaluate(folder / str(number), data, script) for number, script in enumerate(SCRIPTS)]


def evaluate(folder: Path, data: Path, script: Sequence[str]) -> float | None:
    from rrvf.episodes import Trajectories
    from rrvf.options import RewardOptions
    from rrvf.rewards import read_rewards, reward_of

    def reply(request: Request) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.body["messages"])
        return as_served(script[turn])

    with ChatServer(reply) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        words = ("--data", data, "--native-tools", "--limit", 1, *WORDS[2:])
        policy = ("--policy", "policy", "--base-url", server.url, "--out", folder)
        done = rrvf("eval", "chartmimic", *words, *policy)
        assert done.returncode == 0, done.stderr
    results, _ = read_results(folder)
    trajectory = Trajectories(folder).find("a", None)
    assert trajectory is not None
    settings = read_rewards(RewardOptions(reward_vision="text=1"))
    return reward_of(trajectory, results["a"], settings, "python").total


def as_served(text: str) -> Reply:
    """A completion as a server with parsers of thoughts and of tool calls gives it."""
    import re

    from tests.chat_server import completion, reply

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
    said = completion(
        content, reasoning_content=thought, **({"tool_calls": native} if native else {})
    )
    said["choices"][0]["finish_reason"] = "stop" if ended else "length"
    return reply(said)
