"""Teachers: models that compare the target with a rendering and describe the differences.

A teacher gets two pictures and nothing else. It is not asked about code that did not render,
because the error says enough, nor about a blank picture.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from rrvf.chat import Chat, Message, Picture
from rrvf.errors import HarnessError, boundary
from rrvf.scorers.model_judge import bound_picture
from rrvf.scorers.rubrics import Prompt, read_prompt
from rrvf.trajectories import TeacherPart
from rrvf.types import Language

TEMPERATURE = 0.0
MAX_PIXELS = 2048 * 2048
MAX_TOKENS = 1024
NO_COMMENTS = "-**Comments**- No comments are available for this rendering; compare it yourself."
BLANK = "-**Rendering**- It is blank: every pixel has the same colour."

_MOST_CHARS = 8000
_HEAD = re.compile(r"\A\s*-*\s*Comments:\s*", re.IGNORECASE)


class Teacher(Protocol):
    """Compares two pictures in words; may be called from many threads at once."""

    @property
    def is_model(self) -> bool:
        """Whether a model compares; otherwise the policy must, so it sees the rendering."""
        ...

    def protocol(self) -> Mapping[str, Any]:
        """The settings that can change its comments, for the record of a run."""
        ...

    def comments(self, target: bytes, rendering: bytes) -> str:
        """The differences, one heading per line.

        Args:
            target: PNG of the picture to reproduce.
            rendering: PNG of what was made.

        Raises:
            HarnessError: No answer this time.
            UserError: It cannot work at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """The text that the policy reads about a rendering."""

    text: str
    teacher: TeacherPart
    seconds: float = 0.0


def get_feedback(teacher: Teacher, target: bytes, rendering: bytes) -> Feedback:
    """Ask the teacher to comment on a rendering.

    If the teacher fails, the episode continues without comments, and the text says so.
    """
    with boundary("looking at a rendering"):
        blank = is_blank(rendering)
    if blank:
        return Feedback(BLANK, "not_asked")
    if not teacher.is_model:
        return Feedback(teacher.comments(target, rendering), "not_asked")
    start = time.monotonic()
    try:
        text = teacher.comments(target, rendering)
    except HarnessError:
        return Feedback(NO_COMMENTS, "failed", time.monotonic() - start)
    return Feedback(text, "asked", time.monotonic() - start)


def is_blank(png: bytes) -> bool:
    """Whether every pixel of a picture has the same colour, seen on white."""
    from PIL import Image

    with Image.open(io.BytesIO(bound_picture(png, sys.maxsize))) as picture:
        bands = picture.convert("RGB").split()
    return all(low == high for low, high in (band.getextrema() for band in bands))


@dataclass(frozen=True, slots=True)
class ModelTeacher:
    """A vision-language model behind an endpoint.

    Attributes:
        chat: The endpoint and its model.
        prompt: What is asked; see :func:`teacher_prompt`.
        max_pixels: A larger picture is scaled down to it.
        max_tokens: Of an answer. A longer one is cut off and used as far as it goes.
    """

    chat: Chat
    prompt: Prompt
    max_pixels: int = MAX_PIXELS
    max_tokens: int = MAX_TOKENS

    @property
    def is_model(self) -> bool:
        """It is."""
        return True

    def protocol(self) -> Mapping[str, Any]:
        """Model, prompt, and how it is asked."""
        return {
            "teacher": self.chat.settings.model,
            "endpoint": self.chat.settings.endpoint_kind,
            "prompt_sha256": self.prompt.sha256,
            "temperature": TEMPERATURE,
            "max_pixels": self.max_pixels,
            "max_tokens": self.max_tokens,
            **self.chat.describe_refused(),
        }

    def comments(self, target: bytes, rendering: bytes) -> str:
        """The target first, the rendering second: the prompt says so."""
        with boundary("preparing pictures for the teacher"):
            pictures = [Picture(bound_picture(png, self.max_pixels)) for png in (target, rendering)]
        system = [Message("system", (self.prompt.system,))] if self.prompt.system else []
        question = Message("user", (self.prompt.user, *pictures))
        answer = self.chat.ask(
            [*system, question], temperature=TEMPERATURE, max_tokens=self.max_tokens
        )
        comments = _HEAD.sub("", answer.text.rpartition("</think>")[2]).strip()
        if not comments:
            raise HarnessError("the teacher wrote thoughts but no comments")
        return comments[:_MOST_CHARS]


@dataclass(frozen=True, slots=True)
class PictureOnly:
    """No teacher: the policy sees its rendering, and what can be measured without the code."""

    @property
    def is_model(self) -> bool:
        """It is none."""
        return False

    def protocol(self) -> Mapping[str, Any]:
        """That there is none."""
        return {"teacher": None, "observation": "the rendering, both sizes, blankness, errors"}

    def comments(self, target: bytes, rendering: bytes) -> str:
        """The sizes of the two pictures."""
        wanted_size, size = size_of(target), size_of(rendering)
        if wanted_size == size:
            return f"-**Size**- Both pictures have {_pixels(wanted_size)}."
        return (
            f"-**Size**- The reference has {_pixels(wanted_size)}, the rendering {_pixels(size)}."
        )


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height, where a PNG says them.

    Raises:
        HarnessError: It is too short for a PNG.
    """
    if len(png) < 24:
        raise HarnessError("a picture that is no PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def teacher_prompt(language: Language) -> Prompt:
    """The prompt that ships for charts (``python``) or pages (``html``)."""
    return shipped_prompt("teacher_chart" if language == "python" else "teacher_web")


def shipped_prompt(name: str) -> Prompt:
    """A prompt of ``rrvf/prompts`` by the name of its file."""
    return read_prompt((resources.files("rrvf") / "prompts" / f"{name}.md").read_text("utf-8"))
