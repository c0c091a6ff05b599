"""The client of judges, teachers and policies, against a server that misbehaves on demand."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rrvf.chat import (
    Answer,
    Chat,
    ChatSettings,
    EmptyAnswerError,
    Message,
    Picture,
    ToolCall,
    cache,
)
from rrvf.chat.client import GIVE_UP_AFTER
from rrvf.chat.cost import estimate_tokens
from rrvf.errors import HarnessError, SetupError, UserError
from tests.chat_server import (
    DROPPED_AFTER_HEAD,
    DROPPED_BEFORE_HEAD,
    HALF,
    MALFORMED,
    STALLED,
    TRICKLED,
    ChatServer,
    Reply,
    Request,
    answer,
    completion,
    error,
    models,
    no_choices,
    rate_limited,
    reply,
)

KEY = "sk-not-a-real-key/0123456789"
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def picture(width: int, height: int = 64) -> bytes:
    """As much of a PNG as a size takes."""
    return PNG_HEAD + struct.pack(">II", width, height)


def question(text: str = "How alike?", *pictures: bytes) -> list[Message]:
    return [Message("user", (text, *map(Picture, pictures)))]


def named(value: object) -> str | None:
    """What a reply is called in a test's name."""
    if not isinstance(value, Reply):
        return None
    return f"{value.status} {value.drop or ''} {value.body[:60].decode()}"


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """Each reply once, the last one for ever."""
    return lambda request: replies[min(request.number, len(replies) - 1)]


class Sleeper:
    """Notes how long it should have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@contextmanager
def chat_with(
    replier: Callable[[Request], Reply] | Reply,
    folder: Path | None = None,
    sleep: Callable[[float], object] | None = None,
    **settings: Any,
) -> Iterator[tuple[Chat, ChatServer]]:
    """A client and its server; pauses take no time."""
    replies = in_turn(replier) if isinstance(replier, Reply) else replier
    with ChatServer(replies) as server:
        found = ChatSettings("tested", base_url=server.url, **settings)
        with Chat(found, folder, sleep=sleep or (lambda _: None)) as chat:
            yield chat, server


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in half a minute")


# What goes out, what comes back


def test_a_question_goes_out_as_it_was_put() -> None:
    first, second = picture(10), picture(20)
    call = ToolCall("c1", "draw", '{"code": "1"}')
    messages = [
        Message("system", ("Be brief.",)),
        Message("user", ("First:", Picture(first), "then:", Picture(second, "low"), "\ud800.")),
        Message("assistant", (), tool_calls=(call,)),
        Message("tool", ("done",), tool_call_id="c1"),
    ]
    with chat_with(answer("yes")) as (chat, server):
        got = chat.ask(messages, temperature=0, max_tokens=7, extra_body={"top_k": 1})
    sent = server.requests[0]
    assert got.text == "yes"
    assert (got.input_tokens, got.output_tokens, got.finish_reason) == (100, 10, "stop")
    assert not got.cached
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.pictures == [first, second]
    assert [part["type"] for part in sent.parts[1:6]] == ["text", "image_url"] * 2 + ["text"]
    assert [p["image_url"]["detail"] for p in sent.parts if p["type"] == "image_url"] == [
        "high",
        "low",
    ]
    body = sent.body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][2]["tool_calls"][0]["function"] == {
        "name": "draw",
        "arguments": '{"code": "1"}',
    }
    assert body["messages"][3] == {"role": "tool", "content": "done", "tool_call_id": "c1"}
    assert {name: body[name] for name in body if name != "messages"} == {
        "model": "tested",
        "temperature": 0,
        "max_tokens": 7,
        "top_k": 1,
    }


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "91", "reasoning_content": "hidden"}, "91"),
        ({"content": [{"type": "text", "text": "9"}, {"type": "text", "text": "1"}]}, "91"),
        ({"content": [{"type": "thinking", "text": "no"}, {"type": "text", "text": "91"}]}, "91"),
        ({"content": None, "refusal": "I cannot."}, "I cannot."),
    ],
)
def test_only_the_visible_text_is_the_answer(message: dict[str, Any], text: str) -> None:
    content = completion()
    content["choices"][0]["message"] = message
    with chat_with(reply(content)) as (chat, _):
        assert chat.ask(question()).text == text


def test_a_tool_call_is_an_answer_without_text(tmp_path: Path) -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    with chat_with(answer(None, tool_calls=calls), tmp_path) as (chat, _):
        got = chat.ask(question())
        again = chat.ask(question())
    assert got.tool_calls == again.tool_calls == (ToolCall("c1", "f", "{}"),)
    assert (got.text, again.cached) == ("", True)


def test_a_server_that_counts_no_tokens() -> None:
    content = completion("fine")
    del content["usage"]
    with chat_with(reply(content)) as (chat, _):
        got = chat.ask(question())
        assert (got.input_tokens, got.output_tokens) == (None, None)
        assert chat.usage().cost is None


def test_a_server_without_keys_gets_a_dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with chat_with(answer("none")) as (chat, server):
        assert chat.ask(question()).text == "none"
    assert KEY not in str(server.requests[0].headers)


@pytest.mark.parametrize("name", ["stream", "n", "model"])
def test_what_would_change_the_form_of_the_answer_is_refused(name: str) -> None:
    with chat_with(answer("x")) as (chat, server), pytest.raises(ValueError, match=name):
        chat.ask(question(), **{name: 2})
    assert server.requests == []


# What is tried again


@pytest.mark.parametrize(
    "bad",
    [
        rate_limited(0),
        error(408),
        error(409),
        error(500),
        error(503),
        Reply(502, b"<html>Bad gateway</html>"),
        Reply(500, b'{"error": "cut', drop="half"),
        MALFORMED,
        HALF,
        DROPPED_BEFORE_HEAD,
        DROPPED_AFTER_HEAD,
        no_choices(),
        Reply(body=b"[1]"),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"choices": [{"message": null}]}'),
        Reply(body=b'{"choices": [{"message": {"content": 5}}]}'),
        Reply(body=b'{"error": {"message": "overloaded"}}'),
    ],
    ids=named,
)
def test_what_is_worth_a_retry(bad: Reply) -> None:
    with chat_with(in_turn(bad, bad, answer("at last"))) as (chat, server):
        assert chat.ask(question()).text == "at last"
        assert chat.usage().retries == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize("slow", [STALLED, TRICKLED], ids=["stalled", "trickled"])
def test_a_silent_server_is_asked_again(slow: Reply) -> None:
    replies = in_turn(slow, answer("awake"))
    with chat_with(replies, timeout_seconds=0.5) as (chat, server):
        assert chat.ask(question()).text == "awake"
    assert len(server.requests) == 2


def test_pauses_double_up_to_half_a_minute(sleeper: Sleeper) -> None:
    with chat_with(error(500), sleep=sleeper, attempts=8) as (chat, server):
        with pytest.raises(HarnessError, match=r"8 attempts.*HTTP 500"):
            chat.ask(question())
        assert chat.usage().failures == 1
    assert len(server.requests) == 8
    for slept, longest in zip(sleeper.slept, [1, 2, 4, 8, 16, 30, 30], strict=True):
        assert longest / 2 <= slept <= longest


def test_pauses_are_scattered() -> None:
    def pauses(sleeper: Sleeper) -> list[float]:
        with chat_with(in_turn(error(500), answer("x")), sleep=sleeper) as (chat, _):
            chat.ask(question())
        return sleeper.slept

    assert pauses(Sleeper()) != pauses(Sleeper())


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_to_wait_is_heard(form: str, sleeper: Sleeper) -> None:
    until = 70 if form == "seconds" else datetime.now(UTC) + timedelta(seconds=75)
    replies = in_turn(rate_limited(until), answer("thanks"))
    with chat_with(replies, sleep=sleeper) as (chat, _):
        assert chat.ask(question()).text == "thanks"
    assert len(sleeper.slept) == 1
    assert 60 <= sleeper.slept[0] <= 80


@pytest.mark.parametrize(
    "header", ["soon", "-5", "nan", "inf", "Mon, 99 Foo 2020", "Mon, 01 Jan 2001 00:00:00 -0000"]
)
def test_a_strange_wait_is_not_heard(header: str, sleeper: Sleeper) -> None:
    replies = in_turn(error(429, Retry_After=header), answer("fine"))
    with chat_with(replies, sleep=sleeper) as (chat, _):
        assert chat.ask(question()).text == "fine"
    assert sleeper.slept[0] <= 1


def test_the_deadline_ends_everything(sleeper: Sleeper) -> None:
    asking = chat_with(rate_limited(3600), sleep=sleeper, deadline_seconds=60)
    with asking as (chat, server), pytest.raises(HarnessError, match="1 attempts"):
        chat.ask(question())
    assert len(server.requests) == 1
    assert sleeper.slept == []


@pytest.mark.parametrize("slow", [STALLED, TRICKLED], ids=["stalled", "trickled"])
def test_the_deadline_cuts_a_request_short(slow: Reply) -> None:
    asking = chat_with(slow, deadline_seconds=0.5)
    with asking as (chat, server), pytest.raises(HarnessError, match="in time"):
        chat.ask(question())
    assert len(server.requests) == 1


# One bad answer


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_question_spoils_itself_alone(status: int) -> None:
    replies = in_turn(error(status, "too many pixels"), answer("the next one"))
    with chat_with(replies) as (chat, server):
        with pytest.raises(HarnessError, match="too many pixels"):
            chat.ask(question())
        assert chat.ask(question()).text == "the next one"
    assert len(server.requests) == 2


def test_refused_questions_never_end_the_run() -> None:
    replies = in_turn(*[error(400, "no")] * 2 * GIVE_UP_AFTER, answer("yes"))
    with chat_with(replies) as (chat, _):
        for _ in range(2 * GIVE_UP_AFTER):
            with pytest.raises(HarnessError):
                chat.ask(question())
        assert chat.ask(question()).text == "yes"


def test_an_empty_answer_is_no_answer_and_not_kept(tmp_path: Path) -> None:
    with chat_with(in_turn(answer(" \n"), answer("now")), tmp_path) as (chat, _):
        with pytest.raises(EmptyAnswerError, match="stop"):
            chat.ask(question())
        assert chat.ask(question()).text == "now"
        assert chat.usage().input_tokens == 200


def test_an_answer_that_is_all_thoughts_is_paid_once(tmp_path: Path) -> None:
    content = completion("")
    content["choices"][0]["message"]["reasoning_content"] = "the bars are red"
    with chat_with(in_turn(reply(content)), tmp_path) as (chat, server):
        for _ in range(2):
            said = chat.ask(question(), thoughts_count=True)
            assert (said.text, said.thought) == ("", "the bars are red")
        spent = chat.usage()
        assert len(server.requests) == 1
        assert (spent.paid, spent.from_cache, spent.failures) == (1, 1, 0)


def test_thoughts_are_no_answer_to_a_judge(tmp_path: Path) -> None:
    content = completion("")
    content["choices"][0]["message"]["reasoning_content"] = "hm"
    with chat_with(in_turn(reply(content), answer("now")), tmp_path) as (chat, _):
        with pytest.raises(EmptyAnswerError):
            chat.ask(question())
        assert chat.ask(question()).text == "now"


def test_a_withheld_answer_is_no_answer() -> None:
    content = completion("half a sen")
    content["choices"][0]["finish_reason"] = "content_filter"
    asking = chat_with(reply(content))
    with asking as (chat, _), pytest.raises(HarnessError, match="content filter"):
        chat.ask(question())


def test_malformed_to_the_end() -> None:
    replies = in_turn(MALFORMED, MALFORMED, MALFORMED, answer("the next one"))
    with chat_with(replies, attempts=3) as (chat, _):
        with pytest.raises(HarnessError, match="no JSON"):
            chat.ask(question())
        assert chat.ask(question()).text == "the next one"


# What ends the run


@pytest.mark.parametrize(
    ("bad", "mend"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY"),
        (error(403, "no access"), "OPENAI_API_KEY"),
        (error(402, "pay"), "top it up"),
        (error(429, "You exceeded your quota", "insufficient_quota"), "top it up"),
        (error(404, "The model `tested` does not exist."), "no model 'tested'"),
        (error(404, "nope", "model_not_found"), "no model 'tested'"),
        (error(400, "Model Not Exist"), "no model 'tested'"),
        (error(400, "use max_completion_tokens", "unsupported_parameter"), "another model"),
        (Reply(404, b'{"detail": "Not Found"}'), "/v1"),
        (Reply(404, b"<html>\n<h1>404</h1>\n</html>"), "/v1"),
    ],
    ids=named,
)
def test_a_mistake_in_the_set_up_ends_the_run(bad: Reply, mend: str) -> None:
    with chat_with(bad) as (chat, server):
        with pytest.raises(SetupError) as first:
            chat.ask(question("one"))
        with pytest.raises(SetupError) as second:
            chat.ask(question("two"))
    assert len(server.requests) == 1
    assert mend in str(first.value)
    assert "\n" not in str(first.value)
    assert str(second.value) == str(first.value)


def test_a_missing_key_is_told_from_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with (
        chat_with(error(401)) as (chat, _),
        pytest.raises(SetupError, match=r"set \$OPENAI_API_KEY"),
    ):
        chat.ask(question())


def test_a_server_that_never_was_ends_the_run(sleeper: Sleeper) -> None:
    server = ChatServer(in_turn(answer("never")))
    url = server.url
    server.close()
    with Chat(ChatSettings("tested", base_url=url), sleep=sleeper) as chat:
        for text in ("one", "two"):
            with pytest.raises(SetupError, match="start the server") as caught:
                chat.ask(question(text))
            assert url in str(caught.value)
    assert sleeper.slept == []


def test_a_server_that_dies_spoils_questions_then_ends_the_run(sleeper: Sleeper) -> None:
    with chat_with(answer("alive"), sleep=sleeper, attempts=3) as (chat, server):
        chat.ask(question())
        server.close()
        for number in range(1, GIVE_UP_AFTER):
            with pytest.raises(HarnessError, match="3 attempts"):
                chat.ask(question(f"after {number}"))
        with pytest.raises(SetupError, match="in a row"):
            chat.ask(question("the last"))
        tried = len(sleeper.slept)
        with pytest.raises(SetupError, match="in a row"):
            chat.ask(question("after the last"))
    assert tried == len(sleeper.slept) == 2 * GIVE_UP_AFTER


def give_up(chat: Chat) -> None:
    """Ask a server that answers nothing, until nobody asks it any more."""
    for number in range(1, GIVE_UP_AFTER):
        with pytest.raises(HarnessError, match="no answer"):
            chat.ask(question(f"lost {number}"))
    with pytest.raises(SetupError, match="in a row"):
        chat.ask(question("the last"))
    assert chat.is_given_up


def test_a_server_that_was_given_up_is_asked_again_once_it_is_back() -> None:
    is_away = True

    def come_back(seconds: float) -> None:
        nonlocal is_away
        slept.append(seconds)
        if len(slept) == 3:
            is_away = False

    slept: list[float] = []
    with chat_with(
        lambda _: error(503) if is_away else answer("back"), sleep=come_back, attempts=1
    ) as (chat, server):
        server.models = lambda: error(503) if is_away else models({"id": "tested"})()
        assert chat.wait_until_back(0.0)  # it was not given up
        give_up(chat)
        assert not chat.wait_until_back(0.0)
        with pytest.raises(SetupError, match="in a row"):
            chat.ask(question("still away"))
        assert chat.wait_until_back(600.0)
        assert len(slept) == 3
        assert not chat.is_given_up
        assert chat.ask(question("after")).text == "back"
        is_away = True  # and it may go again
        give_up(chat)


def test_questions_that_fail_after_the_server_was_given_up_change_nothing() -> None:
    """Many are under way when it is given up; each fails in its own time."""
    gate = threading.Barrier(2 * GIVE_UP_AFTER)

    def replier(_: Request) -> Reply:
        gate.wait(30)  # all are asked before one is answered
        return error(503)

    with chat_with(replier, attempts=1, concurrency=2 * GIVE_UP_AFTER) as (chat, server):
        server.models = models({"id": "tested"})

        def ask(number: int) -> str:
            with pytest.raises((HarnessError, SetupError)) as caught:
                chat.ask(question(f"number {number}"))
            return type(caught.value).__name__

        with ThreadPoolExecutor(2 * GIVE_UP_AFTER) as pool:
            errors = Counter(pool.map(ask, range(2 * GIVE_UP_AFTER)))
        assert errors["SetupError"] > 1
        assert chat.is_given_up
        assert chat.wait_until_back(0.0)


def test_what_cannot_get_better_is_not_waited_for() -> None:
    with chat_with(error(401)) as (chat, server):
        server.models = models({"id": "tested"})
        with pytest.raises(SetupError, match="401"):
            chat.ask(question("with a wrong key"))
        assert not chat.is_given_up
        assert chat.wait_until_back(0.0)
        with pytest.raises(SetupError, match="401"):
            chat.ask(question("with the same key"))


def test_an_answer_between_keeps_the_run_going() -> None:
    def replier(request: Request) -> Reply:
        return error(500) if "bad" in request.text else answer("good")

    with chat_with(replier, attempts=1) as (chat, _):
        for number in range(3 * GIVE_UP_AFTER):
            if number % (GIVE_UP_AFTER - 1) == 0:
                assert chat.ask(question(f"good {number}")).text == "good"
            else:
                with pytest.raises(HarnessError):
                    chat.ask(question(f"bad {number}"))


def test_a_stop_wakes_those_who_wait() -> None:
    def replier(request: Request) -> Reply:
        return error(401) if "wrong" in request.text else rate_limited(600)

    with (
        ThreadPoolExecutor(1) as pool,
        ChatServer(replier) as server,
        Chat(ChatSettings("tested", base_url=server.url)) as chat,
    ):
        waiting = pool.submit(chat.ask, question("patient"))
        wait_until(lambda: chat.usage().retries == 1)
        with pytest.raises(SetupError):
            chat.ask(question("wrong"))
        with pytest.raises(SetupError):
            waiting.result(timeout=20)


def test_a_closed_chat_asks_nothing() -> None:
    with chat_with(answer("x")) as (chat, server):
        chat.close()
        with pytest.raises(HarnessError, match="closed"):
            chat.ask(question())
    assert server.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000/v1"}, "http://"),
        ({"concurrency": 0}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"deadline_seconds": -1}, "deadline_seconds"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ChatSettings("tested", **settings)


@pytest.mark.parametrize("value", [None, "", "  ", "sk-ключ-0123", "two\nlines of it"])
def test_a_key_that_is_none(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(SetupError, match="OPENAI_API_KEY") as caught:
        Chat(ChatSettings("gpt-4o"))
    assert not (value or "").strip() or (value or "") not in str(caught.value)


# Nothing is paid twice


def test_a_rerun_pays_nothing(tmp_path: Path) -> None:
    with chat_with(answer("91"), tmp_path, name="the same") as (chat, _):
        paid = chat.ask(question("a", picture(1)), temperature=0)
    with chat_with(answer("other"), tmp_path, name="the same") as (chat, server):
        got = chat.ask(question("a", picture(1)), temperature=0)
        usage = chat.usage()
    assert server.requests == []
    assert got.cached
    assert (got.text, got.input_tokens, got.output_tokens) == ("91", 100, 10)
    assert not paid.cached
    assert (usage.questions, usage.paid, usage.from_cache, usage.input_tokens) == (1, 0, 1, 0)


@pytest.mark.parametrize(
    ("messages", "parameters"),
    [
        (question("b", picture(1), picture(2)), {"temperature": 0}),
        (question("a", picture(2), picture(1)), {"temperature": 0}),
        (question("a", picture(1), picture(3)), {"temperature": 0}),
        (question("a", picture(1)), {"temperature": 0}),
        ([Message("system", question("a", picture(1), picture(2))[0].parts)], {"temperature": 0}),
        ([Message("user", ("a", Picture(picture(1), "low"), Picture(picture(2))))], {}),
        (question("a", picture(1), picture(2)), {"temperature": 1}),
        (question("a", picture(1), picture(2)), {"temperature": 0, "seed": 1}),
        (question("a", picture(1), picture(2)), {"temperature": 0, "repeat": 1}),
    ],
)
def test_another_question_is_asked(
    messages: list[Message], parameters: dict[str, Any], tmp_path: Path
) -> None:
    with chat_with(lambda r: answer(str(r.number)), tmp_path) as (chat, _):
        assert chat.ask(question("a", picture(1), picture(2)), temperature=0).text == "0"
        assert chat.ask(messages, **parameters).text == "1"
        assert chat.ask(messages, **parameters).text == "1"


def test_another_model_is_asked(tmp_path: Path) -> None:
    with ChatServer(lambda r: answer(r.body["model"])) as server:
        for model in ("small", "large", "small"):
            with Chat(ChatSettings(model, base_url=server.url), tmp_path) as chat:
                assert chat.ask(question()).text == model
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" + data,
        lambda data: b"[]",
        lambda data: b"[" * 100_000,
        lambda data: data.replace(b'"91"', b"91"),
        lambda data: data.replace(b'"text"', b'"test"'),
        lambda data: data.replace(b'"tool_calls": []', b'"tool_calls": [["a"]]'),
    ],
)
def test_an_unreadable_entry_counts_as_absent(
    spoil: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    with chat_with(answer("91"), tmp_path) as (chat, server):
        chat.ask(question())
        (entry,) = tmp_path.rglob("*.json")
        data = entry.read_bytes()
        assert spoil(data) != data
        entry.write_bytes(spoil(data))
        assert not chat.ask(question()).cached
        assert chat.ask(question()).cached
        assert entry.read_bytes() == data
    assert len(server.requests) == 2


def test_a_cache_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with chat_with(answer("91"), tmp_path / "file") as (chat, server):
        for text in ("one", "two"):
            with pytest.raises(UserError, match="RRVF_CACHE_DIR"):
                chat.ask(question(text))
    assert len(server.requests) == 1


def test_the_same_question_at_once_is_paid_once() -> None:
    gate = threading.Event()
    slow = Reply(body=answer("shared").body, wait_for=gate)
    with ThreadPoolExecutor(5) as pool, chat_with(slow) as (chat, server):
        asked = [pool.submit(chat.ask, question()) for _ in range(5)]
        wait_until(lambda: chat.usage().questions == 5)
        gate.set()
        answers = [one.result(timeout=20) for one in asked]
    assert len(server.requests) == 1
    assert [one.text for one in answers] == ["shared"] * 5
    assert sum(one.cached for one in answers) == 4
    assert (chat.usage().paid, chat.usage().from_cache) == (1, 4)


def test_no_more_than_asked_for_at_once() -> None:
    gate = threading.Event()
    slow = Reply(body=answer("x").body, wait_for=gate)
    with ThreadPoolExecutor(9) as pool, chat_with(slow, concurrency=3) as (chat, server):
        asked = [pool.submit(chat.ask, question(str(number))) for number in range(9)]
        wait_until(lambda: server.most_at_once >= 3)
        time.sleep(0.3)
        gate.set()
        assert all(one.result(timeout=20).text == "x" for one in asked)
    assert server.most_at_once == 3


# What it costs


PRICE = {"tested": (10.0, 100.0)}
ONE_ANSWER = (100 * 10 + 10 * 100) / 1e6
"""USD of an answer of the test server at that price."""


def test_cost_is_counted() -> None:
    with chat_with(answer("x"), prices=PRICE) as (chat, _):
        assert chat.usage().cost == 0
        for number in range(3):
            chat.ask(question(str(number)))
        usage = chat.usage()
    assert usage.cost == pytest.approx(3 * ONE_ANSWER)
    assert (usage.input_tokens, usage.output_tokens, usage.paid) == (300, 30, 3)


def test_an_estimate_is_of_all_questions() -> None:
    with chat_with(answer("x"), prices=PRICE) as (chat, _):
        one = chat.estimate(1, question("a" * 300), 50)
        many = chat.estimate(40, question("a" * 300), 50)
    assert 75 <= one.input_tokens <= 150  # English has about four characters a token
    assert one.output_tokens == 50
    assert one.cost == pytest.approx((one.input_tokens * 10 + 50 * 100) / 1e6)
    assert many.cost == pytest.approx(40 * (one.cost or 0))


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # Examples of OpenAI's guide to pictures.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (512, 512), "high", 255),
        # Qwen2.5-VL: merged patches of 28 pixels.
        ("Qwen2.5-VL-72B-Instruct", (1036, 700), "high", 37 * 25),
    ],
)
def test_a_picture_is_estimated_by_the_published_rule(
    model: str, size: tuple[int, int], detail: Any, tokens: int
) -> None:
    empty = estimate_tokens(model, [Message("user", ())])
    whole = estimate_tokens(model, [Message("user", (Picture(picture(*size), detail),))])
    assert whole - empty == tokens


def test_no_question_goes_over_the_cost_limit(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"prices": PRICE, "max_cost": 5.5 * ONE_ANSWER}
    with chat_with(answer("x"), tmp_path, **settings) as (chat, server):
        for number in range(5):
            chat.ask(question(str(number)), max_tokens=10)
        with pytest.raises(UserError, match="--max-cost"):
            chat.ask(question("6"), max_tokens=20)
        with pytest.raises(UserError, match="--max-cost"):
            chat.ask(question("7"), max_tokens=20)
        assert (chat.usage().cost or 0) <= settings["max_cost"]
    assert len(server.requests) == 5


def test_what_is_under_way_counts_towards_the_limit() -> None:
    gate = threading.Event()
    slow = Reply(body=answer("paid").body, wait_for=gate)
    # Ten tokens of answer are $0.001; the rest is the question.
    asking = chat_with(slow, prices=PRICE, max_cost=0.0015)
    with ThreadPoolExecutor(1) as pool, asking as (chat, server):
        first = pool.submit(chat.ask, question("one"), max_tokens=10)
        wait_until(lambda: len(server.requests) == 1)
        with pytest.raises(UserError, match="--max-cost"):
            chat.ask(question("two"), max_tokens=10)
        gate.set()
        assert first.result(timeout=20).text == "paid"
    assert len(server.requests) == 1


def test_failed_questions_set_nothing_aside() -> None:
    replies = in_turn(*[error(400, "no")] * 20, answer("x"))
    with chat_with(replies, prices=PRICE, max_cost=1.5 * ONE_ANSWER) as (chat, _):
        for _ in range(20):
            with pytest.raises(HarnessError):
                chat.ask(question(), max_tokens=10)
        assert chat.ask(question(), max_tokens=10).text == "x"


def test_a_limit_needs_a_price() -> None:
    with pytest.raises(SetupError, match="price of 'tested'"):
        Chat(ChatSettings("tested", base_url="http://127.0.0.1:1/v1", max_cost=1))


# The key


def test_the_key_shows_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    def replier(request: Request) -> Reply:
        told = request.headers["Authorization"]
        assert KEY in told
        escaped = json.dumps(completion(f"it is {told}")).replace("/", "\\/").encode()
        status = next((s for s in (400, 401, 429, 500) if str(s) in request.text), 200)
        if "raw" in request.text:
            return Reply(500, told.encode())
        if "late" in request.text:
            return error(400, "x" * 190 + told)
        return error(status, f"you sent {told}") if status != 200 else Reply(body=escaped)

    seen: list[str] = []
    with chat_with(replier, tmp_path, attempts=2) as (chat, _):
        for text in ("429", "500", "raw", "400", "late", "200", "401", "after"):
            try:
                seen.append(str(chat.ask(question(text))))
            except (HarnessError, UserError) as caught:
                seen += [*traceback.format_exception(caught), repr(caught.__context__)]
        seen += [repr(chat), repr(chat.settings), repr(vars(chat)), str(chat.usage())]
    assert sum("[key]" in text for text in seen) >= 6
    seen += [caplog.text, *capfd.readouterr()]
    for part in (KEY, KEY[:12]):
        assert not [text for text in seen if part in text]
        assert_absent(part, tmp_path)


def assert_absent(secret: str, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        for form in (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1]):
            assert form not in data, path


def test_a_password_in_the_address_shows_in_no_error() -> None:
    with ChatServer(in_turn(error(401))) as server:
        url = server.url.replace("http://", "http://me:hunter22@") + "?key=hunter22"
        with (
            Chat(ChatSettings("tested", base_url=url)) as chat,
            pytest.raises(SetupError) as caught,
        ):
            chat.ask(question())
    assert "hunter22" not in str(caught.value)


def test_the_package_loads_without_openai() -> None:
    code = "import sys, rrvf.chat; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# A thousand questions


N_QUESTIONS = 1000
N_THREADS = 16
ASKING = f"""
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from rrvf.chat import Chat, ChatSettings, Message, Picture

def picture(number, kind):
    return b"\\x89PNG\\r\\n\\x1a\\n" + f"{{kind}} {{number}}".encode() * 40

def ask(number):
    pictures = (Picture(picture(number, kind)) for kind in ("reference", "generated"))
    parts = (f"{{number:04}}", *pictures)
    return chat.ask([Message("user", parts)], temperature=0).text

settings = ChatSettings("tested", base_url=sys.argv[1], timeout_seconds=8)
with Chat(settings, Path(sys.argv[2]), sleep=lambda seconds: None) as chat:
    with ThreadPoolExecutor({N_THREADS}) as pool:
        answers = list(pool.map(ask, range({N_QUESTIONS})))
    print(json.dumps([answers, chat.usage().from_cache]))
"""


class Misbehaving:
    """Three replies in ten are faults; after so many answers all are held until ``killed``."""

    def __init__(self, hold_after: int) -> None:
        self.hold_after = hold_after
        self.killed = threading.Event()
        self.lock = threading.Lock()
        self.attempts: Counter[str] = Counter()
        self.n_answers = 0
        self.n_faults = 0
        self.n_held = 0

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            if self.n_answers >= self.hold_after and not self.killed.is_set():
                self.n_held += 1
                return Reply(drop="before_head", wait_for=self.killed)
            attempt = self.attempts[request.text]
            self.attempts[request.text] += 1
            chance = random.Random(f"{request.text}/{attempt}")
            if chance.random() < 0.3 and attempt < 5:
                self.n_faults += 1
                return self.fault(chance, request)
            self.n_answers += 1
            return answer(f"answer to {request.text}")

    def fault(self, chance: random.Random, request: Request) -> Reply:
        if chance.random() < 0.01:
            return STALLED
        told = request.headers["Authorization"]
        return chance.choice(
            [
                rate_limited(30),
                rate_limited(datetime.now(UTC) + timedelta(seconds=30)),
                error(500, f"cannot serve {told}"),
                Reply(503, told.encode()),
                MALFORMED,
                HALF,
                DROPPED_BEFORE_HEAD,
                DROPPED_AFTER_HEAD,
                no_choices(),
            ]
        )


def test_a_thousand_questions_through_faults_and_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_LOG", "debug")
    misbehaving = Misbehaving(hold_after=400)
    with ChatServer(misbehaving) as server:
        command = [sys.executable, "-c", ASKING, server.url, str(tmp_path / "answers")]
        with (tmp_path / "first.out").open("w") as out:
            first = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            try:
                # All threads wait for the server: what it answered before has been kept.
                wait_until(lambda: misbehaving.n_held >= N_THREADS or first.poll() is not None)
                assert first.poll() is None, (tmp_path / "first.out").read_text()
            finally:
                first.send_signal(signal.SIGKILL)
                first.wait()
        misbehaving.killed.set()
        kept = len(list((tmp_path / "answers").rglob("*.json")))
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        (tmp_path / "second.err").write_text(second.stderr)

    assert second.returncode == 0, second.stderr[-2000:]
    answers, from_cache = json.loads(second.stdout)
    assert answers == [f"answer to {number:04}" for number in range(N_QUESTIONS)]
    assert kept == from_cache == 400
    assert server.answered == {f"{number:04}": 1 for number in range(N_QUESTIONS)}
    assert misbehaving.n_faults > 0.2 * N_QUESTIONS
    for request in server.requests:
        number = int(request.text)
        first_seen, second_seen = request.pictures
        assert f"reference {number}".encode() in first_seen
        assert f"generated {number}".encode() in second_seen
    (tmp_path / "second.out").write_text(second.stdout)
    assert_absent(KEY, tmp_path)


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with (
        ChatServer(lambda _: answer("91/100")) as server,
        Chat(ChatSettings("m", base_url=server.url, attempts=1)) as chat,
    ):
        assert chat.ask([Message("user", ("how alike?",))]).text == "91/100"


# ------------------------------------------------------------------------------- bounds of the disk


def test_of_too_many_answers_the_oldest_go(tmp_path: Path) -> None:
    paths = []
    for number in range(20):
        key = f"{number:02x}" * 32
        cache.store(tmp_path, key, Answer(f"answer {number}", "stop", 1, 1))
        path = tmp_path / key[:2] / f"{key}.json"
        os.utime(path, (1000 + number, 1000 + number))
        paths.append(path)
    assert cache.prune(tmp_path, most_answers=20) == 0
    assert all(path.exists() for path in paths)
    assert cache.prune(tmp_path, most_answers=10) == 11  # down to nine tenths
    assert [path.exists() for path in paths] == [False] * 11 + [True] * 9


def test_a_chat_looks_after_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pruned: list[Path] = []
    monkeypatch.setattr(cache, "prune", pruned.append)
    with chat_with(answer("yes"), tmp_path) as (chat, _):
        for number in range(3):
            chat.ask(question(f"number {number}"))
    assert pruned == [tmp_path]
