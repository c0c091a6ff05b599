"""``rrvf eval``: the loop before the scoring, whole processes, a server standing for the model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rrvf.agent import NO_CALL_LEFT
from rrvf.errors import UserError
from rrvf.render_tool import RenderTool
from rrvf.runs import JudgeOptions, LoopOptions
from tests.chat_server import ChatServer, Reply, Request, answer, error
from tests.runs import (
    assert_one_line,
    environment,
    lines_of,
    plot,
    rrvf,
    rrvf_here,
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
        done = rrvf_here(*command(tmp_path, 1, *loop, *taught), env=env)
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
        done = rrvf_here(*words, env=env)
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
        done = rrvf_here(*command(tmp_path, 1, "--policy", "m", "--base-url", server.url), env=env)
    assert done.returncode == 3, "nothing at all was scored"
    line = lines_of(tmp_path / "out")["line_0"]
    assert line["status"] == "harness_error"
    assert "too large" in line["error"]
    assert set(values(line).values()) == {None}


def test_recorded_turns_play_without_a_server(tmp_path: Path, env: dict[str, str]) -> None:
    turns = [call(FIRST), f"<answer>{BETTER}</answer>"]
    (tmp_path / "recorded.jsonl").write_text(json.dumps({"id": "line_0", "turns": turns}) + "\n")
    done = rrvf_here(*command(tmp_path, 1, "--policy", tmp_path / "recorded.jsonl"), env=env)
    assert done.returncode == 0, done.stderr
    assert values(lines_of(tmp_path / "out")["line_0"])["text"] == 1.0
    [trajectory] = trajectories(tmp_path / "out")
    assert trajectory["turns"][0]["observations"][0]["teacher"] == "not_asked"


def test_a_dead_server_stops_with_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    dead = "http://127.0.0.1:9/v1"
    done = rrvf_here(*command(tmp_path, 3, "--policy", "m", "--base-url", dead), env=env)
    assert_one_line(done, "127.0.0.1:9")


# ------------------------------------------------------------------------------ its options


def sha256(system: str, user: str) -> str:
    return hashlib.sha256(f"{system}\0{user}".encode()).hexdigest()


def test_a_tool_is_offered_natively_by_ones_own_names(tmp_path: Path, env: dict[str, str]) -> None:
    def native(request: Request) -> Reply:
        if request.number:
            return answer(f"<answer>```python\n{BETTER}\n```</answer>")
        function = {"name": "draw", "arguments": json.dumps({"script": FIRST})}
        return answer(None, tool_calls=[{"id": "c1", "type": "function", "function": function}])

    named = ("--native-tools", "--tool-name", "draw", "--tool-argument", "script")
    with ChatServer(native) as server:
        words = command(tmp_path, 1, "--policy", "m", "--base-url", server.url, *named)
        sampled = ("--top-p", 0.9, "--seed", 0, "--temperature", 0.5, "--max-tokens", 99)
        done = rrvf_here(*words, *sampled, "--mode", "fixed", "--timeout", 20, env=env)
    assert done.returncode == 0, done.stderr
    first, second = (request.body for request in server.requests)
    assert first["tools"] == second["tools"] == [RenderTool("draw", "script", "python").schema()]
    assert "<tool_call>" not in first["messages"][0]["content"]
    sent = {name: first[name] for name in ("top_p", "seed", "temperature", "max_tokens")}
    assert sent == {"top_p": 0.9, "seed": 0, "temperature": 0.5, "max_tokens": 99}
    [trajectory] = trajectories(tmp_path / "out")
    assert [one["code"] for one in trajectory["turns"][0]["observations"]] == [FIRST]
    protocol = summary_of(tmp_path / "out")["protocol"]
    assert protocol["mode"] == "fixed"
    assert protocol["loop"]["tool"] == "draw(script)"
    assert protocol["policy"]["backend"] == "endpoint"
    assert protocol["policy"]["parameters"] == {"top_p": 0.9, "seed": 0}
    assert protocol["teacher"]["teacher"] is None


def test_ones_own_prompts_are_sent_and_recorded(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "policy.md").write_text("# System\nYou draw. {how_to_call}\n# User\nDraw this.\n")
    (tmp_path / "teacher.md").write_text("What differs?")
    with ChatServer(policy) as server, ChatServer(lambda _: answer(COMMENTS)) as teacher:
        loop = (
            "--policy",
            "m",
            "--base-url",
            server.url,
            "--policy-prompt",
            tmp_path / "policy.md",
        )
        taught = ("--teacher", "t", "--teacher-base-url", teacher.url, "--teacher-key", "T_KEY")
        prompted = (*taught, "--teacher-prompt", tmp_path / "teacher.md")
        keys = {**env, "T_KEY": "sk-teacher-77"}
        done = rrvf_here(*command(tmp_path, 1, *loop, *prompted), env=keys)
    assert done.returncode == 0, done.stderr
    first, [asked] = server.requests[0], teacher.requests
    assert first.text.startswith("You draw. Write <tool_call>")
    assert asked.text == "What differs?"
    assert first.headers["Authorization"] == f"Bearer {env['OPENAI_API_KEY']}"
    assert asked.headers["Authorization"] == "Bearer sk-teacher-77"
    protocol = summary_of(tmp_path / "out")["protocol"]
    told = sha256("You draw. {how_to_call}", "Draw this.")
    assert protocol["loop"]["policy_prompt_sha256"] == told
    assert protocol["teacher"]["prompt_sha256"] == sha256("", "What differs?")
    paid, commented, thoughts = done.stderr.splitlines()
    assert paid.startswith("policy: 2 answers paid, 0 from the cache, 0 failed; 200 tokens read")
    assert commented.startswith("teacher: 1 answers paid")
    assert "hold thoughts" in thoughts or "holds thoughts" in thoughts


def test_a_judge_is_asked_as_in_score(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "judge.md").write_text("How alike, of ten?")
    turns = [f"<answer>{FIRST}</answer>"]
    (tmp_path / "recorded.jsonl").write_text(json.dumps({"id": "line_0", "turns": turns}) + "\n")
    with ChatServer(lambda request: answer(f"Score: {6 + request.number % 2}")) as server:
        judged = ("--judge", "j", "--judge-base-url", server.url, "--judge-repeats", 2)
        worded = ("--judge-rubric", "vision_reward", "--judge-prompt", tmp_path / "judge.md")
        words = command(tmp_path, 1, "--policy", tmp_path / "recorded.jsonl", *judged, *worded)
        done = rrvf_here(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert {request.text for request in server.requests} == {"How alike, of ten?"}
    assert lines_of(tmp_path / "out")["line_0"]["scores"]["gpt"]["value"] == pytest.approx(0.65)
    protocol = summary_of(tmp_path / "out")["protocol"]
    assert (protocol["judge"]["rubric"], protocol["judge"]["repeats"]) == ("vision_reward", 2)
    assert protocol["policy"]["policy"] == "recorded.jsonl"
    assert protocol["policy"]["backend"] == "recorded"


def test_an_episode_ends_at_its_budget(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(policy) as server:  # which counts 10 tokens an answer
        words = command(tmp_path, 1, "--policy", "m", "--base-url", server.url)
        budget = ("--max-episode-tokens", 10, "--max-seconds", 600)
        done = rrvf_here(*words, *budget, "--unanswered", "last_rendered", env=env)
    assert done.returncode == 0, done.stderr
    [trajectory] = trajectories(tmp_path / "out")
    assert (trajectory["stop_reason"], len(server.requests)) == ("token_budget", 1)
    assert server.requests[0].body["max_tokens"] == 10
    assert lines_of(tmp_path / "out")["line_0"]["code"].strip() == FIRST.strip()
    assert summary_of(tmp_path / "out")["protocol"]["loop"]["max_seconds"] == 600


@pytest.mark.parametrize("tells", [True, False])
def test_the_last_call_is_told(tmp_path: Path, env: dict[str, str], tells: bool) -> None:
    """A policy that calls until it is told to answer; untold, its episode ends without one."""

    def calls_on(request: Request) -> Reply:
        if NO_CALL_LEFT in request.text:
            return answer(f"<think>So be it.</think><answer>```python\n{BETTER}\n```</answer>")
        return answer(call(plot(f"draft {request.text.count('<tool_response>')}")))

    with ChatServer(calls_on) as server:
        words = command(tmp_path, 1, "--policy", "m", "--base-url", server.url, "--max-turns", 3)
        done = rrvf_here(*words, *(["--tell-last-call"] if tells else []), env=env)
    assert done.returncode == 0, done.stderr
    told = [request.body["messages"][-1] for request in server.requests]
    assert [NO_CALL_LEFT in json.dumps(message) for message in told] == [False, False, tells]
    assert [message["role"] for message in told] == ["user"] * 3
    [trajectory] = trajectories(tmp_path / "out")
    line = lines_of(tmp_path / "out")["line_0"]
    if tells:
        assert trajectory["stop_reason"] == "answered"
        assert [turn["action"] for turn in trajectory["turns"]] == ["call", "call", "answer"]
        assert values(line)["text"] == 1.0
    else:
        assert (trajectory["stop_reason"], line["status"]) == ("max_turns", "no_code")
    loop = summary_of(tmp_path / "out")["protocol"]["loop"]
    assert loop.get("tell_last_call", False) is tells


def test_a_limit_of_cost_needs_a_price(tmp_path: Path, env: dict[str, str]) -> None:
    with ChatServer(policy) as server:
        words = command(tmp_path, 1, "--policy", "m", "--base-url", server.url)
        done = rrvf_here(*words, "--policy-max-cost", 1, env=env)
    assert_one_line(done, "price of 'm'")
    assert server.requests == []


@pytest.mark.torch
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("transformers", "torch", "torchvision"))),
    reason="needs transformers, torch, torchvision",
)
def test_a_checkpoint_plays_in_this_process(tmp_path: Path, env: dict[str, str]) -> None:
    from training import tiny_model

    model = tiny_model.build(tmp_path / "model")
    data = resources.files("rrvf") / "demo_data" / "charts" / "references"
    words = ["eval", "chartmimic", "--data", data, "--limit", 1, "--out", tmp_path / "out"]
    given = ("--policy", model, "--device", "cpu", "--batch-size", 2, "--max-tokens", 8)
    done = rrvf_here(*words, *given, "--temperature", 0.7, "--top-p", 0.9, env=env)
    assert done.returncode == 0, done.stderr
    [trajectory] = trajectories(tmp_path / "out")
    said = trajectory["turns"][0]
    assert 0 < said["output_tokens"] <= 8
    assert said["input_tokens"] > 100, "the system message, the question and the picture"
    summary = summary_of(tmp_path / "out")
    assert summary["n_unscored"]["execution"] == 0
    card = summary["protocol"]["policy"]
    assert (card["policy"], card["backend"], card["device"]) == (str(model), "transformers", "cpu")
    assert card["parameters"] == {"top_p": 0.9}


# ------------------------------------------------------------------------------ mistakes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of answers, a checkpoint and an empty folder."""
    (tmp_path / "answers.jsonl").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ({"policy": "gpt-4o"}, "endpoint"),
        ({"policy": "chenzju/rrvf_chartmimic"}, "endpoint"),
        ({"policy": "chenzju/rrvf_chartmimic", "backend": "vllm"}, "vllm"),
        ({"policy": "model"}, "transformers"),
        ({"policy": "model", "backend": "vllm"}, "vllm"),
        ({"policy": "model", "base_url": "http://localhost/v1"}, "endpoint"),
        ({"policy": "answers.jsonl"}, "recorded"),
    ],
)
def test_where_completions_come_from(here: Path, said: dict[str, Any], source: str) -> None:
    assert LoopOptions(**said).source() == source


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"policy": "answers.jsonl", "backend": "endpoint"}, "leave --backend out"),
        ({"policy": "answers.jsonl", "base_url": "http://x"}, "--base-url has no effect with rec"),
        ({"policy": "gone.jsonl"}, "gone.jsonl: no such file"),
        ({"policy": "./gone"}, "no such file"),
        ({"policy": "empty"}, "config.json is missing"),
        ({"policy": " "}, "--policy is empty; name a model"),
        (
            {"policy": "model", "native_tools": True},
            "--native-tools has no effect with --backend t",
        ),
        ({"policy": "model", "seed": 0}, "--seed has no effect"),
        ({"policy": "m", "backend": "vllm", "device": "cpu"}, "--device has no effect"),
        ({"policy": "m", "backend": "vllm", "base_url": "http://x"}, "--base-url has no effect"),
        ({"policy": "m", "batch_size": 3}, "--batch-size has no effect with --backend endpoint"),
        (
            {"policy": "m", "teacher_base_url": "http://x"},
            "--teacher-base-url has no effect without --teacher MODEL",
        ),
        ({"policy": "m", "teacher_prompt": Path("x")}, "--teacher-prompt has no effect"),
        ({"policy": "m", "tool_name": "draw"}, "give both"),
        ({"policy": "m", "tool_argument": "code"}, "give both"),
        (
            {"policy": "m", "tool_name": "draw it", "tool_argument": "code"},
            "'draw it' cannot name a tool",
        ),
    ],
)
def test_what_does_not_go_together(here: Path, said: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError) as caught:
        LoopOptions(**said)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("said", "flag"),
    [
        ({"base_url": "http://x"}, "--judge-base-url"),
        ({"rubric": "x"}, "--judge-rubric"),
        ({"max_cost": 1.0}, "--max-cost"),
    ],
)
def test_a_judge_that_is_not_named(said: dict[str, Any], flag: str) -> None:
    with pytest.raises(UserError, match=f"^{flag} has no effect without --judge"):
        JudgeOptions(model=None, **said)


def test_mistakes_are_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    teacher = ("--policy", "m", "--teacher-base-url", "http://x")
    assert_one_line(
        rrvf_here(*command(tmp_path, 1, *teacher), env=env), "--teacher-base-url has no effect"
    )
    (tmp_path / "prompt.md").write_text("Draw.")
    prompt = ("--policy", "m", "--policy-prompt", tmp_path / "prompt.md")
    assert_one_line(rrvf_here(*command(tmp_path, 1, *prompt), env=env), "below '# System'")
    done = rrvf_here(*command(tmp_path, 1, "--policy", "m", "--backend", "llama"), env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "transformers" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("backend", ["transformers", "vllm"])
def test_a_backend_that_is_not_installed(tmp_path: Path, env: dict[str, str], backend: str) -> None:
    (tmp_path / "stubs").mkdir()
    for name in (backend, "torch"):  # whichever is asked for first
        (tmp_path / "stubs" / f"{name}.py").write_text("raise ImportError('it is not there')")
    stubbed = {**env, "PYTHONPATH": str(tmp_path / "stubs")}
    done = rrvf(*command(tmp_path, 1, "--policy", "m", "--backend", backend), env=stubbed)
    assert_one_line(done, "it is not there", "install")
