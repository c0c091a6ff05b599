"""The loop: a policy writes code, sees its rendering and the differences, and finally answers.

:class:`Episode` is the protocol as a state machine. It knows what to show the policy next, what a
completion asks for, and when the episode is over. It draws nothing and asks no model.
:func:`run_episode` drives one episode; training drives many in parallel, turn by turn::

    episode = Episode(sample.id, sample.prompt, target, settings)
    while episode.stop_reason is None:
        requests = episode.take(policy.reply(episode.messages(), ...))
        if episode.stop_reason is None:
            episode.observe([respond(request, ...) for request in requests])

The meaning of a completion:

* An ``<answer>`` ends the episode; calls beside it are not run. Without a call, a fenced block of
  code outside tags also ends it: models that do not know the protocol answer in this form.
* Otherwise every ``<tool_call>``, or every native call of an endpoint, is run in order. Each is
  answered by one ``<tool_response>``. If a call cannot be run, the response says why, and the
  episode continues.
* A completion with neither ends the episode with ``no_action``. If the length limit cut it off,
  the reason is ``token_budget``, as for a conversation that exceeds the model's context.
* A closing tag that a stop string cut off is restored. Thoughts that were never closed end at the
  next call or answer.
"""

from __future__ import annotations

import io
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rrvf.chat import Message, Picture, TooLongError
from rrvf.errors import HarnessError, UserError, boundary
from rrvf.kinds.kind import Drawn
from rrvf.options import LoopOptions, Unanswered
from rrvf.page_replies import extract_html
from rrvf.policies import Policy
from rrvf.python_text import parse_module
from rrvf.render_tool import (
    CHART_TOOL,
    PAGE_TOOL,
    RenderTool,
    add_ids,
    read_native_calls,
)
from rrvf.replies import (
    Reply,
    close_thought,
    extract_code,
    extract_spoken,
    fence,
    parse_reply,
    restore_closing_tag,
)
from rrvf.scorers.model_judge import bound_picture
from rrvf.scorers.rubrics import Prompt
from rrvf.scoring import NO_PICTURE
from rrvf.teacher import Teacher, get_feedback, shipped_prompt, size_of
from rrvf.trajectories import Action, Completion, Observation, StopReason, Trajectory, Turn
from rrvf.types import Language, Sample
from rrvf.written_calls import ToolCall

STOP = ("</tool_call>", "</answer>")
"""Strings that end generation."""

NO_CALL_LEFT = "No call is left. Give your final answer now."

_RESPONSE_TAG = re.compile(r"</?tool_response>")
_MOST_ERROR = 2000
_MOST_STRETCHED = 150
_CHARS_A_TOKEN = 3  # rather too many tokens than too few


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The rules of an episode.

    Attributes:
        tool: The tool that the policy may call.
        prompt: The system message, with its placeholders; the user text for a sample without one.
        max_turns: Completions per episode. With 1 there is no tool and no system message, and the
            whole reply is the answer.
        max_calls: Calls per turn that are run.
        turn_tokens: Tokens per completion.
        max_tokens: Tokens that the policy may write in an episode; ``None`` for no limit.
        max_seconds: Wall time after which no further turn starts; ``None`` for no limit. Waiting
            for the policy counts too, so results with a limit depend on the machine.
        unanswered: What is scored without an answer. ``nothing`` follows the paper's protocol: only
            an answer counts. ``last_rendered`` scores the last code that rendered.
        attach_rendering: Show the policy its rendering beside the comments. Without comments, the
            rendering is always shown.
        native_calls: The endpoint offers the tool to the policy, instead of the system message.
        tell_last_call: After the last call that an episode has room for, say that no call is left,
            so that the policy answers before it is cut off.
        max_pixels: A larger picture is scaled down to this size before the policy sees it.
            Qwen2.5-VL makes at most 2,675 tokens of the default, so an episode fits into 32,768.
    """

    tool: RenderTool
    prompt: Prompt
    max_turns: int = LoopOptions.max_turns
    max_calls: int = 4
    turn_tokens: int = LoopOptions.max_tokens
    max_tokens: int | None = None
    max_seconds: float | None = None
    unanswered: Unanswered = LoopOptions.unanswered
    attach_rendering: bool = LoopOptions.attach_rendering
    native_calls: bool = LoopOptions.native_tools
    tell_last_call: bool = LoopOptions.tell_last_call
    max_pixels: int = LoopOptions.max_pixels

    def __post_init__(self) -> None:
        for name in ("max_turns", "max_calls", "turn_tokens", "max_tokens", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # nor what is no number
                raise UserError(f"{name} must be more than 0, not {value}")

    @classmethod
    def of(cls, language: Language, **changes: Any) -> AgentSettings:
        """The settings for charts (``python``) or pages (``html``)."""
        charts = language == "python"
        tool = CHART_TOOL if charts else PAGE_TOOL
        prompt = shipped_prompt("chart_policy" if charts else "web_policy")
        settings: dict[str, Any] = {"tool": tool, "prompt": prompt, **changes}
        return cls(**settings)

    def protocol(self) -> Mapping[str, Any]:
        """The settings that can change results, for the record of a run."""
        return {
            "tool": f"{self.tool.name}({self.tool.argument})",
            "policy_prompt_sha256": self.prompt.sha256,
            "max_turns": self.max_turns,
            "max_calls": self.max_calls,
            "turn_tokens": self.turn_tokens,
            "max_tokens": self.max_tokens,
            "max_seconds": self.max_seconds,
            "unanswered": self.unanswered,
            "attach_rendering": self.attach_rendering,
            "native_calls": self.native_calls,
            "policy_max_pixels": self.max_pixels,
            # Left out when off, so that runs recorded before the option existed resume.
            **({"tell_last_call": True} if self.tell_last_call else {}),
        }

    def system(self) -> str:
        """The system message."""
        if self.native_calls:
            call = f"Call the tool {self.tool.name} with your code as {self.tool.argument}."
        else:
            form = {"name": self.tool.name, "arguments": {self.tool.argument: "..."}}
            call = (
                f"Write <tool_call>{json.dumps(form)}</tool_call> with your code, as a JSON "
                "string, in place of the dots."
            )
        n_calls = self.max_turns - 1
        times = "once" if n_calls == 1 else f"at most {n_calls} times"
        return self.prompt.system.replace("{how_to_call}", call).replace("{n_calls}", times)


class Canvas(Protocol):
    """Draws the code of a call exactly as it would be scored; a bench is one."""

    def target(self, sample: Sample) -> bytes:
        """The picture to reproduce, as PNG.

        Raises:
            HarnessError: There is no picture.
        """
        ...

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Draw code for a sample.

        Raises:
            HarnessError: The failure is ours.
        """
        ...


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """Code that the policy wants rendered.

    Attributes:
        code: The code, unchanged.
        comment: Ask the teacher for comments; false in the last turn, where nobody reads them.
    """

    code: str
    comment: bool = True


@dataclass
class Episode:
    """One episode's state; belongs to one thread at a time.

    Attributes:
        sample_id: The id of the sample.
        prompt: The sample's own instruction; if empty, the settings' prompt is used.
        target: PNG of the picture to reproduce. An episode never sees the reference's code.
        settings: The rules.
        repeat: The number of this episode among several of the same sample.
        stop_reason: Why the episode ended; ``None`` while it is under way.
        error: What failed, if the episode ended by a failure.
    """

    sample_id: str
    prompt: str
    target: bytes = field(repr=False)
    settings: AgentSettings
    repeat: int = 0
    stop_reason: StopReason | None = None
    error: str | None = None
    _turns: list[Turn] = field(default_factory=list[Turn])
    _messages: list[Message] = field(default_factory=list[Message], repr=False)
    _requests: list[str | Observation] = field(default_factory=list[str | Observation], repr=False)
    _end_reason: StopReason | None = None
    _final: str | None = None
    _is_told: bool = False

    def __post_init__(self) -> None:
        text = self.prompt or self.settings.prompt.user
        if not self._is_single():
            self._messages.append(Message("system", (self.settings.system(),)))
        self._messages.append(Message("user", (text, self._to_picture(self.target))))

    def messages(self) -> list[Message]:
        """The messages to show the policy next."""
        return list(self._messages)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far."""
        return tuple(self._turns)

    def tokens_left(self) -> int:
        """The largest number of tokens for the next completion."""
        limit = self.settings.max_tokens
        turn_limit = self.settings.turn_tokens
        return turn_limit if limit is None else min(turn_limit, limit - self._count_tokens())

    # --------------------------------------------------------------------------- a turn

    def take(self, completion: Completion, seconds: float = 0.0) -> list[ToolRequest]:
        """Read a completion.

        Returns:
            The code to render. Unless the episode is now over, :meth:`observe` must be called with
            one observation for each request, even if the list is empty.
        """
        if self.stop_reason is not None:
            raise ValueError("the episode is over")
        text = completion.text
        if completion.finish_reason != "length":
            completion = replace(completion, text=restore_closing_tag(text))
            text = close_thought(completion.text)
        reply = parse_reply(text)
        calls = read_native_calls(completion.tool_calls) or list(reply.tool_calls)
        speech = extract_spoken(completion.text, self.settings.tool.language)
        answer = self._find_answer(reply, calls, speech)
        action: Action = "answer" if answer is not None else "call" if calls else "none"
        turn = Turn(
            completion,
            action,
            reply.think,
            answer,
            malformed=tuple(call.malformed for call in calls if call.malformed),
            seconds=seconds,
        )
        self._turns.append(turn)
        if answer is not None:
            self._final = speech
            self.end("answered")
        elif not calls:
            self.end("token_budget" if completion.finish_reason == "length" else "no_action")
        else:
            return self._take_calls(completion, calls)
        return []

    def _find_answer(self, reply: Reply, calls: Sequence[ToolCall], speech: str) -> str | None:
        """The text of the answer; ``None`` without an answer."""
        if self._is_single() and speech.strip():
            # Without a tool, the whole text is the answer.
            return speech if reply.answer is None else reply.answer
        if reply.answer is not None or calls:
            return reply.answer
        return speech if reply.text and _holds_code(speech, self.settings.tool.language) else None

    def _is_single(self) -> bool:
        return self.settings.max_turns == 1

    def _take_calls(self, completion: Completion, calls: Sequence[ToolCall]) -> list[ToolRequest]:
        if len(self._turns) >= self.settings.max_turns:
            self._end_reason = "max_turns"
        elif self.tokens_left() <= 0 or self._is_told:
            self._end_reason = "token_budget"
        native = add_ids(completion.tool_calls, len(self._turns))
        text = (completion.text,) if completion.text else ()
        self._messages.append(Message("assistant", text, native))
        self._requests = [self._read_call(number, call) for number, call in enumerate(calls)]
        comment = self._end_reason is None
        return [ToolRequest(code, comment) for code in self._requests if isinstance(code, str)]

    def _read_call(self, number: int, call: ToolCall) -> str | Observation:
        """The code to render, or an observation that says why there is none."""
        limit = self.settings.max_calls
        if number >= limit:
            return Observation("no_code", f"not run: at most {limit} calls a turn")
        code, problem = self.settings.tool.code_of(call)
        return Observation("no_code", problem[:_MOST_ERROR]) if code is None else code

    def observe(self, observations: Sequence[Observation]) -> None:
        """Show the policy the results of its calls.

        Args:
            observations: One for each request, in the same order.
        """
        if len(observations) != sum(isinstance(code, str) for code in self._requests):
            raise ValueError("one observation a request is needed")
        rest = iter(observations)
        by_call = [next(rest) if isinstance(call, str) else call for call in self._requests]
        self._turns[-1] = replace(self._turns[-1], observations=tuple(by_call))
        self._requests = []
        if self._end_reason is not None:
            self.end(self._end_reason)
            return
        self._messages += self._build_responses(by_call)
        if self.settings.tell_last_call and self._has_no_call_left():
            self.say_no_call_is_left()

    def _has_no_call_left(self) -> bool:
        """Whether the rules leave no room for another call."""
        if len(self._turns) >= self.settings.max_turns - 1:
            return True
        if self.settings.max_tokens is None:
            return False
        longest = max(_n_tokens(turn.completion) for turn in self._turns)
        return self.settings.max_tokens - self._count_tokens() < longest + self.settings.turn_tokens

    def say_no_call_is_left(self) -> None:
        """Ask for the answer: another call would end the episode without one.

        Training calls this too, because it counts tokens that this class does not see.
        """
        if self._is_told:
            return
        self._is_told = True
        last = self._messages[-1]
        self._messages[-1] = replace(last, parts=(*last.parts, NO_CALL_LEFT))

    def _build_responses(self, observations: Sequence[Observation]) -> list[Message]:
        native = self._messages[-1].tool_calls
        attachments = [self._attach(observation) for observation in observations]
        if not native:
            parts: list[str | Picture] = []
            for observation, pictures in zip(observations, attachments, strict=True):
                text = format_response(observation)
                parts += [f"<tool_response>{text}</tool_response>", *pictures]
            return [Message("user", tuple(parts))]
        # Endpoints take no pictures in the messages that answer their own calls.
        messages = [
            Message("tool", (format_response(observation),), tool_call_id=call.id)
            for call, observation in zip(native, observations, strict=True)
        ]
        all_pictures = [picture for pictures in attachments for picture in pictures]
        if all_pictures:
            messages.append(Message("user", ("What your code renders to:", *all_pictures)))
        return messages

    def _attach(self, observation: Observation) -> list[Picture]:
        if not observation.attached or observation.picture is None:
            return []
        return [self._to_picture(observation.picture)]

    def _to_picture(self, png: bytes) -> Picture:
        return to_picture(png, self.settings.max_pixels)

    def _count_tokens(self) -> int:
        return sum(_n_tokens(turn.completion) for turn in self._turns)

    # -------------------------------------------------------------------------- the end

    def end(self, reason: StopReason, error: str | None = None) -> None:
        """End the episode."""
        self.stop_reason, self.error = reason, error

    def trajectory(self, seconds: float = 0.0) -> Trajectory:
        """The finished episode.

        Raises:
            ValueError: The episode is not over.
        """
        if self.stop_reason is None:
            raise ValueError("the episode is not over")
        return Trajectory(
            self.sample_id,
            tuple(self._turns),
            self.stop_reason,
            self._choose_completion(),
            self.error,
            seconds,
            self.repeat,
        )

    def _choose_completion(self) -> str | None:
        failed = self.stop_reason in ("policy_error", "harness_error")
        if self.stop_reason == "answered" or failed or self.settings.unanswered == "nothing":
            return self._final
        observations = [observation for turn in self._turns for observation in turn.observations]
        codes = [
            observation.code
            for observation in observations
            if observation.status == "ok" and observation.code is not None
        ]
        return fence(codes[-1], self.settings.tool.language) if codes else None


# ------------------------------------------------------------------------------------ the loop


def run_episode(
    policy: Policy,
    sample: Sample,
    canvas: Canvas,
    teacher: Teacher,
    settings: AgentSettings,
    repeat: int = 0,
) -> Trajectory:
    """Play one episode from its first message to its end.

    A failure of the policy's endpoint, of the renderer or of the reference ends the episode and is
    recorded in the trajectory. A failure of the teacher does not end it.

    Raises:
        UserError: No model can be asked or nothing can be drawn; other episodes would fail too.
    """
    start = time.monotonic()
    try:
        with boundary(f"preparing {sample.id}"):
            target = canvas.target(sample)
            episode = Episode(sample.id, sample.prompt, target, settings, repeat)
    except HarnessError as error:
        return Trajectory(sample.id, (), "harness_error", error=str(error), repeat=repeat)
    while episode.stop_reason is None:
        if settings.max_seconds is not None and time.monotonic() - start >= settings.max_seconds:
            episode.end("time_budget")
            break
        _step(episode, policy, sample, canvas, teacher)
    return episode.trajectory(time.monotonic() - start)


def _step(
    episode: Episode, policy: Policy, sample: Sample, canvas: Canvas, teacher: Teacher
) -> None:
    """One turn."""
    start = time.monotonic()
    try:
        with boundary(f"asking the policy about {sample.id}"):
            completion = policy.reply(
                episode.messages(),
                sample_id=sample.id,
                repeat=episode.repeat,
                stop=STOP,
                max_tokens=episode.tokens_left(),
            )
    except TooLongError as error:
        # What it wrote and was shown fills the context; a first question is of our making.
        if episode.turns:
            episode.end("token_budget")
        else:
            episode.end("policy_error", str(error))
        return
    except HarnessError as error:
        episode.end("policy_error", str(error))
        return
    try:
        with boundary(f"rendering for {sample.id}"):
            requests = episode.take(completion, time.monotonic() - start)
            if episode.stop_reason is None:
                episode.observe(
                    [respond(request, sample, canvas, teacher, episode) for request in requests]
                )
    except HarnessError as error:
        episode.end("harness_error", str(error))


def respond(
    request: ToolRequest, sample: Sample, canvas: Canvas, teacher: Teacher, episode: Episode
) -> Observation:
    """Render the code of a request and get comments on it.

    Raises:
        HarnessError: It cannot be rendered, through no fault of the code.
    """
    rendering = canvas.draw(sample, request.code)
    if rendering.status != "ok" or rendering.png is None:
        text = (rendering.error or NO_PICTURE)[:_MOST_ERROR]
        status = "code_error" if rendering.status == "ok" else rendering.status
        return Observation(status, text, request.code, seconds=rendering.seconds)
    if not request.comment:
        return Observation("ok", "", request.code, rendering.png, seconds=rendering.seconds)
    feedback = get_feedback(teacher, episode.target, rendering.png)
    return Observation(
        status="ok",
        text=feedback.text,
        code=request.code,
        picture=rendering.png,
        attached=episode.settings.attach_rendering or feedback.teacher != "asked",
        teacher=feedback.teacher,
        seconds=rendering.seconds,
        teacher_seconds=feedback.seconds,
    )


# ------------------------------------------------------------------------------------ pictures


def to_picture(png: bytes, max_pixels: int) -> Picture:
    """A picture as a policy is shown it: no larger, and no mere stripe."""
    return Picture(widen(bound_picture(png, max_pixels)))


def widen(png: bytes) -> bytes:
    """A picture that is a mere stripe gets white beside it.

    Qwen's preparation of pictures refuses those whose sides differ 200 times, and what code draws
    must not be able to end its episode.
    """
    width, height = size_of(png)
    min_side = math.ceil(max(width, height) / _MOST_STRETCHED)
    if min(width, height) >= min_side:
        return png
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        paper = Image.new("RGB", (max(width, min_side), max(height, min_side)), "white")
        paper.paste(picture.convert("RGB"), (0, 0))
    paper.save(out, "PNG")
    return out.getvalue()


# --------------------------------------------------------------------------------------- texts


def format_response(observation: Observation) -> str:
    """What the policy reads of an observation, without the tags around it."""
    head = "---Comments:" if observation.status == "ok" else "---Error:"
    return f"{head}\n{_RESPONSE_TAG.sub('', observation.text)}"


def _holds_code(text: str, language: Language) -> bool:
    """Whether a text without tags is meant as an answer."""
    if language == "html":
        return extract_html(text) is not None
    # Plot2Code reads a script without any block, too.
    return bool(extract_code(text, language)) or (
        "import" in text and parse_module(text) is not None
    )


def _n_tokens(completion: Completion) -> int:
    if completion.output_tokens is not None:
        return completion.output_tokens
    return math.ceil(len(completion.text) / _CHARS_A_TOKEN)
