"""``rrvf serve`` as trainers meet it: the real command, its client, and clients that misbehave."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from rrvf.episodes import Trajectories
from rrvf.errors import HarnessError, UserError
from rrvf.serving import app, server
from rrvf.serving import service as service_module
from rrvf.serving.client import EnvironmentClient
from rrvf.serving.gate import ComeAgainError, FairGate
from rrvf.trajectories import Trajectory
from tests.chat_server import ChatServer, answer
from tests.runs import fenced, plot, rrvf
from tests.served import Served, served, serving

SAMPLES = {"tides": plot("Tides"), "winds": plot("Winds")}
REWARD = ("--reward-vision", "text=1, color=1")
ANSWER = f"<think>It is a line.</think><answer>{fenced(SAMPLES['tides'])}</answer>"


def call(code: str) -> str:
    arguments = {"name": "python_render_and_compare_tool", "arguments": {"python_code": code}}
    return f"<think>A draft.</think><tool_call>{json.dumps(arguments)}</tool_call>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, code in SAMPLES.items():
        (folder / f"{name}.py").write_text(code)
    return folder


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Served]:
    with serving("chartmimic", "--data", data, *REWARD) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[EnvironmentClient]:
    with EnvironmentClient(service.url, patience=20) as opened:
        yield opened


def pictures_of(messages: list[dict[str, Any]]) -> list[str]:
    """Hashes of the pictures in messages."""
    parts = [
        part
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [hashlib.sha256(base64.b64decode(url.partition(",")[2])).hexdigest() for url in urls]


# ------------------------------------------------------------------------------ an episode


LARGE = """
import ctypes
from rrvf.serving.server import return_large_buffers

class Counts(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Counts
{call}
bytearray(30 << 20)  # is freed at once
before = libc.mallinfo2().hblks
kept = bytearray(24 << 20)  # more than any piece of the heap that may be free
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library")
@pytest.mark.parametrize(("call", "n_own"), [("return_large_buffers()", 1), ("", 0)])
def test_a_picture_is_a_buffer_of_its_own(call: str, n_own: int) -> None:
    script = LARGE.replace("{call}", call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == str(n_own), done.stderr


def test_an_episode(client: EnvironmentClient) -> None:
    play = client.begin("tides")
    assert [message["role"] for message in play.messages] == ["system", "user"]
    assert len(pictures_of(play.messages)) == 1
    assert not play.is_over
    view = play.step(call(SAMPLES["winds"]))
    assert [told["status"] for told in view["observations"]] == ["ok"]
    assert [message["role"] for message in play.messages] == ["system", "user", "assistant", "user"]
    assert len(pictures_of(play.messages)) == 2
    play.step(ANSWER)
    assert play.is_over
    assert play.outcome["stop_reason"] == "answered"
    assert play.outcome["reward"] == {
        "total": 2.0,
        "vision": 1.0,
        "format": 0.0,
        "tool": 1.0,
        "reason": None,
        "terms": {},
    }
    assert play.outcome["result"]["scores"]["text"]["value"] == 1.0


def test_observations_are_those_of_evaluation_with_a_teacher(data: Path, tmp_path: Path) -> None:
    turns = [call(SAMPLES["winds"]), call("raise ValueError('no')"), ANSWER]
    recorded = tmp_path / "policy.jsonl"
    recorded.write_text(json.dumps({"id": "tides", "turns": turns}) + "\n")
    with ChatServer(
        lambda request: answer(f"-**Text**- {len(request.pictures)} pictures")
    ) as teacher:
        teaching = ("--teacher", "teacher", "--teacher-base-url", teacher.url)
        done = rrvf(
            *("eval", "chartmimic", "--data", data, "--limit", 1, "--policy", recorded),
            *(*teaching, "--out", tmp_path / "run"),
        )
        assert done.returncode == 0, done.stderr
        with served("chartmimic", "--data", data, *REWARD, *teaching) as service:
            play = service.begin("tides")
            views = [play.step(turn) for turn in turns]
    trajectory = Trajectories(tmp_path / "run").find("tides", None)
    assert isinstance(trajectory, Trajectory)
    for view, turn in zip(views, trajectory.turns, strict=True):
        assert [told["text"] for told in view["observations"]] == [
            observation.text for observation in turn.observations
        ]
        assert pictures_of(view["messages"]) == [
            hashlib.sha256(observation.picture).hexdigest()
            for observation in turn.observations
            if observation.picture is not None and observation.attached
        ]
    assert views[0]["observations"][0]["text"] == "-**Text**- 2 pictures"
    line = json.loads((tmp_path / "run" / "results.jsonl").read_text())
    assert play.outcome["result"]["scores"] == line["scores"]
    assert play.outcome["result"]["pictures"] == line["pictures"]


def test_what_cannot_be_measured_stays_null(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.py").write_text("raise ValueError('no reference')")
    with served("chartmimic", "--data", tmp_path / "data", *REWARD) as service:
        play = service.begin("broken")
        assert play.is_over
        assert play.outcome["stop_reason"] == "harness_error"
        assert play.outcome["reward"]["total"] is None
        assert "cannot be drawn" in play.outcome["reward"]["reason"]
        result = service.score("broken", fenced(SAMPLES["tides"]))
        assert result["scores"]["execution"]["value"] == 1.0
        assert result["scores"]["text"]["value"] is None


def test_an_end_without_an_answer(client: EnvironmentClient) -> None:
    play = client.begin("tides")
    play.step(call(SAMPLES["tides"]))
    play.end("token_budget")
    assert play.outcome["stop_reason"] == "token_budget"
    assert play.outcome["reward"]["vision"] == 0.0
    failed = client.begin("tides")
    failed.end("policy_error", "the model is gone")
    assert failed.outcome["reward"] == {
        **dict.fromkeys(("total", "vision", "format", "tool")),
        "reason": "the model is gone",
        "terms": {},
    }


def test_what_no_encoding_can_hold_is_scored_all_the_same(client: EnvironmentClient) -> None:
    """Half a surrogate in a drawn text; ``rrvf score`` counts it as any other."""
    code = SAMPLES["tides"].replace("Tides", r"\udfff")
    assert client.score("tides", fenced(code))["scores"]["text"]["extra"] == ["\udfff"]
    play = client.begin("tides")
    play.step(f"<think>It is.</think><answer>{fenced(code)}</answer>")
    assert play.outcome["reward"]["vision"] == 0.5
    assert client.request("GET", f"/episodes/{play._id}")["outcome"] == play.outcome


def test_a_completion_may_be_as_servers_send_it(client: EnvironmentClient) -> None:
    play = client.begin("tides")
    play.step({"text": None, "finish_reason": None, "tool_calls": None, "output_tokens": None})
    assert play.outcome["stop_reason"] == "no_action"
    filtered = client.begin("tides")
    filtered.step({"text": ANSWER, "finish_reason": "content_filter"})
    assert filtered.outcome["reward"]["vision"] == 1.0
    body = {"sample": "tides", "completions": [ANSWER]}
    assert client.request("POST", "/rewards", body)["reward"]["vision"] == 1.0


# ------------------------------------------------------------------------- sent twice, or late


def test_a_request_that_is_sent_twice_counts_once(client: EnvironmentClient) -> None:
    body = {"completion": {"text": call(SAMPLES["winds"])}}
    client.request("PUT", "/episodes/twice", {"sample": "tides"})
    first = client.request("PUT", "/episodes/twice/turns/1", body)
    assert client.request("PUT", "/episodes/twice/turns/1", body) == first
    assert client.request("GET", "/episodes/twice") == first
    with pytest.raises(UserError, match="waits for turn 2"):
        client.request("PUT", "/episodes/twice/turns/1", {"completion": {"text": "another"}})
    with pytest.raises(UserError, match="waits for turn 2"):
        client.request("PUT", "/episodes/twice/turns/3", body)
    with pytest.raises(UserError, match="of another sample"):
        client.request("PUT", "/episodes/twice", {"sample": "winds"})


def test_a_broken_connection_loses_no_turn(service: Served, client: EnvironmentClient) -> None:
    """The answer of the first attempt is never read; the second is given the same."""
    client.request("PUT", "/episodes/broken-off", {"sample": "tides"})
    slow = call("import time\ntime.sleep(1)\n" + SAMPLES["winds"])
    body = {"completion": {"text": slow}}
    with pytest.raises(httpx.ReadTimeout):
        httpx.put(f"{service.url}/episodes/broken-off/turns/1", json=body, timeout=0.3)
    view = client.request("PUT", "/episodes/broken-off/turns/1", body)
    assert view["turn"] == 1
    assert [told["status"] for told in view["observations"]] == ["ok"]


def test_a_step_that_failed_is_the_same_turn_when_it_is_tried_again(data: Path) -> None:
    with serving("chartmimic", "--data", data, *REWARD) as first:
        client = EnvironmentClient(first.url, patience=0.5)
        play = client.begin("tides")
        port = first.url.rpartition(":")[2]
        first.end()
    draft = call(SAMPLES["winds"])
    with pytest.raises(HarnessError, match="no answer"):
        play.step(draft)
    with serving("chartmimic", "--data", data, *REWARD, port=port), client:
        assert play.step(draft)["turn"] == 1
        assert [message["role"] for message in play.messages][2:] == ["assistant", "user"]
        with pytest.raises(UserError, match="valid string"):
            play.step("\ud800")
        assert play.step(ANSWER)["turn"] == 2


def test_an_episode_outlives_its_service(data: Path) -> None:
    with serving("chartmimic", "--data", data, *REWARD) as first:
        client = EnvironmentClient(first.url, patience=60)
        play = client.begin("tides")
        play.step(call(SAMPLES["winds"]))
        known = list(play.messages)
        port = first.url.rpartition(":")[2]
        assert first.end() == 0
    with serving("chartmimic", "--data", data, *REWARD, port=port), client:
        play.step(ANSWER)
    assert play.outcome["reward"]["total"] == 2.0
    assert play.messages[: len(known)] == known


# --------------------------------------------------------------------------------- mistakes


def test_mistakes_are_told_in_one_line(client: EnvironmentClient) -> None:
    for method, path, body, reason in (
        ("PUT", "/episodes/x1", {"sample": "nobody"}, "no sample 'nobody'"),
        ("PUT", "/episodes/x1", {"sample": "tides", "more": 1}, "body.more"),
        ("PUT", "/episodes/a.b", {"sample": "tides"}, "path.episode"),
        ("PUT", "/episodes/x2/turns/1", {"completion": {"text": "x"}}, "no episode x2"),
        ("POST", "/rewards", {"sample": "tides"}, "body.completions"),
        ("POST", "/scores", {"sample": "tides", "completion": 3}, "body.completion"),
    ):
        with pytest.raises((UserError, HarnessError), match=reason) as caught:
            client.request(method, path, body)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["/episodes/..%2f..%2fetc", "/episodes/%00", "/../../etc/passwd", "/episodes/" + "a" * 65],
)
def test_no_id_leads_anywhere(service: Served, path: str) -> None:
    reply = httpx.put(f"{service.url}/episodes/{path}", json={"sample": "tides"})
    assert reply.status_code in (404, 405, 422)


def test_a_body_that_is_too_large_is_refused(service: Served) -> None:
    for _ in range(5):  # the answer is heard, although the body comes first
        reply = httpx.post(f"{service.url}/scores", content=b"x" * (app.MOST_BODY + 1))
        assert reply.status_code == 413

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 2**20

    with suppress(httpx.TransportError):  # the connection may close before all is sent
        assert httpx.post(f"{service.url}/scores", content=endless()).status_code == 413
    assert httpx.get(f"{service.url}/health").status_code == 200


def test_every_refusal_has_one_form(service: Served, client: EnvironmentClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/health", 405)):
        reply = httpx.request(method, service.url + path)
        assert reply.status_code == status
        assert list(reply.json()) == ["error"]
    with pytest.raises(UserError, match="is not an address of a service"):
        EnvironmentClient("127.0.0.1:8300")


def test_malformed_json_is_refused(service: Served) -> None:
    reply = httpx.post(
        f"{service.url}/scores", content=b"{", headers={"content-type": "application/json"}
    )
    assert reply.status_code == 422
    assert "JSON" in reply.json()["error"]


def test_a_page_in_a_browser_does_not_reach_it(service: Served) -> None:
    """By a name that leads to this machine, or by a form that needs no permission."""
    assert httpx.get(f"{service.url}/health", headers={"host": "evil.example"}).status_code == 400
    body = json.dumps({"sample": "tides", "completion": "x"}).encode()
    reply = httpx.post(
        f"{service.url}/scores", content=body, headers={"content-type": "text/plain"}
    )
    assert reply.status_code == 422


def test_a_token_is_asked_for(data: Path) -> None:
    arguments = ("chartmimic", "--data", data, *REWARD, "--token-variable", "THE_TOKEN")
    with serving(*arguments, env={"THE_TOKEN": "swordfish\n"}) as service:
        bare = httpx.get(f"{service.url}/samples", headers={"authorization": "bearer  swordfish"})
        assert bare.status_code == 200
        for token in (None, "wrong"):
            with (
                EnvironmentClient(service.url, token=token, patience=5) as stranger,
                pytest.raises(UserError, match="token"),
            ):
                stranger.list_samples()
        with EnvironmentClient(service.url, token="swordfish") as friend:
            assert friend.list_samples() == list(SAMPLES)
            assert friend.read_health()["status"] == "ok"


def test_beyond_this_machine_a_token_is_needed(data: Path) -> None:
    done = rrvf("serve", "chartmimic", "--data", data, *REWARD, "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "--token-variable" in done.stderr
    done = rrvf("serve", "chartmimic", "--data", data, *REWARD, "--token-variable", "NO_SUCH")
    assert done.returncode == 2
    assert "NO_SUCH" in done.stderr


def test_a_port_that_is_taken(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = rrvf("serve", "chartmimic", "--data", data, *REWARD, "--port", port)
    assert done.returncode == 2
    assert "name another --host or --port" in done.stderr


# --------------------------------------------------------------------------- the end of it


def test_sigterm_answers_or_sends_away_whatever_was_asked(data: Path) -> None:
    """Ten at work, with one drawing at a time: each is answered, or told to come again."""
    statuses: list[int] = []

    def ask(url: str, number: int) -> None:
        text = fenced(f"import time\ntime.sleep(0.5)\n{plot(f'Title {number}')}")
        reply = httpx.post(
            f"{url}/scores", json={"sample": "tides", "completion": text}, timeout=60
        )
        statuses.append(reply.status_code)
        if reply.status_code == 503:
            assert "retry-after" in reply.headers

    with serving("chartmimic", "--data", data, *REWARD, "--workers", 1) as service:
        threads = [threading.Thread(target=ask, args=(service.url, n)) for n in range(10)]
        for thread in threads:
            thread.start()
        while httpx.get(f"{service.url}/health").json()["requests"] < 10:
            time.sleep(0.02)
        assert service.end() == 0
        for thread in threads:
            thread.join()
    assert len(statuses) == 10
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) >= 5


# ---------------------------------------------------------------------------------- in turn


def test_clients_draw_in_turn() -> None:
    gate = FairGate(1)
    order: list[str] = []

    def draw(client: str) -> None:
        with gate.pass_through(client):
            order.append(client)

    with gate.pass_through("first"):
        threads = []
        for client in (*["many"] * 5, "single", "other", "other"):
            threads.append(threading.Thread(target=draw, args=(client,)))
            threads[-1].start()
            while gate.count_waiting() < len(threads):
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == ["many", "single", "other", "many", "other", "many", "many", "many"]
    assert gate.count_waiting() == 0
    with gate.pass_through("again"):  # the place is free
        pass


def test_a_gate_that_is_closed_sends_away() -> None:
    gate = FairGate(1)
    caught: list[Exception] = []

    def draw() -> None:
        try:
            with gate.pass_through("late"):
                raise AssertionError
        except ComeAgainError as error:
            caught.append(error)

    with gate.pass_through("first"):
        thread = threading.Thread(target=draw)
        thread.start()
        while not gate.count_waiting():
            time.sleep(0.001)
        gate.close()
        thread.join()
    assert len(caught) == 1
    with pytest.raises(ComeAgainError), gate.pass_through("later"):
        pass


def test_a_single_drawing_waits_for_few_others(service: Served) -> None:
    """Of 40 that wait, at most a handful are drawn between another client's request and reply."""
    with EnvironmentClient(service.url) as busy, EnvironmentClient(service.url) as single:
        codes = [fenced(plot(f"Busy {number}")) for number in range(40)]
        threads = [threading.Thread(target=busy.score, args=("winds", code)) for code in codes]
        for thread in threads:
            thread.start()
        while busy.read_health()["waiting"] < 25:
            time.sleep(0.01)
        before = single.count("rrvf_renders_total")
        single.score("tides", fenced(plot("Single")))
        between = single.count("rrvf_renders_total") - before
        for thread in threads:
            thread.join()
    # Its own two, answer and reference, each after two places' drawings and one of the other's.
    assert between <= 12


def test_more_than_it_takes_on_is_sent_away(data: Path) -> None:
    arguments = ("chartmimic", "--data", data, *REWARD, "--max-requests", 1, "--max-episodes", 1)
    with serving(*arguments) as service:
        slow = fenced("import time\ntime.sleep(2)\n" + SAMPLES["tides"])
        body = {"sample": "tides", "completion": slow}
        holder = threading.Thread(
            target=httpx.post, args=(f"{service.url}/scores",), kwargs={"json": body, "timeout": 60}
        )
        holder.start()
        while httpx.get(f"{service.url}/health").json()["requests"] < 1:
            time.sleep(0.02)
        reply = httpx.post(f"{service.url}/scores", json=body)
        assert reply.status_code == 429
        assert int(reply.headers["retry-after"]) > 0
        holder.join()
        with EnvironmentClient(service.url, patience=0) as client:
            first = client.begin("tides")
            with pytest.raises(HarnessError, match="episodes are under way"):
                client.begin("winds")
            first.step(ANSWER)
            client.begin("winds")  # in place of the one that is over


def test_what_was_just_read_is_kept_longest(client: EnvironmentClient) -> None:
    """However early it was begun; and the oldest of those that are over goes first."""
    early = client.begin("tides")
    others = []
    for _ in range(service_module.MOST_FINISHED + 2):
        others.append(client.begin("tides"))
        others[-1].end("time_budget")
    early.step(ANSWER)
    client.begin("tides")
    assert client.request("GET", f"/episodes/{early._id}")["outcome"] == early.outcome
    with pytest.raises(HarnessError, match="no episode"):
        client.request("GET", f"/episodes/{others[0]._id}")


# ------------------------------------------------------------------------------ slow clients


def test_bodies_count_while_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many clients at once, none of which has sent all of its own."""
    monkeypatch.setattr(app, "MOST_BODIES", 25)
    statuses: list[int] = []
    both_refused = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("no body is whole")

    async def send_in_pieces(guard: app.Guard, may_go_on: asyncio.Event) -> None:
        pieces = iter([b"x" * 10, b""])

        async def receive() -> dict[str, Any]:
            piece = next(pieces)
            if not piece:
                await may_go_on.wait()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                if len(statuses) == 2:
                    both_refused.set()

        await guard({"type": "http", "path": "/scores", "headers": []}, receive, send)

    async def run() -> int:
        guard, may_go_on = app.Guard(application, None, lambda status: None), asyncio.Event()
        tasks = [asyncio.create_task(send_in_pieces(guard, may_go_on)) for _ in range(4)]
        await asyncio.wait_for(both_refused.wait(), 10)
        assert guard.n_bytes == 20
        may_go_on.set()
        await asyncio.gather(*tasks)
        return guard.n_bytes

    assert asyncio.run(run()) == 0
    assert statuses == [503, 503]


def test_a_head_and_a_body_have_to_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(app, "BODY_SECONDS", 0.3)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was never asked")

    async def talk() -> list[bytes]:
        guard = app.Guard(application, None, lambda status: None)
        config = server.uvicorn.Config(guard, http=server.ImpatientProtocol, lifespan="off")
        runner = server.uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            task = asyncio.create_task(runner._serve([listener]))
            port = listener.getsockname()[1]
            answers = []
            for begun in (
                b"",
                b"POST /scores HTTP/1.1\r\nHost: x\r\n",
                b"POST /scores HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(begun)
                answers.append(await asyncio.wait_for(reader.read(), 10))
                writer.close()
            runner.should_exit = True
            await task
        return answers

    silent, half_head, half_body = asyncio.run(talk())
    assert silent == b""
    assert half_head == b""
    assert b" 408 " in half_body.splitlines()[0]
