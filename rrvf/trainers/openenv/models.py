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
    """A completion of the policy; or why there is none; or all completions of an episode at once.

    Attributes:
        text: As generated, thoughts and tags included.
        finish_reason: ``length`` where the completion was cut off.
        tool_calls: Those that the policy's own server took out of the text.
        output_tokens: As counted.
        end: Why the policy does not go on, in place of a completion.
        error: What failed, with ``end``.
        completions: An episode whose completions are all known: it is played from its beginning,
            whatever was done before. One that would go on has outgrown its tokens.
    """

    text: Text | None = None
    finish_reason: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: Annotated[tuple[CallBody, ...], Field(max_length=64)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None
    end: Literal["token_budget", "time_budget", "policy_error"] | None = None
    error: Annotated[str, Field(max_length=2000)] | None = None
    completions: Annotated[tuple[CompletionBody, ...], Field(max_length=MOST_TURNS)] | None = None


class RrvfObservation(_Observation):
    """What the policy is shown next; once the episode is over, what it was worth.

    ``done`` and ``reward`` are OpenEnv's. The reward is ``None`` while the episode goes on, and
    where it could not be measured, through a fault of ours: ``reward_parts`` has the reason then.

    Attributes:
        sample: Its id.
        repeat: Which of several episodes of the sample it is.
        messages: New ones, after the policy's own words, in the form of OpenAI's interface;
            pictures are PNG in ``data:`` addresses.
        turn: How many the policy has had.
        max_tokens: How long the next completion may be.
        stop: Where generation ends.
        tools: Schemas to offer natively; none where the system message describes the tool.
        malformed: What differed from the protocol's form in calls that were run all the same.
        observations: What came of each call of the last completion, pictures left out.
        stop_reason: Why the episode is over.
        reward_parts: The reward's parts before their weights, and why there is none.
        scores: Of the answer, by name; ``None`` for one that could not be measured.
        result: The line that ``rrvf eval`` writes into ``results.jsonl``, but for the episode's.
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
    """Where a session stands; ``episode_id`` and ``step_count`` are OpenEnv's.

    Attributes:
        benchmark: Its name.
        language: Of the code, ``python`` or ``html``.
        n_samples: How many there are.
        native_tools: The tool is offered as a schema, not in words.
        sample: Of the episode; ``None`` before the first.
        repeat: Which of several episodes of the sample it is.
        stop_reason: Why it is over; ``None`` while it goes on.
    """

    benchmark: str
    language: str
    n_samples: int
    native_tools: bool
    sample: SampleId | None = None
    repeat: int = 0
    stop_reason: str | None = None
