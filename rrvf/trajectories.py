"""The record of an episode: the model's turns, what it saw after each, and why the episode ended.

A trajectory is a line of ``trajectories.jsonl``. Its pictures are in files named by their content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from rrvf.chat import ToolCall
from rrvf.types import STATUSES, Status

StopReason = Literal[
    "answered",
    "max_turns",
    "token_budget",
    "time_budget",
    "no_action",
    "policy_error",
    "harness_error",
]
"""Why an episode ended. The last two are failures of ours: what was asked is left unscored."""

STOP_REASONS: tuple[StopReason, ...] = get_args(StopReason)

Action = Literal["call", "answer", "none"]
TeacherPart = Literal["asked", "failed", "not_asked"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Completion:
    """The text that a policy wrote in one turn.

    Attributes:
        text: As generated, with thoughts and tags. In a trajectory, a closing tag that a stop
            string cut off is restored.
        finish_reason: ``stop``, ``length``, ``tool_calls``, or the server's own word.
        tool_calls: Native calls that an endpoint returned beside the text.
        input_tokens, output_tokens: Their numbers; ``None`` if they were not counted.
        cached: The completion comes from the cache and was not generated this time.
        note: A remark for the reader about its origin; ``None`` for none.
    """

    text: str
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one tool call.

    Attributes:
        status: The status of the rendering; ``no_code`` for a call without readable code.
        text: The comments or the error, without the surrounding tags.
        code: The rendered code.
        picture: PNG of the rendering.
        attached: The policy saw the picture.
        teacher: ``asked`` for comments; ``failed`` to give them; ``not_asked`` if there is no
            teacher or nothing to compare.
        seconds: Wall time of the rendering.
        teacher_seconds: Wall time of the teacher.
    """

    status: Status
    text: str
    code: str | None = None
    picture: bytes | None = field(default=None, repr=False)
    attached: bool = False
    teacher: TeacherPart = "not_asked"
    seconds: float = 0.0
    teacher_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One completion and its results.

    Attributes:
        completion: What the policy wrote.
        action: ``call``, ``answer`` (calls beside the answer were not run) or ``none``.
        thought: The thoughts; ``None`` without any.
        answer: The text taken as the answer.
        observations: One for each call, in order; empty if a failure of ours came first.
        malformed: How calls that were run differ from the protocol's form.
        seconds: Wall time until the completion arrived.
    """

    completion: Completion
    action: Action
    thought: str | None = None
    answer: str | None = None
    observations: tuple[Observation, ...] = ()
    malformed: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode.

    Attributes:
        sample_id: The id of the sample.
        turns: The turns in order.
        stop_reason: Why the episode ended.
        completion: The reply that is scored; ``None`` for nothing.
        error: What failed, if the failure was ours.
        seconds: Wall time.
        repeat: The number of this episode among several of the same sample.
    """

    sample_id: str
    turns: tuple[Turn, ...]
    stop_reason: StopReason
    completion: str | None = None
    error: str | None = None
    seconds: float = 0.0
    repeat: int = 0

    @property
    def failed(self) -> bool:
        """Whether the failure was ours: the episode is unscored and will be tried again."""
        return self.stop_reason in ("policy_error", "harness_error")

    @property
    def output_tokens(self) -> int:
        """Tokens that the policy wrote, as far as they were counted."""
        return sum(turn.completion.output_tokens or 0 for turn in self.turns)

    def n_teacher(self, part: TeacherPart) -> int:
        """The number of observations with this part of the teacher."""
        return sum(
            observation.teacher == part for turn in self.turns for observation in turn.observations
        )


# ------------------------------------------------------------------------------------ on disk


def to_json(trajectory: Trajectory, add_picture: Callable[[bytes], str]) -> dict[str, Any]:
    """One line of ``trajectories.jsonl`` as a dictionary.

    Args:
        trajectory: The episode.
        add_picture: Stores a PNG and returns the name to find it by.
    """
    return {
        "sample_id": trajectory.sample_id,
        "repeat": trajectory.repeat,
        "stop_reason": trajectory.stop_reason,
        "error": trajectory.error,
        "seconds": trajectory.seconds,
        "completion": trajectory.completion,
        "turns": [_turn_to_json(turn, add_picture) for turn in trajectory.turns],
    }


def _turn_to_json(turn: Turn, add_picture: Callable[[bytes], str]) -> dict[str, Any]:
    completion = turn.completion
    return {
        "note": completion.note,
        "finish_reason": completion.finish_reason,
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "completion": completion.text,
        "tool_calls": [call._asdict() for call in completion.tool_calls],
        "cached": completion.cached,
        "seconds": turn.seconds,
        "action": turn.action,
        "thought": turn.thought,
        "answer": turn.answer,
        "malformed": list(turn.malformed),
        "observations": [
            _observation_to_json(observation, add_picture) for observation in turn.observations
        ],
    }


def _observation_to_json(
    observation: Observation, add_picture: Callable[[bytes], str]
) -> dict[str, Any]:
    picture = observation.picture
    return {
        "status": observation.status,
        "text": observation.text,
        "code": observation.code,
        "picture": None if picture is None else add_picture(picture),
        "attached": observation.attached,
        "teacher": observation.teacher,
        "seconds": observation.seconds,
        "teacher_seconds": observation.teacher_seconds,
    }


def from_json(entry: Mapping[str, Any], read_picture: Callable[[str], bytes]) -> Trajectory:
    """The reverse of :func:`to_json`.

    Args:
        entry: A line, parsed.
        read_picture: Name -> PNG.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is no such line.
        OSError: A picture cannot be read.
    """
    return Trajectory(
        sample_id=_check(entry["sample_id"], str),
        turns=tuple(_read_turn(turn, read_picture) for turn in entry["turns"]),
        stop_reason=cast("StopReason", _check_choice(entry["stop_reason"], STOP_REASONS)),
        completion=_check_optional(entry["completion"], str),
        error=_check_optional(entry["error"], str),
        seconds=_read_number(entry["seconds"]),
        repeat=_check(entry["repeat"], int),
    )


def _read_turn(entry: Mapping[str, Any], read_picture: Callable[[str], bytes]) -> Turn:
    calls = [ToolCall(call["id"], call["name"], call["arguments"]) for call in entry["tool_calls"]]
    return Turn(
        completion=Completion(
            text=_check(entry["completion"], str),
            finish_reason=_check_optional(entry["finish_reason"], str),
            tool_calls=tuple(ToolCall(*(_check(part, str) for part in call)) for call in calls),
            input_tokens=_check_optional(entry["input_tokens"], int),
            output_tokens=_check_optional(entry["output_tokens"], int),
            cached=_check(entry["cached"], bool),
            note=_check_optional(entry.get("note"), str),
        ),
        action=cast("Action", _check_choice(entry["action"], get_args(Action))),
        thought=_check_optional(entry["thought"], str),
        answer=_check_optional(entry["answer"], str),
        observations=tuple(
            _read_observation(observation, read_picture) for observation in entry["observations"]
        ),
        malformed=tuple(_check(text, str) for text in entry.get("malformed", ())),
        seconds=_read_number(entry["seconds"]),
    )


def _read_observation(
    entry: Mapping[str, Any], read_picture: Callable[[str], bytes]
) -> Observation:
    name = _check_optional(entry["picture"], str)
    return Observation(
        status=cast("Status", _check_choice(entry["status"], STATUSES)),
        text=_check(entry["text"], str),
        code=_check_optional(entry["code"], str),
        picture=None if name is None else read_picture(name),
        attached=_check(entry["attached"], bool),
        teacher=cast("TeacherPart", _check_choice(entry["teacher"], get_args(TeacherPart))),
        seconds=_read_number(entry["seconds"]),
        teacher_seconds=_read_number(entry["teacher_seconds"]),
    )


def _check_choice(value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")
    return cast("str", value)


def _check(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"not a {kind.__name__}")
    return value


def _check_optional(value: object, kind: type[_T]) -> _T | None:
    return None if value is None else _check(value, kind)


def _read_number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
