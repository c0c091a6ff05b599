"""An answer that is kept never stands for somebody else's: servers swapped, moved, named, dead."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rrvf.chat import Chat, ChatSettings, Message
from rrvf.errors import SetupError, UserError
from tests.chat_server import ChatServer, Reply, answer, error, models, reply
from tests.runs import (
    assert_one_line,
    environment,
    fenced,
    lines_of,
    plot,
    rrvf_here,
    summary_of,
    values,
    write_data,
)

QUESTION = [Message("user", ("How alike?",))]
SECRET = "sk-secret-0123456789"


def vllm(root: str, **more: Any) -> dict[str, Any]:
    """What vLLM says of a model; ``created`` is the time of the request."""
    said = {"id": "m", "object": "model", "created": int(time.time()), "owned_by": "vllm"}
    return {**said, "root": root, "parent": None, "max_model_len": 4096, **more}


@contextmanager
def serving(
    text: str, *entries: Mapping[str, Any], root: str | None = None, port: int = 0
) -> Iterator[ChatServer]:
    """Says ``text`` to all, and of its models either ``entries``, or as vLLM of ``root``."""
    with ChatServer(lambda _: answer(text), port) as server:
        if root is not None:
            server.models = lambda: reply({"object": "list", "data": [vllm(root)]})
        elif entries:
            server.models = models(*entries)
        yield server


def asked(server: ChatServer, folder: Path, **settings: Any) -> str:
    with Chat(ChatSettings("m", base_url=server.url, **settings), folder) as chat:
        return chat.ask(QUESTION).text


# ------------------------------------------------------------------- one port, another server


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"root": "/ckpt/100"}, {"root": "/ckpt/200"}, id="another root"),
        pytest.param({"created": 1}, {"created": 2}, id="another date"),
        pytest.param({"root": "/a", "parent": "x"}, {"root": "/a", "parent": "y"}, id="parent"),
        pytest.param({"max_model_len": 1}, {"max_model_len": 2}, id="another length"),
        pytest.param({"meta": {"n_params": 7}}, {"meta": {"n_params": 8}}, id="another size"),
        pytest.param({"root": "/a"}, {}, id="says less"),
    ],
)
def test_a_server_swapped_on_its_port_is_asked(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    with serving("one", {"id": "m", **first}) as server:
        assert asked(server, tmp_path) == "one"
        assert asked(server, tmp_path) == "one"
        assert len(server.requests) == 1
    with serving("two", {"id": "m", **second}, port=server.port) as other:
        assert asked(other, tmp_path) == "two"


def test_the_time_of_the_request_is_no_date(tmp_path: Path) -> None:
    with serving("one", root="/ckpt/100") as server:
        assert asked(server, tmp_path) == "one"
    time.sleep(1.1)
    with serving("one", root="/ckpt/100", port=server.port) as again:
        assert asked(again, tmp_path) == "one"
        assert again.requests == [], "the same weights, whatever the time"
    with serving("two", root="/ckpt/200", port=server.port) as other:
        assert asked(other, tmp_path) == "two"


def test_a_date_of_today_that_stays_is_one(tmp_path: Path) -> None:
    now = int(time.time())
    with serving("one", {"id": "m", "created": now}) as server:
        assert asked(server, tmp_path) == asked(server, tmp_path) == "one"
        assert len(server.requests) == 1
    with serving("two", {"id": "m", "created": now + 1}, port=server.port) as other:
        assert asked(other, tmp_path) == "two"


def test_the_model_that_is_asked_counts_and_no_other(tmp_path: Path) -> None:
    mine = {"id": "m", "root": "/a"}
    with serving("one", mine, {"id": "other", "root": "/b"}) as server:
        assert asked(server, tmp_path) == "one"
        server.models = models({"id": "other", "root": "/c"}, mine)
        assert asked(server, tmp_path) == "one"
        assert len(server.requests) == 1


def test_the_only_model_answers_to_any_name(tmp_path: Path) -> None:
    with serving("one", {"id": "a.gguf"}) as server:
        assert asked(server, tmp_path) == "one"
    with serving("two", {"id": "b.gguf"}, port=server.port) as other:
        assert asked(other, tmp_path) == "two"


@pytest.mark.parametrize(
    "said",
    [
        error(404),
        error(501),
        error(401),
        Reply(body=b"<html>"),
        reply([]),
        reply({"data": 5}),
        reply({"data": [5, {"id": ["m"]}]}),
        reply({"data": [{"id": "m", "root": "x" * 5000}]}),
        Reply(body=b"[" * 100_000),
    ],
)
def test_a_server_that_says_nothing_of_its_models(tmp_path: Path, said: Reply) -> None:
    with serving("one") as server:
        server.models = lambda: said
        assert asked(server, tmp_path) == asked(server, tmp_path) == "one"
    assert len(server.requests) == 1, "known by its address"


def test_who_cannot_be_told_is_answered_for_by_nobody(tmp_path: Path) -> None:
    with serving("one") as server:
        server.models = lambda: error(503)
        settings = ChatSettings("m", base_url=server.url)
        for _ in range(2):
            with Chat(settings, tmp_path, sleep=lambda _: None) as chat:
                assert [chat.ask(QUESTION).text for _ in range(2)] == ["one", "one"]
    assert len(server.requests) == 2, "once in each"


# ------------------------------------------------------------------------------- addresses


def test_another_address_is_somebody_else_unless_named(tmp_path: Path) -> None:
    with serving("one", {"id": "m", "root": "/a"}) as server:
        assert asked(server, tmp_path) == "one"
        assert asked(server, tmp_path, name="judge") == "one"
    with serving("two", {"id": "m", "root": "/a"}) as other:
        assert asked(other, tmp_path) == "two"
        assert asked(other, tmp_path, name="judge") == "one"
        assert asked(other, tmp_path, name="another") == "two"


@pytest.mark.parametrize(
    "spelled",
    [
        "HTTP://127.0.0.1:{}/v1",
        "http://127.0.0.1:{}/v1/",
        "http://user:" + SECRET + "@127.0.0.1:{}/v1",
        "http://127.0.0.1:{}/v1?token=" + SECRET,
        "http://127.0.0.1:{}/v1#x",
    ],
)
def test_one_address_in_many_spellings(
    tmp_path: Path, spelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving("one", {"id": "m", "root": SECRET}) as server:
        assert asked(server, tmp_path) == "one"
        url = spelled.format(server.port)
        settings = ChatSettings("m", base_url=url.replace("HTTP:", "http:"))
        with Chat(settings, tmp_path) as chat:
            assert chat.ask(QUESTION).cached
            assert SECRET not in json.dumps(chat.identity().to_json())
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 1
    assert SECRET not in f"{kept}{kept[0].read_text()}"


def test_an_address_that_is_none() -> None:
    with pytest.raises(UserError, match="not a base URL"):
        ChatSettings("m", base_url="http://127.0.0.1:port/v1")


# ----------------------------------------------------------------------------- nobody, anew


def test_a_dead_server_is_noticed_whatever_is_kept(tmp_path: Path) -> None:
    with serving("one") as server:
        assert asked(server, tmp_path) == "one"
    with pytest.raises(SetupError, match="nothing answers at"):
        asked(server, tmp_path)


def test_a_named_one_answers_from_what_is_kept(tmp_path: Path) -> None:
    with serving("one") as server:
        assert asked(server, tmp_path, name="judge") == "one"
    assert asked(server, tmp_path, name="judge") == "one"


def test_answers_from_before_are_asked_for_anew_and_replaced(tmp_path: Path) -> None:
    with serving("one") as server:
        assert asked(server, tmp_path) == "one"
        time.sleep(0.02)
        server.replier = lambda _: answer("two")
        now = time.time()
        time.sleep(0.02)
        assert asked(server, tmp_path, since=now) == "two"
        assert asked(server, tmp_path, since=now) == "two"
        assert asked(server, tmp_path) == "two"
        assert len(server.requests) == 2


# -------------------------------------------------------------------------------- whole runs


GOOD = f"<answer>{fenced(plot('t'))}</answer>"
BAD = f"<answer>{fenced(plot('another'))}</answer>"


class Lab:
    """One chart, and the command that is told where its answers come from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        reference = plot("t") + '\nplt.savefig("t.pdf")'
        answers = {"bar_1": fenced(plot("t"))}
        self.data = write_data(folder, {"bar_1": reference}, answers)
        cache = {"RRVF_CACHE_DIR": str(folder / "cache"), "OPENAI_API_KEY": SECRET}
        self.env = environment(**cache)

    def play(self, url: str, out: str, *more: object) -> Any:
        words = ("eval", "chartmimic", *self.data[:2], "--policy", "m", "--base-url", url)
        return rrvf_here(*words, "--out", self.folder / out, *more, env=self.env)

    def judge(self, url: str, out: str, *more: object) -> Any:
        words = ("score", "chartmimic", *self.data, "--judge", "m", "--judge-base-url", url)
        return rrvf_here(*words, "--out", self.folder / out, *more, env=self.env)

    def text(self, out: str) -> float | None:
        return values(lines_of(self.folder / out)["bar_1"])["text"]

    def gpt(self, out: str) -> float:
        return summary_of(self.folder / out)["metrics"]["gpt"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_policy_is_asked_in_every_run(lab: Lab) -> None:
    with serving(BAD, root="/ckpt/100") as server:
        assert lab.play(server.url, "first").returncode == 0
        server.replier = lambda _: answer(GOOD)
        assert lab.play(server.url, "second").returncode == 0, "the very same server"
        assert (lab.text("first"), lab.text("second")) == (0.0, 1.0)
    with serving(BAD, root="/ckpt/200", port=server.port) as other:
        done = lab.play(other.url, "second")
        assert (done.returncode, other.requests) == (2, [])
        assert done.stderr.splitlines()[1:] == [
            "  asked.policy.served.root: '/ckpt/100' there, '/ckpt/200' now"
        ]
        assert lab.text("second") == 1.0
    done = lab.play(server.url, "second")
    assert done.returncode == 0, "a finished run needs nobody"
    assert_one_line(lab.play(server.url, "third"), "nothing answers at", str(server.port))
    kept = [path for path in lab.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []


def test_a_policy_that_has_moved(lab: Lab) -> None:
    with serving(GOOD) as server:
        assert lab.play(server.url, "run").returncode == 0
    with serving(BAD) as other:
        done = lab.play(other.url, "run")
        assert done.returncode == 2
        assert "name another --out, or say by --policy-name NAME" in done.stderr
        assert lab.play(other.url, "run", "--policy-name", "ours").returncode == 0
        done = lab.play(other.url, "run", "--policy-name", "theirs")
        assert "asked.policy.name: 'ours' there, 'theirs' now" in done.stderr
        assert other.requests == []


def test_a_judge_is_kept_by_who_it_is(lab: Lab) -> None:
    with serving("Score: 20", {"id": "m", "root": "/a"}) as server:
        assert lab.judge(server.url, "first").returncode == 0
        assert lab.judge(server.url, "again").returncode == 0
        assert (lab.gpt("first"), lab.gpt("again"), len(server.requests)) == (20, 20, 1)
        server.replier = lambda _: answer("Score: 30")
        assert lab.judge(server.url, "fresh", "--fresh").returncode == 0
        assert lab.judge(server.url, "fresh", "--fresh").returncode == 0, "the same run"
        assert (lab.gpt("fresh"), len(server.requests)) == (30, 2)
    with serving("Score: 90", {"id": "m", "root": "/b"}, port=server.port) as other:
        assert lab.judge(other.url, "swapped").returncode == 0
        assert lab.gpt("swapped") == 90
        done = lab.judge(other.url, "first")
        assert (done.returncode, lab.gpt("first")) == (2, 20)
        assert "asked.judge.served.root: '/a' there, '/b' now" in done.stderr


def test_a_run_is_not_made_fresh_afterwards(lab: Lab) -> None:
    with serving("Score: 20") as server:
        assert lab.judge(server.url, "run").returncode == 0
        done = lab.judge(server.url, "run", "--fresh")
        assert done.returncode == 2
        assert "asked.fresh: nothing there" in done.stderr


# -------------------------------------------------------------------------------- recordings


def record(folder: Path, name: str, **turns: object) -> Path:
    lines = [json.dumps({"id": sample_id, "turns": said}) for sample_id, said in turns.items()]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_recordings_are_known_by_what_they_say(lab: Lab) -> None:
    def play(recording: Path) -> Any:
        words = ("eval", "chartmimic", *lab.data[:2], "--policy", recording)
        return rrvf_here(*words, "--out", lab.folder / "run", env=lab.env)

    reference = plot("t") + '\nplt.savefig("t.pdf")'
    (lab.folder / "references" / "bar_2.py").write_text(reference)
    done = play(record(lab.folder / "a", "turns.jsonl", bar_1=[GOOD]))
    assert done.returncode == 0, done.stderr
    assert "no prediction for 1 of 2 samples, counted as no_code: bar_2" in done.stderr
    done = play(record(lab.folder / "b", "turns.jsonl", bar_1=[BAD], bar_2=[GOOD]))
    assert "holds results of other answers; name another --out" in done.stderr
    assert (done.returncode, lab.text("run")) == (2, 1.0)
    done = play(record(lab.folder / "c", "renamed.jsonl", bar_1=[GOOD], bar_2=[BAD]))
    assert done.returncode == 0, done.stderr
    lines = lines_of(lab.folder / "run")
    assert {name: values(line)["text"] for name, line in lines.items()} == {
        "bar_1": 1.0,
        "bar_2": 0.0,
    }
    done = play(record(lab.folder / "d", "typo.jsonl", bar_1=[GOOD], bar_3=[BAD], bar_4=[BAD]))
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 of 3 predictions belong to no sample: bar_3, bar_4" in done.stderr


def test_an_episode_that_was_not_scored_is_no_other_recordings(lab: Lab) -> None:
    """As after a kill between the line of the episode and that of its result."""
    words = ("eval", "chartmimic", *lab.data[:2], "--out", lab.folder / "run", "--policy")
    first = record(lab.folder / "a", "turns.jsonl", bar_1=[GOOD])
    assert rrvf_here(*words, first, env=lab.env).returncode == 0
    (lab.folder / "run" / "results.jsonl").write_bytes(b"")
    other = record(lab.folder / "b", "turns.jsonl", bar_1=[BAD])
    assert rrvf_here(*words, other, env=lab.env).returncode == 0
    assert lab.text("run") == 0.0


def test_settings_that_differ_are_named_one_a_line(lab: Lab) -> None:
    recording = record(lab.folder / "a", "turns.jsonl", bar_1=[GOOD])
    words = ("eval", "chartmimic", *lab.data[:2], "--policy", recording)
    assert rrvf_here(*words, "--out", lab.folder / "run", env=lab.env).returncode == 0
    changed = ("--max-turns", 2, "--mode", "fixed", "--no-attach-rendering")
    done = rrvf_here(*words, "--out", lab.folder / "run", *changed, env=lab.env)
    assert (done.returncode, done.stdout) == (2, "")
    head, *lines = done.stderr.splitlines()
    assert head.endswith("run: holds a run with other settings; name another --out")
    assert "  max_turns: 5 there, 2 now" in lines
    assert "  mode: 'official' there, 'fixed' now" in lines
    assert "  attach_rendering: True there, False now" in lines
    assert "{" not in done.stderr
