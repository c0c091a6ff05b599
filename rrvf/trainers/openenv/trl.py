"""Environments for TRL's ``GRPOTrainer(environment_factory=...)``, each a client of a service.

The service is ``rrvf serve BENCHMARK --interface openenv --native-tools``. TRL calls the tool while
it generates; the service draws each call and shows it as the loop does. The reward is that of the
whole conversation that TRL kept, played again from its beginning. Earlier drawings are cached, so
nothing is drawn twice. This module does not import TRL.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from typing import Any, ClassVar, cast

import httpx
from PIL import Image

from rrvf.chat import Answer, ToolCall
from rrvf.errors import UserError
from rrvf.policies import join_thoughts
from rrvf.render_tool import CHART_TOOL, PAGE_TOOL, RenderTool
from rrvf.serving.wire import CallBody, CompletionBody
from rrvf.trainers.openenv.client import RrvfEnv
from rrvf.trainers.openenv.models import RrvfAction, RrvfObservation, RrvfState

Block = dict[str, Any]
"""A part of a message as TRL takes it: a text, or an image."""

NEEDS_NATIVE_TOOLS = (
    "TRL offers the tool itself: start the service with --native-tools, and with more than one of "
    "--max-turns"
)

RESPONSE_TEMPLATE: Mapping[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "reasoning_content": {"open": "<think>", "close": "</think>"},
        "tool_calls": {
            "open": "<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        # Nothing of the text is dropped: it is scored as it was written.
        "content": {
            "close": "<|im_end|>",
            "repeats": True,
            "join": "",
            "content_args": {"strip": False},
        },
    },
}
"""How transformers takes a completion apart that follows our chat template."""

_END_OF_ANSWER = "</answer>"
_MOST_CALLS = 64
_MOST_NAME = 256
_AT_ONCE = 16

_log = logging.getLogger(__name__)


# ------------------------------------------------------------------------------- before training


def prepare_processor(processor: Any) -> None:
    """Have a processor of the Qwen family write conversations as ours are, and read them again.

    Its own template drops pictures from what a tool answers.

    Args:
        processor: Of transformers; is changed.
    """
    template = resources.files("rrvf") / "prompts" / "qwen_tools.jinja"
    processor.chat_template = template.read_text(encoding="utf-8")
    processor.tokenizer.response_template = json.loads(json.dumps(RESPONSE_TEMPLATE))


def list_rows(
    url: str, samples: Iterable[str] | None = None, *, token: str | None = None
) -> list[dict[str, Any]]:
    """Rows of a data set for the trainer: our system message, and a sample's id.

    Args:
        url: Of the service.
        samples: Ids; all that the service has by default.
        token: That the service asks for.

    Returns:
        ``prompt`` and ``sample``; what the picture shows is added by :meth:`reset`.

    Raises:
        UserError: The service does not offer its tool natively, or has no samples.
    """
    with RrvfEnv(url, token=token).sync() as client:
        _require_native(client.state())
        messages = client.reset(index=0).observation.messages
    if not messages:
        raise UserError(f"{url}: the first sample's picture cannot be had; see the service's log")
    prompt = [messages[0], {"role": "user", "content": ""}]
    ids = list(samples) if samples is not None else _list_samples(url, token)
    return [{"prompt": prompt, "sample": name} for name in ids]


def _list_samples(url: str, token: str | None) -> list[str]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    reply = httpx.post(f"{url.rstrip('/')}/rrvf/tasks", json={"split": "all"}, headers=headers)
    reply.raise_for_status()
    return [task["id"] for task in reply.json()["tasks"]]


def make_environment_factory(
    url: str, processor: Any = None, *, token: str | None = None
) -> Callable[[], RenderEnvironment]:
    """What TRL makes its environments with; asks the service whether it draws charts or pages.

    Args:
        url: Of the service.
        processor: Whose end tokens tell a completion that was cut off from one that ended; without
            it every completion is taken to have ended.
        token: That the service asks for.

    Raises:
        UserError: The service does not offer its tool natively.
    """
    with RrvfEnv(url, token=token).sync() as client:
        state: RrvfState = client.state()
    _require_native(state)
    kind = ChartEnvironment if state.language == "python" else PageEnvironment
    return partial(kind, url, token, _find_end_tokens(processor))


def _require_native(state: RrvfState) -> None:
    if not state.native_tools:
        raise UserError(NEEDS_NATIVE_TOOLS)


def _find_end_tokens(processor: Any) -> frozenset[int]:
    if processor is None:
        return frozenset()
    tokenizer = getattr(processor, "tokenizer", processor)
    tokens = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    return frozenset(token for token in tokens if token is not None)


# -------------------------------------------------------------------------------- while it rolls


class RenderEnvironment:
    """One rollout at a time; TRL takes every public method for a tool.

    Args:
        url: Of the service.
        token: That it asks for.
        end_tokens: With one of them a completion ends that was not cut off; none for "all ended".
    """

    _tool: ClassVar[RenderTool]

    def __init__(
        self, url: str, token: str | None = None, end_tokens: frozenset[int] = frozenset()
    ) -> None:
        self.outcome: RrvfObservation | None = None
        self._client: Any = RrvfEnv(url, token=token).sync()
        self._end_tokens = end_tokens
        self._sample, self._repeat = "", 0
        self._stop_reason: str | None = None

    def reset(self, sample: str, repeat: int = 0, **_: Any) -> list[Block]:
        """Begin an episode.

        Args:
            sample: Its id.
            repeat: Which of several episodes of the sample it is.

        Returns:
            Instruction and picture, for the last message of the prompt; nothing where the picture
            cannot be had, and then the rollout has no reward.

        Raises:
            UserError: The service offers another tool.
        """
        self._sample, self._repeat, self.outcome = sample, repeat, None
        observation = self._begin()
        names = [tool["function"]["name"] for tool in observation.tools]
        if names != [self._tool.name]:
            raise UserError(f"the service offers {names or 'no tool'}, not {self._tool.name}")
        return _to_blocks(observation.messages[-1:])

    def _begin(self) -> RrvfObservation:
        observation = self._client.reset(sample=self._sample, repeat=self._repeat).observation
        self._stop_reason = observation.stop_reason
        return observation

    def _draw(self, code: str) -> list[Block]:
        if self._stop_reason is None:
            arguments = json.dumps({self._tool.argument: code}, ensure_ascii=False)
            call = CallBody(name=self._tool.name, arguments=arguments)
            action = RrvfAction(finish_reason="tool_calls", tool_calls=(call,))
            observation = self._client.step(action).observation
            self._stop_reason = observation.stop_reason
            if self._stop_reason is None:
                return _to_blocks(observation.messages)
        return [{"type": "text", "text": f"The episode is over: {self._stop_reason}."}]

    def _score(
        self, messages: Sequence[Mapping[str, Any]], tokens: Sequence[int]
    ) -> RrvfObservation:
        """What the whole conversation is worth."""
        is_cut = bool(self._end_tokens and tokens) and tokens[-1] not in self._end_tokens
        completions = read_completions(messages, is_cut=is_cut)
        self._begin()
        action = RrvfAction(completions=tuple(completions))
        self.outcome = self._client.step(action).observation
        return self.outcome


def _offer(method: Callable[[Any, str], list[Block]]) -> Callable[[Any, str], list[Block]]:
    """A tool, told to the model in evaluation's words: with nothing on what it returns."""
    method.__annotations__.pop("return", None)
    return method


class ChartEnvironment(RenderEnvironment):
    """Charts, as Python scripts."""

    _tool = CHART_TOOL

    @_offer
    def python_render_and_compare_tool(self, python_code: str) -> list[Block]:
        """Renders code and compares the rendering with the picture to reproduce.

        Args:
            python_code: The complete python code.
        """
        return self._draw(python_code)


class PageEnvironment(RenderEnvironment):
    """Web pages, as HTML."""

    _tool = PAGE_TOOL

    @_offer
    def html_render_and_compare_tool(self, html_code: str) -> list[Block]:
        """Renders code and compares the rendering with the picture to reproduce.

        Args:
            html_code: The complete html code.
        """
        return self._draw(html_code)


def _to_blocks(messages: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Texts and pictures of messages, in their order."""
    blocks: list[Block] = []
    for message in messages:
        content: Any = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks += [_to_block(part) for part in parts]
    return blocks


def _to_block(part: Mapping[str, Any]) -> Block:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2], validate=True)
    with Image.open(io.BytesIO(data)) as picture:
        return {"type": "image", "image": picture.convert("RGB")}


# ----------------------------------------------------------------------------------- the reward


def reward(
    completions: Sequence[Sequence[Mapping[str, Any]]],
    environments: Sequence[RenderEnvironment],
    completion_ids: Sequence[Sequence[int]] | None = None,
    log_metric: Callable[[str, float], None] | None = None,
    **_: Any,
) -> list[float | None]:
    """A reward function for TRL: evaluation's reward of each conversation.

    Args:
        completions: Messages of each conversation after its prompt, as TRL keeps them.
        environments: Of each.
        completion_ids: Its tokens.
        log_metric: Takes a number for the trainer's log.

    Returns:
        ``None`` if it could not be measured through our fault or the service's; TRL
        leaves such a rollout out of its group.
    """
    tokens = completion_ids if completion_ids is not None else [()] * len(completions)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rewards = list(pool.map(_reward_one, environments, completions, tokens))
    if log_metric is not None and rewards:
        log_metric("rrvf/unscored", sum(value is None for value in rewards) / len(rewards))
    return rewards


def _reward_one(
    environment: RenderEnvironment, messages: Sequence[Mapping[str, Any]], tokens: Sequence[int]
) -> float | None:
    try:
        outcome = environment._score(messages, tokens)  # pyright: ignore[reportPrivateUsage]
    except Exception as error:  # whatever a connection raises; the next reset ends the run
        _log.warning("a rollout is left out: %s: %s", type(error).__name__, error)
        return None
    if outcome.reward is None:
        _log.warning("a rollout is left out: %s", (outcome.reward_parts or {}).get("reason"))
    return outcome.reward


def read_completions(
    messages: Sequence[Mapping[str, Any]], *, is_cut: bool = False
) -> list[CompletionBody]:
    """The policy's completions in a conversation of TRL's.

    Args:
        messages: After the prompt.
        is_cut: The last completion was cut off by its length.
    """
    own = [message for message in messages if message.get("role") == "assistant"]
    return [
        _read_completion(message, is_cut=is_cut and number == len(own))
        for number, message in enumerate(own, 1)
    ]


def _read_completion(message: Mapping[str, Any], *, is_cut: bool) -> CompletionBody:
    calls = [_read_call(call) for call in list(message.get("tool_calls") or ())[:_MOST_CALLS]]
    answer = Answer(
        text=_cut_after_answer(_read_text(message.get("content"))),
        tool_calls=tuple(ToolCall(call.id, call.name, call.arguments) for call in calls),
        thought=_read_text(message.get("reasoning_content") or message.get("thinking")),
    )
    reason = "length" if is_cut else "tool_calls" if calls else "stop"
    return CompletionBody(text=join_thoughts(answer), finish_reason=reason, tool_calls=tuple(calls))


def _read_text(content: Any) -> str:
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        return "".join(str(part.get("text") or "") for part in parts)
    return str(content or "")


def _cut_after_answer(text: str) -> str:
    """As far as evaluation would have let the policy write."""
    before, end, _ = text.partition(_END_OF_ANSWER)
    return before + end


def _read_call(call: Mapping[str, Any]) -> CallBody:
    function: Mapping[str, Any] = call.get("function") or call
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return CallBody(name=str(function.get("name"))[:_MOST_NAME], arguments=arguments)
