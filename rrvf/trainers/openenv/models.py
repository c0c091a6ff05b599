"""The messages of OpenEnv: an action, an observation, and the state of an episode."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rrvf.serving.wire import (
    MOST_TURNS,
    CallBody,
    CompletionBody,
    SampleId,
    Text,
)
from rrvf.trainers.openenv.package import import_openenv

_types = import_openenv("env_server.types")
_Action: Any = _types.Action
_Observation: Any = _types.Observation
_State: Any = _types.State


class RrvfAction(_Action):
    """A completion of the policy, the reason for none, or all completions of an episode.

    Attributes:
        text: As generated, with thoughts and tags.
        finish_reason: ``length`` if the completion was cut off.
        tool_calls: Calls that the policy's own server took out of the text.
        output_tokens: Their number.
        end: Why the policy does not continue, in place of a completion.
        error: What failed, with ``end``.
        completions: All completions of an episode. It is played from its beginning, whatever was
            done before. If they do not end it, it ends with ``token_budget``.
    """

    text: Text | None = None
    finish_reason: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: Annotated[tuple[CallBody, ...], Field(max_length=64)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None
    end: Literal["token_budget", "time_budget", "policy_error"] | None = None
    error: Annotated[str, Field(max_length=2000)] | None = None
    completions: Annotated[tuple[CompletionBody, ...], Field(max_length=MOST_TURNS)] | None = None


class RrvfObservation(_Observation):
    """What to show the policy next; at the end of the episode, its scores and reward.

    ``done`` and ``reward`` are OpenEnv's. The reward is ``None`` while the episode is under way, or
    if it could not be measured through our fault; then ``reward_parts`` has the reason.

    Attributes:
        sample: The id of the sample.
        repeat: The number of this episode among several of the same sample.
        messages: New messages after the policy's completion, in OpenAI's format; pictures are PNG
            in ``data:`` addresses.
        turn: The number of turns so far.
        max_tokens: The largest number of tokens for the next completion.
        stop: Strings that end generation.
        tools: Schemas to offer natively; empty if the system message describes the tool.
        malformed: How calls that were run differ from the protocol's form.
        observations: The result of each call of the last completion, without pictures.
        stop_reason: Why the episode is over.
        reward_parts: The reward's parts before their weights, or why there is no reward.
        scores: The scores of the answer by name; ``None`` for a score that could not be measured.
        result: The line that ``rrvf eval`` writes into ``results.jsonl``, without the episode.
    """

    sample: str
    repeat: int = 0
    messages: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    turn: int = 0
    max_tokens: int = 0
    stop: list[str] = Field(default_factory=list[str])
    tools: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    malformed: list[str] = Field(default_factory=list[str])
    observations: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    stop_reason: str | None = None
    reward_parts: dict[str, Any] | None = None
    scores: dict[str, float | None] = Field(default_factory=dict[str, float | None])
    result: dict[str, Any] | None = None


class RrvfState(_State):
    """The state of a session; ``episode_id`` and ``step_count`` are OpenEnv's.

    Attributes:
        benchmark: The name of the benchmark.
        language: The language of the code, ``python`` or ``html``.
        n_samples: The number of samples.
        native_tools: The tool is offered as a schema instead of in the system message.
        sample: The sample of the episode; ``None`` before the first episode.
        repeat: The number of this episode among several of the same sample.
        stop_reason: Why the episode is over; ``None`` while it is under way.
    """

    benchmark: str
    language: str
    n_samples: int
    native_tools: bool
    sample: SampleId | None = None
    repeat: int = 0
    stop_reason: str | None = None
