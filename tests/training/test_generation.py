"""What vLLM returns, read as turns; a stand-in has the call of TRL 1.16's ``VLLMGeneration``."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.conftest import MISSING

if MISSING or not find_spec("trl"):
    pytest.skip("training needs its packages", allow_module_level=True)

from rrvf.agent import STOP
from training.chat_tokens import ChatTokens, Tokens
from training.generation import generate, sampling

pytestmark = pytest.mark.filterwarnings("default")


@dataclass
class Vllm:
    """Returns what it was told to, and keeps what it was asked for."""

    replies: list[list[int]]
    temperature: float = 0.9
    top_p: float = 0.95
    top_k: int = 40
    min_p: float | None = 0.1
    asked: list[dict[str, Any]] = field(default_factory=list)

    def generate(self, **asked: Any) -> Any:
        sampled = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "min_p")}
        self.asked.append({**asked, **sampled})
        logprobs = [[[-0.5] for _ in reply] for reply in self.replies]
        logprobs[0][0] = [None]  # as vLLM tells of a value that is not a number
        return None, self.replies, logprobs, None


def turns(processor: Any, *, training: bool) -> tuple[ChatTokens, Vllm, list[Any]]:
    chat = ChatTokens(processor)
    words = chat.tokenizer("<think>a</think><answer>b")["input_ids"]
    closing = chat.tokenizer("</answer>")["input_ids"]
    vllm = Vllm([[*words, chat.end_token], [*words, *closing], list(words)])
    trainer = SimpleNamespace(
        use_vllm=True,
        vllm_generation=vllm,
        model=SimpleNamespace(training=training),
        eos_token_ids=[chat.end_token],
    )
    prompts = [Tokens([1], ["picture"]), Tokens([2]), Tokens([3])]
    return chat, vllm, generate(trainer, chat, prompts, STOP)


def test_how_a_turn_ended(processor: Any) -> None:
    _, vllm, found = turns(processor, training=True)
    assert [(one.ended, one.cut) for one in found] == [(True, False), (False, False), (False, True)]
    assert [one.ids for one in found] == vllm.replies
    first, *others = found[0].logprobs
    assert first != first
    assert set(others) == {-0.5}
    [asked] = vllm.asked
    assert asked["prompts"] == [[1], [2], [3]]
    assert asked["images"] == [["picture"], None, None]
    assert (asked["num_generations"], asked["temperature"]) == (1, 0.9)


def test_evaluation_is_greedy_and_leaves_the_settings_as_they_were(processor: Any) -> None:
    _, vllm, _ = turns(processor, training=False)
    [asked] = vllm.asked
    assert (asked["temperature"], asked["top_p"], asked["top_k"], asked["min_p"]) == (
        0,
        1,
        -1,
        None,
    )
    assert (vllm.temperature, vllm.top_p, vllm.top_k, vllm.min_p) == (0.9, 0.95, 40, 0.1)


def test_what_each_backend_is_told() -> None:
    assert sampling(vllm=False, stop=STOP, banned_tokens=[7, 8]) == {"suppress_tokens": [7, 8]}
    told = sampling(vllm=True, stop=STOP, banned_tokens=[7, 8])
    assert told["stop"] == ["</tool_call>", "</answer>"]
    assert told["include_stop_str_in_output"] is True
    assert told["logit_bias"] == {7: -100.0, 8: -100.0}
