"""Teachers: what a model is asked and what becomes of its answer; what is said without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from rrvf.chat import Answer, ChatSettings, EmptyAnswerError, Message
from rrvf.errors import HarnessError, SetupError
from rrvf.teacher import (
    BLANK,
    NO_COMMENTS,
    ModelTeacher,
    PictureOnly,
    get_feedback,
    is_blank,
    teacher_prompt,
)
from rrvf.types import Language
from tests.chat_server import answer, error
from tests.episodes import ScriptedTeacher, pixels, png, served

TARGET, RENDERING = png("red", (60, 40)), png("blue", (50, 40))
SAYS = "-**Color**- The bars are red, not blue."


@dataclass
class ScriptedChat:
    """Says one thing, and keeps what it was asked."""

    says: str | Exception
    settings: ChatSettings = field(default_factory=lambda: ChatSettings("a-model"))
    asked: list[tuple[Sequence[Message], dict[str, Any]]] = field(default_factory=list)

    def ask(self, messages: Sequence[Message], **parameters: Any) -> Answer:
        self.asked.append((messages, parameters))
        if isinstance(self.says, Exception):
            raise self.says
        return Answer(self.says, "stop")

    def describe_refused(self) -> dict[str, list[str]]:
        return {}


def teacher(says: str | Exception, language: Language = "python") -> tuple[Any, ScriptedChat]:
    chat: Any = ScriptedChat(says)
    return ModelTeacher(chat, teacher_prompt(language)), chat


@pytest.mark.parametrize("language", ["python", "html"])
def test_a_server_gets_the_target_first_and_no_code(language: Language) -> None:
    with served(lambda _: answer(SAYS)) as (chat, server):
        model = ModelTeacher(chat, teacher_prompt(language))
        assert model.comments(TARGET, RENDERING) == SAYS
    (request,) = server.requests
    assert [pixels(picture) for picture in request.pictures] == [pixels(TARGET), pixels(RENDERING)]
    assert request.body["temperature"] == 0
    roles = [message["role"] for message in request.body["messages"]]
    assert roles == ["system", "user"]
    assert "visual comparison analyst" in request.parts[0]["text"]
    question = request.parts[1]["text"]
    assert question.index("first is the reference") < question.index("second was generated")
    headings = {
        "python": ("Layout", "Chart type", "Text", "Data", "Color", "Style"),
        "html": ("Layout", "Elements", "Text", "Data", "Color", "Style"),
    }
    for heading in headings[language]:
        assert f"\n-**{heading}**- " in question


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (SAYS, SAYS),
        (f"\n ---Comments:\n{SAYS}\n", SAYS),
        (f"<think>Red? Comments: none</think>\n{SAYS}", SAYS),
        ("It is too blue.", "It is too blue."),
        (SAYS * 10_000, (SAYS * 10_000)[:8000]),
    ],
)
def test_what_it_says_is_told(says: str, told: str) -> None:
    assert teacher(says)[0].comments(TARGET, RENDERING) == told


@pytest.mark.parametrize(
    "says",
    ["<think>Hm.</think> ", "---Comments:\n", HarnessError("down"), EmptyAnswerError("an empty")],
)
def test_no_answer_is_told_and_counted(says: str | Exception) -> None:
    said = get_feedback(teacher(says)[0], TARGET, RENDERING)
    assert (said.text, said.teacher) == (NO_COMMENTS, "failed")


def test_a_server_that_takes_no_questions_ends_the_run() -> None:
    with served(lambda _: error(401, "no key")) as (chat, _):
        model = ModelTeacher(chat, teacher_prompt("python"))
        with pytest.raises(SetupError):
            get_feedback(model, TARGET, RENDERING)


@pytest.mark.parametrize("ground", ["white", "navy", "black"])
def test_a_blank_rendering_is_said_to_be_blank(ground: str) -> None:
    asked = ScriptedTeacher()
    blank = png(ground, mark=None)
    for one in (asked, PictureOnly()):
        said = get_feedback(one, TARGET, blank)
        assert (said.text, said.teacher) == (BLANK, "not_asked")
    assert asked.asked == []


def test_one_pixel_is_not_blank() -> None:
    import io

    from PIL import Image

    for mode, dot in (("RGB", (0, 0, 1)), ("RGBA", (0, 0, 0, 255)), ("L", 1)):
        background = {"RGB": (0, 0, 0), "RGBA": (0, 0, 0, 0), "L": 0}[mode]
        picture = Image.new(mode, (300, 200), background)
        empty, out = io.BytesIO(), io.BytesIO()
        picture.save(empty, "PNG")
        picture.putpixel((299, 199), dot)
        picture.save(out, "PNG")
        assert is_blank(empty.getvalue()), mode
        assert not is_blank(out.getvalue()), mode


def test_a_rendering_that_is_no_picture_is_our_failure() -> None:
    with pytest.raises(HarnessError):
        get_feedback(PictureOnly(), TARGET, b"GIF89a")


def test_without_a_teacher_the_sizes_are_told() -> None:
    said = get_feedback(PictureOnly(), TARGET, RENDERING)
    assert said.teacher == "not_asked"
    assert "reference has 60 x 40 pixels" in said.text
    assert "rendering 50 x 40 pixels" in said.text
    assert "Both pictures have 60 x 40" in get_feedback(PictureOnly(), TARGET, TARGET).text


def test_the_record_says_who_taught() -> None:
    model, _ = teacher(SAYS)
    pages, _ = teacher(SAYS, "html")
    assert model.protocol()["teacher"] == "a-model"
    assert model.protocol()["prompt_sha256"] != pages.protocol()["prompt_sha256"]
    without = PictureOnly().protocol()
    assert without["teacher"] is None
    assert "rendering" in without["observation"]
