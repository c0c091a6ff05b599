"""OpenEnv's protocol: what a policy is shown and earns through it is what ``rrvf eval`` has.

The policy is one function of the conversation. ``rrvf eval`` asks it through a server, which keeps
every conversation as it crossed the wire; the client of OpenEnv asks it with the messages that it
was given. Both must be the same to the byte, pictures included.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from rrvf.environment import open_environment
from rrvf.episodes import Trajectories
from rrvf.options import RewardOptions, RunOptions, ServiceOptions
from rrvf.rewards import read_rewards, reward_of
from rrvf.run_folder import read_results
from rrvf.serving.app import MOST_BODY
from rrvf.trainers.openenv import RrvfAction, RrvfEnv, RrvfObservation
from rrvf.trainers.openenv.server import RrvfEnvironment, Sessions
from rrvf.types import Language
from tests.chat_server import ChatServer, Reply, Request
from tests.chat_server import answer as says
from tests.runs import lines_of, plot, rrvf
from tests.served import Served, serving, write_files
from tests.test_same_floats import block

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("default")]

COMMENT = "-**Text**- The title differs.\n-**Color**- The line is blue in both."


def page(title: str) -> str:
    text = f"<h1>{title}</h1><p style='color: #a00'>High water at {title}</p>"
    return f"<html><body>{text}</body></html>"


# ---------------------------------------------------------------------------------- the policy


@dataclass(frozen=True)
class Kind:
    """Charts or pages."""

    benchmark: str
    language: Language
    tool: str
    argument: str
    draw: Callable[[str], str]
    broken: str
    scorers: str
    vision: str

    @property
    def suffix(self) -> str:
        return "py" if self.language == "python" else "html"


CHARTS = Kind(
    *("chartmimic", "python", "python_render_and_compare_tool", "python_code", plot),
    *("raise ValueError('no')", "execution,text,layout,color", "text=1, color=0.5"),
)
PAGES = Kind(
    *("websight", "html", "html_render_and_compare_tool", "html_code", page),
    *("not a page", "execution,block_match,text,position,color", "text=1, block_match=0.5"),
)

Said = tuple[str, Sequence[tuple[str, str]]]
"""Text, and native calls with their arguments."""

TITLES = {"a": "Tides", "b": "Winds", "c": "Rain", "d": "Snow", "e": "Sun"}


def scripts(kind: Kind, *, native: bool) -> Mapping[str, Sequence[Said]]:
    """What is said of each sample, turn by turn."""

    def call(*codes: str, thought: str = "Mend it.") -> Said:
        arguments = [json.dumps({kind.argument: code}) for code in codes]
        text = f"<think>{thought}</think>"
        if native:
            return text, [(kind.tool, one) for one in arguments]
        told = [f'{{"name": "{kind.tool}", "arguments": {one}}}' for one in arguments]
        return text + "".join(f"<tool_call>{one}</tool_call>" for one in told), []

    def answer(code: str) -> Said:
        return f"<think>So.</think><answer>{block(code, kind.language)}</answer>", []

    drawn = {name: kind.draw(title) for name, title in TITLES.items()}
    other = kind.draw("Fog")
    return {
        "a": [call(other), call(drawn["a"]), answer(drawn["a"])],
        "b": [call(kind.broken), call(""), answer(other)],
        "c": [call(other, drawn["c"]), ("I cannot do this.", [])],
        "d": [answer(drawn["d"])],
        "e": [call(other)] * 4,
    }


@dataclass
class Policy:
    """Says what the script of a sample says, and keeps every conversation that it is shown."""

    scripts: Mapping[str, Sequence[Said]]
    samples: dict[str, str]
    shown: dict[tuple[str, int], list[Any]]

    def __call__(self, messages: list[Any]) -> Said:
        parts = [p for m in messages if isinstance(m["content"], list) for p in m["content"]]
        picture = next(p["image_url"]["url"] for p in parts if p["type"] == "image_url")
        sample = self.samples[picture]
        turn = sum(message["role"] == "assistant" for message in messages)
        self.shown[sample, turn] = messages
        return self.scripts[sample][turn]


def reply_with(policy: Policy) -> Callable[[Request], Reply]:
    """A server's replier: a teacher's where it is asked as one, else the policy's."""

    def reply(request: Request) -> Reply:
        if request.body["model"] == "teacher":
            return says(COMMENT)
        text, calls = policy(request.body["messages"])
        told = [
            {"id": "", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in calls
        ]
        return says(text, tool_calls=told) if told else says(text)

    return reply


# -------------------------------------------------------------------------------- one as the other


@pytest.mark.parametrize(
    ("kind", "teaches", "native"),
    [
        pytest.param(CHARTS, False, False, id="charts"),
        pytest.param(CHARTS, True, True, id="charts, teacher, native"),
        pytest.param(PAGES, False, True, id="pages, native"),
        pytest.param(PAGES, True, False, id="pages, teacher"),
    ],
)
def test_episodes_are_those_of_evaluation(
    kind: Kind,
    teaches: bool,
    native: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    web_browser: Path,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    files = {f"{name}.{kind.suffix}": kind.draw(title) for name, title in TITLES.items()}
    data = write_files(tmp_path / "data", files)
    script = scripts(kind, native=native)
    one, other = Policy(script, {}, {}), Policy(script, {}, {})
    with ChatServer(reply_with(other)) as server:
        words = ["--data", data, "--max-turns", 3, "--scorers", kind.scorers]
        words += ["--judge", "likeness"] + ["--native-tools"] * native
        if teaches:
            words += ["--teacher", "teacher", "--teacher-base-url", server.url]
        options = ("--interface", "openenv", "--reward-vision", kind.vision)
        with serving(
            kind.benchmark, *words, *options, env={"RRVF_CACHE_DIR": str(tmp_path / "served")}
        ) as service:
            ends = {name: play(service.url, name, one) for name in script}
        other.samples = one.samples
        policy = ("--policy", "policy", "--base-url", server.url, "--out", tmp_path / "run")
        monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "evaluated"))
        done = rrvf("eval", kind.benchmark, *words, *policy)
        assert done.returncode == 0, done.stderr
        n_taught = sum(request.body["model"] == "teacher" for request in server.requests)
    assert (n_taught > 0) == teaches
    assert one.shown.keys() == other.shown.keys()
    for place, messages in one.shown.items():
        assert messages == other.shown[place], place
    assert_same_ends(ends, kind, tmp_path / "run")


def play(url: str, sample: str, policy: Policy) -> RrvfObservation:
    """An episode through the client; what it came to."""
    with RrvfEnv(url).sync() as client:
        result = client.reset(sample=sample)
        messages = list(result.observation.messages)
        policy.samples[messages[-1]["content"][-1]["image_url"]["url"]] = sample
        while not result.done:
            assert result.reward is None
            assert result.observation.max_tokens > 0
            text, calls = policy(list(messages))
            told = [{"name": name, "arguments": arguments} for name, arguments in calls]
            result = client.step(RrvfAction(text=text, tool_calls=told))
            messages.append(as_shown_again(text, calls, result.observation.turn))
            messages += result.observation.messages
        state = client.state()
        assert (state.sample, state.step_count) == (sample, result.observation.turn)
        assert state.stop_reason == result.observation.stop_reason
        return result.observation


def as_shown_again(text: str, calls: Sequence[tuple[str, str]], turn: int) -> dict[str, Any]:
    """A completion as the next request of evaluation holds it."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{turn}_{number}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for number, (name, arguments) in enumerate(calls)
        ]
    return message


LEFT_OUT = ("seconds", "episode", "key", "pictures")
"""What a line of a run has of this machine, and of the run itself."""


def assert_same_ends(ends: Mapping[str, RrvfObservation], kind: Kind, run: Path) -> None:
    """Every result is the run's line, every reward that of the run's own record."""
    settings = read_rewards(RewardOptions(reward_vision=kind.vision))
    results, _ = read_results(run)
    lines, kept = lines_of(run), Trajectories(run)
    measured = 0
    for name, end in ends.items():
        assert end.result is not None
        line = lines[name]
        for field in set(line) - set(LEFT_OUT):
            assert end.result[field] == line[field], (name, field)
        assert end.stop_reason == line["episode"]["stop_reason"]
        assert end.scores == {score: told["value"] for score, told in line["scores"].items()}
        trajectory = kept.find(name, None)
        assert trajectory is not None
        expected = reward_of(trajectory, results[name], settings, kind.language)
        assert end.reward == expected.total is not None
        assert end.reward_parts is not None
        assert end.reward_parts["vision"] == expected.vision
        measured += expected.vision not in (0.0, None)
    assert measured >= 2
    stops = {name: end.stop_reason for name, end in ends.items()}
    told = ("answered", "answered", "no_action", "answered", "max_turns")
    assert stops == dict(zip("abcde", told, strict=True))


# -------------------------------------------------------------------------------------- a service

TOKEN = "sesame"
SLEEPS = 4
SLOW = plot("Tides") + f"\nimport time\ntime.sleep({SLEEPS})"
WORDS = ("--interface", "openenv", "--reward-vision", "text=1", "--scorers", "execution,text")


def call(code: str) -> str:
    arguments = json.dumps({"python_code": code})
    told = f'{{"name": "python_render_and_compare_tool", "arguments": {arguments}}}'
    return f"<think>a</think><tool_call>{told}</tool_call>"


def answer(code: str) -> str:
    return f"<think>a</think><answer>{block(code)}</answer>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {f"{name}.py": plot(title) for name, title in TITLES.items()}
    return write_files(tmp_path_factory.mktemp("data"), files)


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Served]:
    words = ("--data", data, "--token-variable", "OUR_TOKEN", "--max-episodes", 2)
    with serving("chartmimic", *words, *WORDS, env={"OUR_TOKEN": TOKEN}) as started:
        yield started


@pytest.fixture
def client(service: Served) -> Iterator[Any]:
    with RrvfEnv(service.url, token=TOKEN).sync() as connected:
        yield connected


@pytest.mark.parametrize("token", [None, "wrong", ""])
def test_a_session_without_the_token_is_refused(service: Served, token: str | None) -> None:
    with (
        pytest.raises(ConnectionError, match="HTTP 403"),
        RrvfEnv(service.url, token=token).sync() as client,
    ):
        client.reset()


def test_every_route_but_that_of_health_needs_the_token(service: Served) -> None:
    for path in ("/schema", "/metadata", "/state", "/metrics", "/docs", "/rrvf/splits"):
        assert httpx.get(service.url + path).status_code == 401, path
        told = httpx.get(service.url + path, headers={"authorization": f"Bearer {TOKEN}"})
        assert told.status_code == 200, path
    assert httpx.post(service.url + "/reset").status_code == 401
    head = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.post(service.url + "/mcp", json={}, headers=head).status_code == 404
    assert httpx.get(service.url + "/health").json() == {"status": "healthy"}


def test_a_message_that_is_too_large_ends_the_session_alone(service: Served, client: Any) -> None:
    client.reset(sample="a")
    part = {"name": "tool", "arguments": "x" * (MOST_BODY // 8)}
    with pytest.raises(ConnectionClosed, match="1009"):
        client.step(RrvfAction(tool_calls=[part] * 9))
    with RrvfEnv(service.url, token=TOKEN).sync() as other:
        assert other.reset(sample="b").observation.sample == "b"
    assert service.process.poll() is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sample": "nope"}, "no sample 'nope' in chartmimic's data"),
        ({"sampel": "a"}, "reset: sampel: Extra inputs are not permitted"),
        ({"sample": 3}, "reset: sample: Input should be a valid string"),
        ({"index": 5}, "no sample with the index 5; there are 5"),
        ({"index": 1, "sample": "a"}, "reset: name a sample or an index, not both"),
        ({"split": "test"}, "no split 'test'; the only one is 'all'"),
    ],
)
def test_what_cannot_be_begun_is_told_in_one_line(
    client: Any, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(RuntimeError) as raised:
        client.reset(**asked)
    assert str(raised.value) == f"Server error: {told} (code: EXECUTION_ERROR)"
    assert client.reset(sample="a").observation.sample == "a"


def test_what_cannot_be_stepped_is_told_in_one_line(client: Any) -> None:
    with pytest.raises(RuntimeError, match="reset first"):
        client.step(RrvfAction(text="x"))
    client.reset(sample="a")
    with pytest.raises(RuntimeError, match="an action with end has no text"):
        client.step(RrvfAction(text="x", end="policy_error"))
    result = client.step(RrvfAction(end="policy_error", error="the model is gone"))
    assert (result.done, result.reward) == (True, None)
    assert result.observation.reward_parts["reason"] == "the model is gone"
    assert set(result.observation.scores.values()) == {None}
    with pytest.raises(RuntimeError, match="the episode is over \\(policy_error\\)"):
        client.step(RrvfAction(text="x"))


def test_a_seed_or_a_number_chooses_a_sample(client: Any) -> None:
    def begin(**asked: Any) -> str:
        return client.reset(**asked).observation.sample

    by_seed = [begin(seed=seed) for seed in range(12)]
    assert [begin(seed=seed) for seed in range(12)] == by_seed
    assert len(set(by_seed)) > 2
    assert [begin(index=index) for index in range(5)] == list(TITLES)


def test_without_a_choice_a_session_goes_through_the_samples(client: Any) -> None:
    assert [client.reset().observation.sample for _ in range(7)] == list("abcdeab")


def test_tasks_are_listed(service: Served) -> None:
    head = {"authorization": f"Bearer {TOKEN}"}

    def ask(path: str, **body: Any) -> Any:
        return httpx.post(f"{service.url}/rrvf/{path}", json=body, headers=head).json()

    assert ask("num_tasks", split="all") == {"num_tasks": 5}
    assert ask("task", split="all", index=1) == {"task": {"id": "b", "index": 1}}
    ids = [task["id"] for task in ask("task_range", split="all", start=1, stop=3)["tasks"]]
    assert ids == ["b", "c"]
    assert ask("task", split="test", index=1) == {"error": "no split 'test'; the only one is 'all'"}


def test_one_session_too_many_is_told(service: Served, client: Any) -> None:
    client.reset(sample="a")
    with RrvfEnv(service.url, token=TOKEN).sync() as second:
        second.reset(sample="a")
        with (
            pytest.raises(RuntimeError, match="CAPACITY_REACHED"),
            RrvfEnv(service.url, token=TOKEN).sync() as third,
        ):
            third.reset(sample="a")


def test_an_episode_whose_completions_are_known_is_played_at_once(client: Any) -> None:
    """And what was drawn before is not drawn again: it takes no time."""
    client.reset(sample="a")
    client.step(RrvfAction(text=call(SLOW)))
    stepped = client.step(RrvfAction(text=answer(plot("Tides"))))
    begun = time.monotonic()
    whole = [{"text": call(SLOW)}, {"text": answer(plot("Tides"))}, {"text": "not read any more"}]
    played = client.step(RrvfAction(completions=whole))
    assert (played.done, played.reward) == (True, stepped.reward)
    assert played.observation.scores == stepped.observation.scores
    assert played.observation.turn == 2
    unfinished = client.step(RrvfAction(completions=whole[:1]))
    assert unfinished.observation.stop_reason == "token_budget"
    assert time.monotonic() - begun < SLEEPS


def test_every_session_has_a_turn_of_its_own_at_the_gate(data: Path) -> None:
    run = RunOptions(data=str(data), scorers=("execution", "text"))
    with open_environment("chartmimic", run, reward=RewardOptions(reward_vision="text=1")) as ours:
        sessions = Sessions(ours, ServiceOptions(), workers=1)
        gate: Any = sessions._gate
        asked: list[str] = []
        let_in = gate.pass_through
        gate.pass_through = lambda client: asked.append(client) or let_in(client)
        one, two = RrvfEnvironment(sessions), RrvfEnvironment(sessions)
        for session in (one, two, one):
            session.reset(sample="a")
            session.step(RrvfAction(text=answer(plot("Tides"))))
    first, second = asked[0], asked[len(asked) // 3]
    n_each = len(asked) // 3
    assert asked == [first] * n_each + [second] * n_each + [first] * n_each
    assert first != second
    assert "" not in asked


def test_a_web_page_elsewhere_cannot_reach_a_service_without_a_token(data: Path) -> None:
    with serving("chartmimic", "--data", data, *WORDS, "--idle-seconds", "1") as service:
        told = httpx.get(service.url + "/schema", headers={"host": "evil.example"})
        assert (told.status_code, told.text) == (400, "Invalid host header")
        port = service.url.rpartition(":")[2]
        with (
            pytest.raises(ConnectionError, match="HTTP 400"),
            RrvfEnv(service.url, headers={"Host": f"evil.example:{port}"}).sync() as client,
        ):
            client.reset()
        with RrvfEnv(service.url).sync() as idle:
            idle.reset(sample="a")
            time.sleep(2.5)  # its session is closed; the client opens another one by itself
            with pytest.raises(RuntimeError, match="reset first"):
                idle.step(RrvfAction(text="x"))


def test_what_is_drawn_when_the_service_ends_is_answered(data: Path) -> None:
    """And what waits behind it is sent away in one line."""
    begun = threading.Barrier(3)

    def draw(title: str) -> tuple[Any, str]:
        with RrvfEnv(service.url).sync() as client:
            client.reset(sample="a")
            begun.wait(60)
            try:
                result = client.step(RrvfAction(text=call(SLOW.replace("Tides", title))))
            except RuntimeError as error:
                return None, str(error)
            # Closed by now, or about to be: sent away, cut off, or nobody there.
            with pytest.raises((ConnectionClosed, ConnectionError, RuntimeError)):
                client.step(RrvfAction(text=answer(plot("Tides"))))
            return result, ""

    with serving("chartmimic", "--data", data, *WORDS, "--workers", "1") as service:
        with ThreadPoolExecutor(2) as pool:
            drawing = [pool.submit(draw, title) for title in ("Tides", "Winds")]
            begun.wait(60)
            time.sleep(1.5)
            service.process.send_signal(signal.SIGTERM)
            ends = [future.result(60) for future in drawing]
        assert service.process.wait(60) == 0
    [(result, _)] = [end for end in ends if end[0] is not None]
    [refused] = [told for result, told in ends if result is None]
    assert result.observation.observations[0]["status"] == "ok"
    assert refused == "Server error: the service ends; ask again elsewhere (code: EXECUTION_ERROR)"
