"""Servers that do not take a parameter: asked without it, told once, filed and recorded as sent."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import STOP
from rrvf.chat import Chat, ChatSettings, Message, RefusedError, TooLongError
from rrvf.errors import SetupError
from rrvf.policies import EndpointPolicy
from rrvf.tables.measured import differences, read_runs
from tests.chat_server import ChatServer, Reply, Request, answer, error, reply
from tests.runs import environment, fenced, plot, rrvf_here, summary_of, write_data

QUESTION = [Message("user", ("How alike?",))]
MEND = "Use 'max_completion_tokens' instead."


def refusal(name: str | None, message: str, code: str | None, status: int = 400) -> Reply:
    said = {"message": message, "type": "invalid_request_error", "param": name, "code": code}
    return reply({"error": said}, status)


REFUSALS: dict[str, Reply] = {
    "max_tokens": refusal(
        "max_tokens",
        f"Unsupported parameter: 'max_tokens' is not supported with this model. {MEND}",
        "unsupported_parameter",
    ),
    "stop": refusal(
        "stop",
        "Unsupported parameter: 'stop' is not supported with this model.",
        "unsupported_parameter",
    ),
    "temperature": refusal(
        "temperature",
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) "
        "value is supported.",
        "unsupported_value",
    ),
    "seed": refusal(None, "Unrecognized request argument supplied: seed", None),
}


def refusing(*names: str, says: str = "ok") -> Callable[[Request], Reply]:
    """Refuses the first of these parameters that is in a request, else answers."""

    def replied(request: Request) -> Reply:
        sent = [name for name in names if name in request.body]
        return REFUSALS[sent[0]] if sent else answer(says)

    return replied


def asked(server: ChatServer, folder: Path | None = None, **parameters: Any) -> tuple[Any, Chat]:
    with Chat(ChatSettings("m", base_url=server.url), folder, sleep=lambda _: None) as chat:
        return chat.ask(QUESTION, **parameters), chat


# --------------------------------------------------------------------------------- one client


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("max_tokens", 7, {"max_completion_tokens": 7}),
        ("stop", ["</answer>"], {}),
        ("temperature", 0, {}),
        ("seed", 3, {}),
    ],
)
def test_a_question_is_asked_without_what_is_refused(
    name: str, value: object, left: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with ChatServer(refusing(name)) as server, caplog.at_level(logging.WARNING):
        got, chat = asked(server, **{name: value, "top_p": 0.5})
    assert got.text == "ok"
    first, second = (request.body for request in server.requests)
    assert first[name] == value
    rest = {key: second[key] for key in second if key not in ("model", "messages", "top_p")}
    assert (rest, second["top_p"]) == (left, 0.5)
    assert chat.refused() == [name]
    assert chat.describe_refused() == {"renamed" if left else "left_out": [name]}
    [record] = caplog.records
    assert f"does not take {name} for m" in record.getMessage()
    assert chat.usage().paid == 1
    assert chat.usage().failures == 0


@pytest.mark.parametrize(
    "said",
    [
        reply(
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs "
            "are not permitted"}]},
            422,
        ),
        reply({"message": "seed: Extra inputs are not permitted"}, 400),
        error(400, "The parameter `seed` is not supported by this engine"),
        error(400, "Unknown parameter: 'seed'."),
        error(400, "no seed here", "unsupported_parameter"),
    ],
)  # fmt: skip
def test_refusals_in_other_words(said: Reply) -> None:
    with ChatServer(lambda request: said if "seed" in request.body else answer("ok")) as server:
        assert asked(server, seed=1)[0].text == "ok"


def test_several_are_found_out_one_after_another_and_once_for_all() -> None:
    with ChatServer(refusing("max_tokens", "stop", "temperature", "seed")) as server:
        settings = ChatSettings("m", base_url=server.url)
        with Chat(settings) as chat:
            sent = {"max_tokens": 7, "stop": ["x"], "temperature": 0, "seed": 1}
            chat.ask(QUESTION, **sent)
            assert len(server.requests) == 5
            chat.ask(QUESTION, repeat=1, **sent)
    assert len(server.requests) == 6, "what is known is not tried again"
    assert chat.describe_refused() == {
        "left_out": ["seed", "stop", "temperature"],
        "renamed": ["max_tokens"],
    }


def test_neither_name_of_a_limit_is_taken() -> None:
    names = ("max_tokens", "max_completion_tokens")

    def replied(request: Request) -> Reply:
        sent = [name for name in names if name in request.body]
        told = f"Unsupported parameter: '{sent[0]}'" if sent else ""
        return refusal(sent[0], told, "unsupported_parameter") if sent else answer("ok")

    with ChatServer(replied) as server:
        _, chat = asked(server, max_tokens=7)
    assert len(server.requests) == 3
    assert chat.describe_refused() == {"left_out": ["max_completion_tokens", "max_tokens"]}


def test_many_at_once_find_it_out_together(caplog: pytest.LogCaptureFixture) -> None:
    n = 8
    together = threading.Barrier(n)

    def replied(request: Request) -> Reply:
        if "seed" not in request.body:
            return answer("ok")
        together.wait(60)  # all were sent before any of them is refused
        return REFUSALS["seed"]

    with (
        ChatServer(replied) as server,
        caplog.at_level(logging.WARNING),
        Chat(ChatSettings("m", base_url=server.url)) as chat,
        ThreadPoolExecutor(n) as pool,
    ):
        futures = [pool.submit(chat.ask, QUESTION, repeat=i, seed=i) for i in range(n)]
        assert {future.result().text for future in futures} == {"ok"}
    assert len(server.requests) == 2 * n
    assert len(caplog.records) == 1, "told once"
    assert chat.usage().paid == n


# ------------------------------------------------------------------------- what is none of these


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            error(400, "'max_tokens' is too large: 4096. This model's maximum context length is "
                  "2048 tokens and your request has 100 input tokens"),
            TooLongError,
        ),
        (
            refusal("max_tokens", "max_tokens is not supported beyond the maximum context length",
                    "context_length_exceeded"),
            TooLongError,
        ),
        (refusal("max_tokens", "max_tokens is too large: 9", "invalid_value"), RefusedError),
        (error(400, "Content that says stop is not allowed", "content_policy"), RefusedError),
        (refusal("messages", "'seed' and 'stop' are not supported here", None), RefusedError),
        (refusal("top_p", "Unsupported parameter: 'top_p'", "unsupported_parameter"), SetupError),
        (refusal("seed", "Unsupported parameter: 'seed'", "unsupported_parameter"), SetupError),
    ],
)  # fmt: skip
def test_other_refusals_mean_what_they_meant(said: Reply, kind: type[Exception]) -> None:
    with ChatServer(lambda _: said) as server:
        with Chat(ChatSettings("m", base_url=server.url)) as chat:
            with pytest.raises(kind):
                chat.ask(QUESTION, max_tokens=9, temperature=0, stop=["x"], top_p=0.5)
            assert chat.refused() == []
        assert len(server.requests) == 1


# -------------------------------------------------------------------------------- kept answers


def test_an_answer_is_filed_under_what_was_sent(tmp_path: Path) -> None:
    with ChatServer(refusing("seed", says="without a seed")) as server:
        asked(server, tmp_path, seed=1)
        again, chat = asked(server, tmp_path, seed=1)
        assert again.cached, "it is not paid twice"
        assert chat.usage().paid == 0
        assert asked(server, tmp_path)[0].cached, "the same question, as it was sent"
        server.replier = lambda _: answer("with a seed")
        assert asked(server, tmp_path, seed=1)[0].text == "with a seed", "never filed as that"
        assert asked(server, tmp_path)[0].text == "without a seed"


def test_stop_strings_that_are_not_taken_cut_all_the_same() -> None:
    says = "<tool_call>{}</tool_call><tool_response>made up</tool_response><answer>x</answer>"
    named: dict[str, Any] = {"sample_id": "bar_1", "repeat": 0, "max_tokens": 9}
    with (
        ChatServer(refusing("stop", says=says)) as server,
        Chat(ChatSettings("m", base_url=server.url)) as chat,
    ):
        policy = EndpointPolicy(chat)
        got = policy.reply(QUESTION, stop=STOP, **named)
        assert got.text == "<tool_call>{}</tool_call>"
        assert policy.protocol()["left_out"] == ["stop"]
        assert policy.reply(QUESTION, stop=(), **named).text == says


# ---------------------------------------------------------------------------------- whole runs


class Lab:
    """Two charts, a policy and a judge at one address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = environment(RRVF_CACHE_DIR=str(folder / "cache"), OPENAI_API_KEY="none")
        references = {f"line_{n}": plot(f"chart {n}") for n in range(2)}
        self.data = write_data(folder, references, {})[:2]
        self.n_paid = 0

    def replied(self, *names: str) -> Callable[[Request], Reply]:
        refuse = refusing(*names)

        def reply_to(request: Request) -> Reply:
            said = refuse(request)
            self.n_paid += said.status == 200
            is_judge = request.body["model"] == "judge"
            text = "Score: 50/100" if is_judge else fenced(plot("an answer"))
            return answer(text) if said.status == 200 else said

        return reply_to

    def play(self, server: ChatServer, out: str, *more: object) -> Any:
        words = ("eval", "chartmimic", *self.data, "--out", self.folder / out, "--max-turns", 1)
        ends = ("--policy", "policy", "--base-url", server.url, "--seed", 1)
        judge = ("--judge", "judge", "--judge-base-url", server.url)
        done = rrvf_here(*words, *ends, *judge, *more, env=self.env)
        assert done.returncode == 0, done.stderr
        return done

    def settings(self, out: str) -> dict[str, Any]:
        return json.loads((self.folder / out / "run.json").read_text())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_run_says_what_was_left_out_and_does_not_forget_it(lab: Lab) -> None:
    with ChatServer(lab.replied("max_tokens", "temperature", "seed")) as server:
        done = lab.play(server, "run", "--limit", 1)
        assert done.stderr.count("does not take seed for policy") == 1
        assert lab.n_paid == 2
        protocol = summary_of(lab.folder / "run")["protocol"]
        assert protocol["policy"]["left_out"] == ["seed", "temperature"]
        assert protocol["policy"]["renamed"] == protocol["judge"]["renamed"] == ["max_tokens"]
        assert protocol["judge"]["left_out"] == ["temperature"]
        settings = lab.settings("run")
        assert settings["protocol.policy"] == protocol["policy"]
        assert settings["protocol.hash"] == protocol["hash"]
        n_before = len(server.requests)
        done = lab.play(server, "run", "--limit", 1)
        assert (len(server.requests), done.stderr.count("does not take")) == (n_before, 0)
        assert summary_of(lab.folder / "run")["protocol"] == protocol, "a finished run, read again"
        lab.play(server, "run")
        assert len(server.requests) == n_before + 2, "the second sample, nothing tried again"
        assert summary_of(lab.folder / "run")["protocol"] == protocol


def test_a_run_that_was_killed_before_it_noted_anything_pays_nothing_twice(lab: Lab) -> None:
    with ChatServer(lab.replied("max_tokens", "seed")) as server:
        lab.play(server, "run")
        protocol = summary_of(lab.folder / "run")["protocol"]
        settings = lab.settings("run")
        for part in ("protocol.policy", "protocol.judge"):
            for name in ("left_out", "renamed"):
                settings[part].pop(name, None)
        (lab.folder / "run" / "run.json").write_text(json.dumps(settings))
        for name in ("results.jsonl", "trajectories.jsonl", "summary.json"):
            (lab.folder / "run" / name).unlink()
        n_paid = lab.n_paid
        done = lab.play(server, "run")
        assert "policy: 0 answers paid, 2 from the cache" in done.stderr
        assert lab.n_paid == n_paid
        assert summary_of(lab.folder / "run")["protocol"] == protocol
        assert lab.settings("run")["protocol.policy"] == protocol["policy"]


def test_rescored_it_is_remembered_and_the_runs_differ_in_setting(lab: Lab) -> None:
    with ChatServer(lab.replied("seed")) as server:
        lab.play(server, "without")
    with ChatServer(lab.replied(), port=server.port) as server:
        lab.play(server, "with")
    again = ("rescore", lab.folder / "without", "--out", lab.folder / "again")
    assert rrvf_here(*again, env=lab.env).returncode == 0
    assert summary_of(lab.folder / "again")["protocol"]["policy"]["left_out"] == ["seed"]
    settings = lab.settings("again")
    assert settings["protocol.policy"].pop("left_out") == ["seed"]
    (lab.folder / "again" / "run.json").write_text(json.dumps(settings))
    assert rrvf_here(*again, env=lab.env).returncode == 0, "known later, it is no other run"
    assert lab.settings("again")["protocol.policy"]["left_out"] == ["seed"]
    first, second, third = read_runs([lab.folder / name for name in ("with", "without", "again")])
    assert differences(first.setting, second.setting) == [
        "requests to the policy not told there, without seed here"
    ]
    assert second.card["requests to the policy"] == "without seed"
    assert "requests to the policy" not in first.card
    assert third.card["requests to the policy"] == "without seed"
