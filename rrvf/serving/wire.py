"""The wire format: bodies of requests and responses, all JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rrvf.agent import STOP, format_response, to_picture
from rrvf.chat import Message, ToolCall, to_wire
from rrvf.environment import Play
from rrvf.rewards import Rewarded
from rrvf.run_folder import picture_name, to_json
from rrvf.scoring import Outcome
from rrvf.trajectories import Completion, Observation

MOST_CHARACTERS = 2_000_000
"""Of a completion; code of more than a million is refused anyway."""
MOST_TURNS = 1000

EPISODE_ID = r"^[0-9A-Za-z_-]{1,64}$"

Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
SampleId = Annotated[str, Field(max_length=1000)]


class Body(BaseModel):
    """A request's body; what it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CallBody(Body):
    """A tool call that the policy's own server took out of the text."""

    id: Annotated[str, Field(max_length=256)] = ""
    name: Annotated[str, Field(max_length=256)]
    arguments: Text
    """JSON, as the model wrote it."""


class CompletionBody(Body):
    """What the policy wrote in one turn."""

    text: Text | None = None
    finish_reason: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: Annotated[tuple[CallBody, ...], Field(max_length=64)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def read_text(cls, value: Any) -> Any:
        """A text alone is a completion, too."""
        return {"text": value} if isinstance(value, str) else value

    def to_completion(self) -> Completion:
        """As the loop reads it."""
        calls = tuple(
            ToolCall(call.id, call.name, call.arguments) for call in self.tool_calls or ()
        )
        return Completion(
            self.text or "", self.finish_reason or "stop", calls, output_tokens=self.output_tokens
        )


class EpisodeBody(Body):
    """Which episode to begin."""

    sample: SampleId
    repeat: Annotated[int, Field(ge=0)] = 0


class TurnBody(Body):
    """One completion."""

    completion: CompletionBody


class EndBody(Body):
    """Why a policy does not go on."""

    reason: Literal["token_budget", "time_budget", "policy_error"]
    error: Annotated[str, Field(max_length=2000)] | None = None


class WholeBody(EpisodeBody):
    """An episode whose completions are all known."""

    completions: Annotated[tuple[CompletionBody, ...], Field(max_length=MOST_TURNS)]


class CodeBody(Body):
    """Code to be drawn for a sample, as in a call."""

    sample: SampleId
    code: Text


class AnswerBody(Body):
    """One answer, without a loop; ``null`` for none."""

    sample: SampleId
    completion: Text | None


def describe_problems(problems: Sequence[Any]) -> str:
    """What pydantic found wrong, in one line."""
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {first['msg']}{more}"


# ------------------------------------------------------------------------------- answers


def view_play(play: Play, new_messages: list[Message]) -> dict[str, Any]:
    """What a client is told of an episode after its beginning or a turn."""
    last = play.turns[-1] if play.turns else None
    rules = play.environment.rules
    has_tools = rules.native_calls and rules.max_turns > 1
    return {
        "sample": play.sample.id,
        "turn": len(play.turns),
        "messages": to_wire(new_messages),
        "max_tokens": play.tokens_left(),
        "stop": list(STOP),
        "tools": [rules.tool.schema()] if has_tools else [],
        "malformed": list(last.malformed) if last else [],
        "observations": [
            _view_observation(observation) for observation in (last.observations if last else ())
        ],
        "stop_reason": play.stop_reason,
        "outcome": view_rewarded(play.rewarded()) if play.is_over else None,
    }


def _view_observation(observation: Observation) -> dict[str, Any]:
    return {
        "status": observation.status,
        "text": observation.text,
        "attached": observation.attached,
        "teacher": observation.teacher,
        "seconds": observation.seconds,
    }


def view_response(observation: Observation, max_pixels: int) -> dict[str, Any]:
    """What a call is answered by, as the content of a message in OpenAI's form."""
    shows = observation.attached and observation.picture is not None
    picture = [to_picture(observation.picture or b"", max_pixels)] if shows else []
    message = Message("tool", (format_response(observation), *picture))
    content = to_wire([message])[0]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**_view_observation(observation), "content": parts}


def view_rewarded(rewarded: Rewarded) -> dict[str, Any]:
    """Reward with its parts, and the result; what could not be measured is ``null``."""
    return {
        "stop_reason": rewarded.trajectory.stop_reason,
        "turns": len(rewarded.trajectory.turns),
        "reward": asdict(rewarded.reward),
        "result": view_outcome(rewarded.outcome),
    }


def view_outcome(outcome: Outcome) -> dict[str, Any]:
    """A line of ``results.jsonl``, pictures by the names that they have there."""
    pictures = {side: picture_name(png) for side, png in outcome.pictures.items()}
    return json.loads(json.dumps(to_json(replace(outcome.result, pictures=pictures))))
