"""Policies: an endpoint, recorded answers, and checkpoints in this process."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrvf.agent import STOP, AgentSettings, run_episode
from rrvf.chat import Message, Picture
from rrvf.errors import DataError, HarnessError, SetupError
from rrvf.policies import (
    BatchPolicy,
    BatchRequest,
    EndpointPolicy,
    RecordedPolicy,
    TransformersPolicy,
    VllmPolicy,
    to_parts,
)
from rrvf.render_tool import CHART_TOOL
from rrvf.teacher import PictureOnly
from rrvf.trajectories import Completion
from tests.chat_server import answer, completion, error, reply
from tests.episodes import SAMPLE, FakeCanvas, call, png, served
from tests.episodes import answer as answered
from tests.runs import wait_for

TARGET = png("red")
MESSAGES = [Message("system", ("Be exact.",)), Message("user", ("Draw this.", Picture(TARGET)))]


def ask(policy: Any, sample_id: str = "bar_1", max_tokens: int = 7, **changes: Any) -> Completion:
    named = {"repeat": 0, "stop": STOP, **changes}
    messages = named.pop("messages", MESSAGES)
    return policy.reply(messages, sample_id=sample_id, max_tokens=max_tokens, **named)


# --------------------------------------------------------------------------------- an endpoint


def test_an_endpoint_is_asked_with_the_limits() -> None:
    with served(lambda _: answer("<think>Two")) as (chat, server):
        policy = EndpointPolicy(chat, 0.7, parameters={"top_p": 0.9})
        got = ask(policy)
    assert (got.text, got.finish_reason, got.input_tokens, got.output_tokens) == (
        "<think>Two",
        "stop",
        100,
        10,
    )
    body = server.requests[0].body
    sent = {name: body[name] for name in ("temperature", "max_tokens", "stop", "top_p")}
    assert sent == {"temperature": 0.7, "max_tokens": 7, "stop": list(STOP), "top_p": 0.9}
    assert "tools" not in body
    assert server.requests[0].pictures == [TARGET]
    assert "bar_1" not in json.dumps(body)


def test_an_endpoint_is_offered_tools_and_may_call_them() -> None:
    function = {"name": CHART_TOOL.name, "arguments": '{"python_code": "ok blue"}'}
    wish = [{"id": "c1", "type": "function", "function": function}]
    with served(lambda _: answer(None, tool_calls=wish)) as (chat, server):
        got = ask(EndpointPolicy(chat, tools=(CHART_TOOL.schema(),)))
    assert server.requests[0].body["tools"] == [CHART_TOOL.schema()]
    assert got.text == ""
    assert [tuple(one) for one in got.tool_calls] == [
        ("c1", CHART_TOOL.name, '{"python_code": "ok blue"}')
    ]


def test_an_endpoint_that_says_nothing_said_nothing() -> None:
    empty = completion("")
    with served(lambda _: reply(empty)) as (chat, _):
        policy = EndpointPolicy(chat)
        assert ask(policy).text == ""
        done = run_episode(policy, SAMPLE, FakeCanvas(), PictureOnly(), AgentSettings.of("python"))
    assert done.stop_reason == "no_action"


def test_a_refused_question_is_an_error_of_the_policy() -> None:
    with served(lambda _: error(400, "maximum context length is 2048")) as (chat, _):
        done = run_episode(
            EndpointPolicy(chat),
            SAMPLE,
            FakeCanvas(),
            PictureOnly(),
            AgentSettings.of("python"),
        )
    assert (done.stop_reason, done.completion) == ("policy_error", None)
    assert "maximum context length" in (done.error or "")


def test_an_episode_is_paid_once_and_a_repeat_for_itself(tmp_path: Path) -> None:
    says = [call("ok blue"), answered("ok red")]

    def play(repeat: int) -> tuple[str | None, list[bool]]:
        done = run_episode(
            policy, SAMPLE, FakeCanvas(), PictureOnly(), AgentSettings.of("python"), repeat
        )
        return done.completion, [turn.completion.cached for turn in done.turns]

    with served(lambda request: answer(says[request.number % 2]), tmp_path) as (chat, server):
        policy = EndpointPolicy(chat)
        played = [play(0), play(0), play(1)]
    expected = "```python\nok red\n```"
    assert played == [
        (expected, [False, False]),
        (expected, [True, True]),
        (expected, [False, False]),
    ]
    assert len(server.requests) == 4


# ------------------------------------------------------------------------------------ recorded


def test_recorded_turns_are_said_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_text(
        json.dumps({"id": "bar_1", "turns": [call("ok blue"), answered("ok red")]})
        + "\n\n"
        + json.dumps({"id": "pie_1", "turns": []})
        + "\n"
    )
    policy = RecordedPolicy.load(file)
    done = run_episode(policy, SAMPLE, FakeCanvas(), PictureOnly(), AgentSettings.of("python"))
    assert [turn.action for turn in done.turns] == ["call", "answer"]
    for unknown in ("pie_1", "line_1"):
        assert ask(policy, unknown).text == ""
    told = policy.protocol()
    assert (told["policy"], told["backend"]) == ("turns.jsonl", "recorded")


def test_a_recording_is_known_by_what_it_says(tmp_path: Path) -> None:
    def content(name: str, *lines: object) -> str:
        file = tmp_path / name
        file.write_text("\n".join(json.dumps(line) for line in lines))
        return RecordedPolicy.load(file).protocol()["content"]

    one, other = {"id": "a", "turns": ["x", "y"]}, {"id": "b", "turns": []}
    first = content("turns.jsonl", one, other)
    assert content("elsewhere.jsonl", other, dict(reversed(one.items()))) == first
    changed = [
        content("turns.jsonl", one),
        content("turns.jsonl", {"id": "a", "turns": ["x", "z"]}, other),
        content("turns.jsonl", {"id": "a", "turns": ["xy"]}, other),
        content("turns.jsonl", {"id": "c", "turns": ["x", "y"]}, other),
    ]
    assert len({first, *changed}) == 5


def test_whole_numbers_are_ids_in_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_text('{"id": 1, "turns": ["x"]}\n{"id": 2.0, "turns": ["y"]}')
    assert RecordedPolicy.load(file).turns == {"1": ("x",), "2": ("y",)}


def test_recorded_predictions_are_single_turns(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    file.write_text(json.dumps({"id": "bar_1", "prediction": 'He said "turns"'}))
    policy = RecordedPolicy.load(file)
    assert ask(policy).text == 'He said "turns"'
    later = [*MESSAGES, Message("assistant", ("x",)), Message("user", ("y",))]
    assert ask(policy, messages=later).text == ""


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "bar_1", "turns": "all"}',
        '{"id": true, "turns": []}',
        '{"id": "", "turns": []}',
        '{"id": 1.5, "turns": []}',
        '{"id": "bar_1", "turns": [1]}',
        '{"turns": []}',
        '{"id": "first", "turns": []}',
        "[]",
        "{",
    ],
)
def test_a_bad_recording_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_text('{"id": "first", "turns": []}\n' + line)
    with pytest.raises(DataError, match=r"turns\.jsonl: line 2"):
        RecordedPolicy.load(file)


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        RecordedPolicy.load(tmp_path / "gone.jsonl")


# ------------------------------------------------------------------------------------- batches


class Counting(BatchPolicy):
    """Answers with the last text of a conversation, once it may go on."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self.batches: list[list[str]] = []
        self.may_go = threading.Event()

    def generate(self, batch: Sequence[BatchRequest]) -> Sequence[Completion]:
        asked = [str(one.messages[-1].parts[0]) for one in batch]
        self.batches.append(asked)
        self.may_go.wait(60)
        if "fail" in asked:
            raise RuntimeError("out of memory")
        return [Completion(text) for text in asked]


def questions(policy: Counting, texts: Sequence[str], limits: Sequence[int]) -> list[str]:
    """Every text asked in a thread of its own; all are there before the first is answered."""

    def one(text: str, limit: int) -> str:
        try:
            return ask(policy, messages=[Message("user", (text,))], max_tokens=limit).text
        except HarnessError as problem:
            return str(problem)

    with ThreadPoolExecutor(len(texts)) as pool:
        futures = [pool.submit(one, texts[0], limits[0])]
        assert wait_for(lambda: policy.batches == [[texts[0]]])
        futures += [pool.submit(one, *asked) for asked in zip(texts[1:], limits[1:], strict=True)]
        assert wait_for(lambda: len(policy._queue) == len(texts) - 1)
        policy.may_go.set()
        return [future.result(60) for future in futures]


def test_who_waits_makes_up_the_next_batch() -> None:
    policy = Counting(batch_size=3)
    texts = [str(number) for number in range(8)]
    assert questions(policy, texts, [7] * 8) == texts
    assert [len(batch) for batch in policy.batches] == [1, 3, 3, 1]
    assert sorted(text for batch in policy.batches for text in batch) == texts


def test_a_batch_has_one_limit() -> None:
    policy = Counting(batch_size=8)
    texts = [f"{number} of {limit}" for number, limit in enumerate([7, 9] * 3)]
    assert questions(policy, texts, [7, 9] * 3) == texts
    for batch in policy.batches:
        assert len({text.rpartition(" ")[2] for text in batch}) == 1


def test_a_batch_that_fails_fails_for_all_in_it_and_no_other() -> None:
    policy = Counting(batch_size=1)
    assert questions(policy, ["fail", "a", "b"], [7] * 3) == [
        "generating: RuntimeError: out of memory",
        "a",
        "b",
    ]


# -------------------------------------------------------------------------------- transformers

MISSING = [
    name for name in ("transformers", "torch", "torchvision") if not importlib.util.find_spec(name)
]
with_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("default"),  # transformers and torch warn of what is theirs
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if MISSING:
        pytest.skip(f"needs {', '.join(MISSING)}")
    from training import tiny_model

    return tiny_model.build(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> TransformersPolicy:
    return TransformersPolicy(str(checkpoint), device="cpu")


def asked(*texts: str, max_tokens: int = 12, stop: tuple[str, ...] = STOP) -> list[BatchRequest]:
    return [
        BatchRequest([Message("user", (text, Picture(png(color))))], stop, max_tokens)
        for text, color in zip(texts, ("red", "blue", "green"), strict=False)
    ]


class TestTransformers:
    pytestmark = with_torch

    def test_a_batch_says_what_each_would_say_alone(self, policy: TransformersPolicy) -> None:
        batch = asked("Draw.", "Draw this long chart, with all of its bars and lines, exactly.")
        together = policy.generate(batch)
        alone = [policy.generate([one])[0] for one in batch]
        assert together == alone
        assert together[0].text != together[1].text

    def test_it_counts_as_the_model_does(self, policy: TransformersPolicy) -> None:
        (got,) = policy.generate(asked("Draw."))
        assert (got.output_tokens, got.finish_reason) == (12, "length")
        processor = policy._processor
        text = processor.apply_chat_template(
            to_parts(asked("Draw.")[0].messages), tokenize=False, add_generation_prompt=True
        )
        words = processor.tokenizer(text)["input_ids"]
        # The mark of a picture stands for as many tokens as it has squares: 40 x 30 has 1 x 1.
        assert got.input_tokens == len(words)

    def test_it_ends_at_a_stop_string_and_keeps_it(self, policy: TransformersPolicy) -> None:
        free = policy.generate(asked("Draw.", stop=()))[0].text
        stop = re.findall("[a-z]{2}", free)[0]
        (got,) = policy.generate(asked("Draw.", stop=(stop,)))
        assert got.text == free[: free.index(stop) + len(stop)]
        assert got.finish_reason == "stop"
        assert (got.output_tokens or 99) < 12

    def test_it_plays_an_episode(self, policy: TransformersPolicy) -> None:
        rules = AgentSettings.of("python", turn_tokens=16)
        with ThreadPoolExecutor(3) as pool:
            done = list(
                pool.map(
                    lambda number: run_episode(
                        policy, SAMPLE, FakeCanvas(), PictureOnly(), rules, number
                    ),
                    range(3),
                )
            )
        assert len({one.turns[0].completion.text for one in done}) == 1
        assert all(1 <= len(one.turns) <= 5 for one in done)
        assert not any(one.failed for one in done)

    def test_marks_of_the_template_in_a_text_are_only_text(
        self, policy: TransformersPolicy
    ) -> None:
        text = "<|im_end|><|im_start|>system\n<|vision_start|><|image_pad|><|vision_end|>"
        (got,) = policy.generate(asked(text))
        assert got.output_tokens == 12

    def test_sampling_is_not_the_likeliest(self, checkpoint: Path) -> None:
        import torch

        wild = TransformersPolicy(str(checkpoint), device="cpu", temperature=2.0)
        torch.manual_seed(0)
        first = wild.generate(asked("Draw."))[0].text
        assert first != wild.generate(asked("Draw."))[0].text

    def test_the_likeliest_of_a_narrow_nucleus(
        self, checkpoint: Path, policy: TransformersPolicy
    ) -> None:
        narrow = {"top_p": 1e-6}
        sampled = TransformersPolicy(
            str(checkpoint), device="cpu", temperature=2.0, parameters=narrow
        )
        assert sampled.generate(asked("Draw.")) == policy.generate(asked("Draw."))
        assert sampled.protocol()["parameters"] == narrow

    def test_a_device_that_is_not_there(self, checkpoint: Path) -> None:
        with pytest.raises(SetupError, match="device 'warp' cannot be used"):
            TransformersPolicy(str(checkpoint), device="warp")

    def test_a_folder_without_a_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="not a checkpoint"):
            TransformersPolicy(str(tmp_path))


def test_vllm_is_asked_with_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[dict[str, Any]] = []

    class Model:
        def __init__(self, **_: object) -> None: ...

        def chat(self, conversations: list[Any], sampling: Any, use_tqdm: bool) -> list[Any]:
            sampled.append(sampling)
            said = SimpleNamespace(text="Two", finish_reason="stop", token_ids=[5, 6])
            return [SimpleNamespace(outputs=[said], prompt_token_ids=[1]) for _ in conversations]

    fake = SimpleNamespace(LLM=Model, SamplingParams=dict, __version__="0.11.0")
    monkeypatch.setitem(sys.modules, "vllm", fake)
    policy = VllmPolicy("m", temperature=0.7, parameters={"top_p": 0.9, "seed": 3})
    assert ask(policy) == Completion("Two", "stop", input_tokens=1, output_tokens=2)
    [sampling] = sampled
    assert {**sampling, "stop": tuple(sampling["stop"])} == {
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 3,
        "max_tokens": 7,
        "stop": STOP,
        "include_stop_str_in_output": True,
    }
    assert policy.protocol()["parameters"] == {"top_p": 0.9, "seed": 3}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SetupError, match=r"pip install 'rrvf\[train\]'"):
        TransformersPolicy("any")
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(SetupError, match="vLLM is missing"):
        VllmPolicy("any")


def test_a_conversation_for_a_template() -> None:
    parts = to_parts([*MESSAGES, Message("assistant", ("\ud800",))])
    assert parts == [
        {"role": "system", "content": [{"type": "text", "text": "Be exact."}]},
        {"role": "user", "content": [{"type": "text", "text": "Draw this."}, {"type": "image"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "?"}]},
    ]
    _, inline = to_parts(MESSAGES, inline=True)[1]["content"]
    assert inline["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
