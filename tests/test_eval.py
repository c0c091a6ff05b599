"""``rrvf eval``: the loop before the scoring, whole processes, a server standing for the model."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import ChatServer, Reply, Request, answer, error
from tests.runs import (
    assert_one_line,
    environment,
    lines_of,
    plot,
    rrvf,
    started,
    summary_of,
    values,
    wait_for_lines,
    write_data,
)

FIRST, BETTER = plot("a draft"), plot("the title")
COMMENTS = "-**Text**- the title is wrong"


def call(code: str) -> str:
    arguments = {"python_code": code}
    said = json.dumps({"name": "python_render_and_compare_tool", "arguments": arguments})
    return f"<think>A line.</think><tool_call>{said}</tool_call>"


def policy(request: Request) -> Reply:
    """Draws a draft, reads the comments, and answers better."""
    if "<tool_response>" not in request.text:
        return answer(call(FIRST))
    return answer(f"<think>I see.</think><answer>```python\n{BETTER}\n```</answer>")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(RRVF_CACHE_DIR=str(tmp_path / "cache"), OPENAI_API_KEY="sk-test-5f31a9")


def command(tmp_path: Path, number: int, *more: object) -> list[Any]:
    names = [f"line_{n}" for n in range(number)]
    references = {name: f"{BETTER}\nplt.savefig('{name}.pdf')" for name in names}
    data = write_data(tmp_path, references, {})[:2]
    return ["eval", "chartmimic", *data, "--out", tmp_path / "out", *more]


def trajectories(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "trajectories.jsonl").read_text().splitlines()]


def test_an_episode_is_played_commented_on_and_scored(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(policy) as server, ChatServer(lambda _: answer(COMMENTS)) as teacher:
        loop = ("--policy", "rrvf-7b", "--base-url", server.url)
        taught = ("--teacher", "teacher-72b", "--teacher-base-url", teacher.url)
        done = rrvf(*command(tmp_path, 1, *loop, *taught), env=env)
    assert done.returncode == 0, done.stderr
    line = lines_of(tmp_path / "out")["line_0"]
    assert (line["status"], values(line)["text"]) == ("ok", 1.0)
    [trajectory] = trajectories(tmp_path / "out")
    assert trajectory["stop_reason"] == "answered"
    assert [turn["action"] for turn in trajectory["turns"]] == ["call", "answer"]
    [seen] = trajectory["turns"][0]["observations"]
    assert (seen["status"], seen["teacher"], seen["code"]) == ("ok", "asked", FIRST)
    assert (tmp_path / "out" / "renderings" / seen["picture"]).is_file()
    assert len(server.requests) == 2
    assert COMMENTS in server.requests[1].text
    assert len(server.requests[1].pictures) == 2, "the target and the rendering"
    [asked] = teacher.requests
    assert len(asked.pictures) == 2
    assert "plt." not in asked.text, "the teacher is shown no code"
    protocol = summary_of(tmp_path / "out")["protocol"]
    assert protocol["policy"]["policy"] == "rrvf-7b"
    assert protocol["teacher"]["teacher"] == "teacher-72b"
    assert protocol["loop"]["max_turns"] == 5


def test_a_killed_run_plays_no_episode_twice(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(policy) as server:
        words = command(tmp_path, 6, "--policy", "m", "--base-url", server.url)
        words += ["--concurrency", 1, "--workers", 1]
        keys = {name: env[name] for name in ("RRVF_CACHE_DIR", "OPENAI_API_KEY")}
        process = started(*words, cwd=tmp_path, **keys)
        wait_for_lines(process, tmp_path / "out" / "results.jsonl", 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done = rrvf(*words, env=env)
        assert done.returncode == 0, done.stderr
    assert {name: values(line)["text"] for name, line in lines_of(tmp_path / "out").items()} == {
        f"line_{n}": 1.0 for n in range(6)
    }
    played = [trajectory["sample_id"] for trajectory in trajectories(tmp_path / "out")]
    assert sorted(set(played)) == sorted(played)
    # Every sample's first question is the same but for nothing: the cache may answer it.
    assert len(server.requests) <= 12 + 2, "only what was on its way was asked again"


def test_a_policy_that_fails_is_unscored(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(lambda _: error(400, "this picture is too large")) as server:
        done = rrvf(*command(tmp_path, 1, "--policy", "m", "--base-url", server.url), env=env)
    assert done.returncode == 0, done.stderr
    line = lines_of(tmp_path / "out")["line_0"]
    assert line["status"] == "harness_error"
    assert "too large" in line["error"]
    assert set(values(line).values()) == {None}


def test_recorded_turns_play_without_a_server(tmp_path: Path, env: dict[str, str]) -> None:
    turns = [call(FIRST), f"<answer>{BETTER}</answer>"]
    (tmp_path / "recorded.jsonl").write_text(json.dumps({"id": "line_0", "turns": turns}) + "\n")
    done = rrvf(*command(tmp_path, 1, "--policy", tmp_path / "recorded.jsonl"), env=env)
    assert done.returncode == 0, done.stderr
    assert values(lines_of(tmp_path / "out")["line_0"])["text"] == 1.0
    [trajectory] = trajectories(tmp_path / "out")
    assert trajectory["turns"][0]["observations"][0]["teacher"] == "not_asked"


def test_a_dead_server_stops_with_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    dead = "http://127.0.0.1:9/v1"
    done = rrvf(*command(tmp_path, 3, "--policy", "m", "--base-url", dead), env=env)
    assert_one_line(done, "127.0.0.1:9")
