"""What vLLM returns, read as turns; a stand-in has the call of TRL 1.16's ``VLLMGeneration``."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.conftest import MISSING

if MISSING or not find_spec("trl"):
    pytest.skip("training needs its packages", allow_module_level=True)

from PIL import Image

from rrvf.agent import STOP
from rrvf.chat import Message, Picture
from rrvf.errors import UserError
from training.chat_tokens import ChatTokens, Tokens, collapse_pictures
from training.generation import SamplingLimits, count_slots, generate, sampling

pytestmark = pytest.mark.filterwarnings("default")


@dataclass
class Vllm:
    """Returns what it was told to, and keeps what it was asked for.

    In this process vLLM makes ``run`` tokens of each picture token; a server makes nothing of them.
    """

    replies: list[list[int]]
    mode: str = "colocate"
    picture: int = -1
    run: int = 1
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
        run = self.run if self.mode == "colocate" else 1
        read = [
            [token for one in ids for token in [one] * (run if one == self.picture else 1)]
            for ids in asked["prompts"]
        ]
        return read, self.replies, logprobs, None


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
    prompts = [Tokens([1, chat.picture_token], ["picture"]), Tokens([2]), Tokens([3])]
    return chat, vllm, generate(trainer, chat, prompts, STOP)


def test_how_a_turn_ended(processor: Any) -> None:
    _, vllm, found = turns(processor, training=True)
    assert [(one.ended, one.cut) for one in found] == [(True, False), (False, False), (False, True)]
    assert [one.ids for one in found] == vllm.replies
    first, *others = found[0].logprobs
    assert first != first
    assert set(others) == {-0.5}
    [asked] = vllm.asked
    assert asked["prompts"] == [[1, processor.image_token_id], [2], [3]]
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


def with_pictures(processor: Any, mode: str, run: int | None = None) -> tuple[Tokens, Vllm]:
    """A conversation with two pictures, and what generates for it."""
    chat = ChatTokens(processor)
    shown = [Picture(png_of(size)) for size in ((56, 56), (56, 56))]
    tokens = chat.prompt([Message("user", ("One", shown[0], "two", shown[1], "?"))])
    n_picture_tokens = tokens.ids.count(chat.picture_token)
    assert n_picture_tokens % 2 == 0
    assert n_picture_tokens > 2
    closing = [*chat.tokenizer("</answer>")["input_ids"], chat.end_token]
    vllm = Vllm([closing], mode, chat.picture_token, run or n_picture_tokens // 2)
    trainer = SimpleNamespace(
        use_vllm=True,
        vllm_generation=vllm,
        model=SimpleNamespace(training=True),
        eos_token_ids=[chat.end_token],
    )
    generate(trainer, chat, [tokens], STOP)
    return tokens, vllm


def png_of(size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "PNG")
    return out.getvalue()


def test_vllm_in_this_process_gets_one_token_a_picture(processor: Any) -> None:
    tokens, vllm = with_pictures(processor, "colocate")
    [ids] = vllm.asked[0]["prompts"]
    assert ids.count(vllm.picture) == 2
    assert [token for token in ids if token != vllm.picture] == [
        token for token in tokens.ids if token != vllm.picture
    ]


def test_a_server_gets_pictures_as_the_trainer_has_them(processor: Any) -> None:
    tokens, vllm = with_pictures(processor, "server")
    assert vllm.asked[0]["prompts"] == [tokens.ids]


def test_an_answer_to_another_prompt_is_refused(processor: Any) -> None:
    with pytest.raises(UserError, match="different tokens of pictures"):
        with_pictures(processor, "colocate", run=3)


def test_pictures_without_their_tokens_are_a_mistake() -> None:
    assert collapse_pictures(Tokens([5, 9, 9, 5, 9], ["a", "b"]), 9) == [5, 9, 5, 9]
    with pytest.raises(ValueError, match="1 runs of picture tokens for 2 pictures"):
        collapse_pictures(Tokens([5, 9, 9], ["a", "b"]), 9)


@pytest.mark.parametrize(
    ("difference", "ratio", "allowed"),
    [
        (0.0011, 1.001, True),
        (0.3, 0.5, True),
        (0.0, 0.0, True),  # no token of the batch counts
        (2.47, 3e-8, False),
        (0.31, 1.0, False),
        (0.1, 0.49, False),
        (0.1, 1.51, False),
    ],
)
def test_a_batch_that_vllm_sampled_otherwise_ends_the_run(
    difference: float, ratio: float, *, allowed: bool
) -> None:
    metrics = {
        "sampling/sampling_logp_difference/mean": [0.0, difference],
        "sampling/importance_sampling_ratio/mean": [1.0, ratio],
    }
    if allowed:
        SamplingLimits().check(metrics)
        return
    with pytest.raises(UserError, match="disagree on what was sampled"):
        SamplingLimits().check(metrics)
    SamplingLimits(max_difference=9, min_ratio=0, max_ratio=9).check(metrics)


def test_ranks_without_any_token_have_nothing_to_say() -> None:
    """TRL takes them for 0 in its means over ranks."""
    metrics = {
        "sampling/sampling_logp_difference/mean": [0.1],
        "sampling/importance_sampling_ratio/mean": [0.249],
    }
    with pytest.raises(UserError, match=r"ratio 0\.249"):
        SamplingLimits().check(metrics)
    with pytest.raises(UserError, match=r"probabilities 0\.4 "):  # 2 of 8 ranks
        SamplingLimits().check(metrics, share=0.25)
    metrics["sampling/sampling_logp_difference/mean"] = [0.001]
    SamplingLimits().check(metrics, share=0.25)


@pytest.mark.parametrize(("n_own", "n_most", "size"), [(3, 7, 2), (0, 7, 2), (7, 7, 2), (1, 1, 32)])
def test_ranks_call_the_model_equally_often(n_own: int, n_most: int, size: int) -> None:
    slots, most = count_slots(n_own, n_most, size), count_slots(n_most, n_most, size)
    assert slots >= max(1, n_own)
    assert most == n_most
    assert math.ceil(slots / size) == math.ceil(most / size)
