"""What a service costs: the same episodes in process, through ``rrvf serve``, and without both.

``python benchmarks/serve.py`` plays episodes of three turns (two drafts, an answer equal to the
second), 64 at once, from four client processes: in process, then through the service. Every
outcome must be the same in both, picture by picture and float by float; so none is lost, and none
is mixed up with another. Then the same drafts are run one after another, each by a ``python`` of
its own, as many at a time: what many training scripts do, without confinement and without scores.

``--faults 0.3`` has that share of the calls go wrong first: connections that close before or after
the request, malformed JSON, bodies that are too large; and kills the renderer now and then. What
was under way in it may then be told as not measured, and nothing else may differ.

``--grain 400`` puts that many pixels square of noise into each chart: pictures that do not compress
fill what is kept of them early, as a long training run does.

The memory of the service is the proportional set size of all its processes, after each quarter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.loop_overlap import CHARTS, NAMES, retitle  # noqa: E402
from benchmarks.measure import descendants, proportional_size  # noqa: E402
from rrvf import RewardOptions, RunOptions, open_environment, to_wire  # noqa: E402
from rrvf.serving.client import EnvironmentClient  # noqa: E402
from rrvf.serving.wire import view_rewarded  # noqa: E402
from tests.episodes import call  # noqa: E402
from tests.served import serving  # noqa: E402

REWARD = "text=1, color=1"
DRAFTS = 2
KILLS_EVERY = 15.0
SAMPLE_SECONDS = 0.5
TOO_LARGE = 9 * 2**20


@dataclass(frozen=True)
class Load:
    """What is played.

    Attributes:
        episodes: How many.
        at_once: Of them.
        clients: Processes that play them.
        workers: Drawings at a time.
        faults: Share of calls that go wrong first.
        grain: Pixels square of noise in each chart.
    """

    episodes: int = 192
    at_once: int = 64
    clients: int = 4
    workers: int = 2
    faults: float = 0.0
    grain: int = 0


def completions_of(number: int, load: Load) -> tuple[str, list[str]]:
    """The sample of an episode, and what its policy says."""
    name = NAMES[number % len(NAMES)]
    codes = [retitle(name, f"{number} {draft}") for draft in range(DRAFTS)]
    if load.grain:
        codes = [add_grain(code, load.grain) for code in codes]
    turns = [f"<think>A draft.</think>{call(code)}" for code in codes]
    return name, [*turns, f"<think>Done.</think><answer>```python\n{codes[-1]}\n```</answer>"]


def add_grain(code: str, size: int) -> str:
    """The same chart with a square of noise, before it is saved."""
    head, save, tail = code.partition("plt.savefig(")
    noise = f"__import__('numpy').random.default_rng(0).random(({size}, {size}))"
    return f"{head}plt.gcf().figimage({noise})\n{save}{tail}"


def digest(pictures: Sequence[str], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same, whoever played: pictures shown, reward, scores."""
    result = {name: value for name, value in outcome["result"].items() if name != "seconds"}
    return {"pictures": list(pictures), "reward": outcome["reward"], "result": result}


def pictures_in(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Hashes of the pictures in messages."""
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                yield hashlib.sha256(part["image_url"]["url"].encode()).hexdigest()


# ----------------------------------------------------------------------------- in this process


def play_in_process(data: Path, load: Load) -> tuple[dict[int, Any], float]:
    """Episode -> its digest, and the seconds that all took."""
    options = RunOptions(data=str(data), workers=load.workers)
    reward = RewardOptions(reward_vision=REWARD)
    with open_environment("chartmimic", options, reward=reward) as environment:

        def play(number: int) -> Any:
            name, completions = completions_of(number, load)
            episode = environment.begin(name)
            for completion in completions:
                episode.step(completion)
            shown = pictures_in(to_wire(episode.messages()))
            return digest(list(shown), view_rewarded(episode.rewarded()))

        environment.begin(NAMES[0])  # the renderer is warm
        start = time.perf_counter()
        with ThreadPoolExecutor(load.at_once) as threads:
            digests = dict(enumerate(threads.map(play, range(load.episodes))))
        return digests, time.perf_counter() - start


# ------------------------------------------------------------------------- through the service


def play_through_service(data: Path, load: Load) -> tuple[dict[int, Any], float, list[float]]:
    """The same, and the bytes that the service took after each quarter."""
    arguments = ("--workers", load.workers, "--reward-vision", REWARD)
    with (
        serving("chartmimic", "--data", data, *arguments) as service,
        EnvironmentClient(service.url) as client,
    ):
        client.begin(NAMES[0])
        players = [start_player(service.url, share, load) for share in range(load.clients)]
        start = time.perf_counter()
        with Watch(service.process.pid, client, load) as watch:
            texts = [player.communicate()[0] for player in let_go(players)]
        seconds = time.perf_counter() - start
    assert all(player.returncode == 0 for player in players), "a client failed"
    digests = {int(name): found for text in texts for name, found in json.loads(text).items()}
    return digests, seconds, watch.quarters()


def start_player(url: str, share: int, load: Load) -> subprocess.Popen[str]:
    """A client process."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in vars(load).items()]
    command = [sys.executable, __file__, "--play", url, "--share", f"{share}", *options]
    player = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert player.stdout is not None
    player.stdout.readline()  # it has imported what it needs
    return player


def let_go(players: Sequence[subprocess.Popen[str]]) -> Sequence[subprocess.Popen[str]]:
    """Have all client processes begin."""
    for player in players:
        assert player.stdin is not None
        player.stdin.write("go\n")
        player.stdin.flush()
    return players


class Watch:
    """Notes the service's memory, and kills its renderer where that is asked for."""

    def __init__(self, pid: int, client: EnvironmentClient, load: Load) -> None:
        self._pid, self._client, self._load = pid, client, load
        self._sizes: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._weigh)]
        if load.faults:
            self._threads.append(threading.Thread(target=self._kill))

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def quarters(self) -> list[float]:
        """Bytes after each quarter of the drawings: the mean over its last third."""
        n_drawn = max(1.0, self._sizes[-1][0])
        by_quarter: list[list[float]] = [[], [], [], []]
        for done, size in self._sizes:
            quarter, part = divmod(4 * done / n_drawn, 1)
            if quarter == 4 or part >= 2 / 3:
                by_quarter[min(3, int(quarter))].append(size)
        return [mean(sizes or [0]) for sizes in by_quarter]

    def _weigh(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            size = sum(map(proportional_size, [self._pid, *descendants(self._pid)]))
            self._sizes.append((self._client.count("rrvf_renders_total"), size))

    def _kill(self) -> None:
        while not self._stop.wait(KILLS_EVERY):
            for pid in descendants(self._pid):
                with suppress(OSError):
                    if b"chart_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(pid, signal.SIGKILL)


def play_share(url: str, share: int, load: Load) -> dict[int, Any]:
    """One client process: every ``clients``-th episode."""
    numbers = range(share, load.episodes, load.clients)
    with EnvironmentClient(url) as client:

        def play(number: int) -> Any:
            chance = random.Random(number)
            name, completions = completions_of(number, load)
            episode = client.begin(name)
            for completion in completions:
                if episode.is_over:  # its renderer was killed
                    break
                if chance.random() < load.faults:
                    chance.choice(FAULTS)(url, episode._id, completion)
                episode.step(completion)
            return digest(list(pictures_in(episode.messages)), episode.outcome)

        with ThreadPoolExecutor(load.at_once // load.clients) as threads:
            return dict(zip(numbers, threads.map(play, numbers), strict=True))


def send_raw(url: str, head: str, body: bytes, announced: int | None = None) -> socket.socket:
    """Send a request as it stands, and leave the connection open."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    length = len(body) if announced is None else announced
    lines = f"{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with suppress(OSError):
        connection.sendall(f"{lines}Content-Length: {length}\r\n\r\n".encode() + body)
    return connection


def close_before(url: str, episode: str, completion: str) -> None:
    """Half of a request, and gone."""
    send_raw(url, f"PUT /episodes/{episode}/turns/1", b'{"completion"', 1000).close()


def close_after(url: str, episode: str, completion: str) -> None:
    """A whole answer to be scored, whose result nobody waits for."""
    body = {"sample": NAMES[0], "completion": completion}
    send_raw(url, "POST /scores", json.dumps(body).encode()).close()


def send_malformed(url: str, episode: str, completion: str) -> None:
    """No JSON, for an episode that is under way."""
    _expect(send_raw(url, f"PUT /episodes/{episode}/turns/1", b"{]"), b" 422 ")


def send_too_much(url: str, episode: str, completion: str) -> None:
    """More than is read."""
    _expect(send_raw(url, f"PUT /episodes/{episode}/turns/1", b"x", TOO_LARGE), b" 413 ")


def _expect(connection: socket.socket, status: bytes) -> None:
    with connection:
        line = connection.recv(100)
        assert status in line, line


FAULTS: tuple[Callable[[str, str, str], None], ...] = (
    *(close_before, close_after),
    *(send_malformed, send_too_much),
)


# -------------------------------------------------------------------------- a python a script


def run_scripts(load: Load) -> float:
    """Seconds that the drafts take, each run by an interpreter of its own."""
    codes = [
        retitle(NAMES[number % len(NAMES)], f"{number} {draft}")
        for number in range(load.episodes)
        for draft in range(DRAFTS)
    ]
    with tempfile.TemporaryDirectory() as folder:

        def run(numbered: tuple[int, str]) -> None:
            number, code = numbered
            place = Path(folder, str(number))
            place.mkdir()
            environment = {**os.environ, "MPLBACKEND": "Agg"}
            command = [sys.executable, "-c", code]
            subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)

        start = time.perf_counter()
        with ThreadPoolExecutor(load.workers) as threads:
            list(threads.map(run, enumerate(codes)))
        return time.perf_counter() - start


# ------------------------------------------------------------------------------- the report


def compare(expected: Mapping[int, Any], found: Mapping[int, Any]) -> tuple[int, int, int]:
    """Episodes that are the same, those that could not be measured, and those that differ."""
    same = unmeasured = other = 0
    for number, wanted in expected.items():
        outcome = found.get(number)
        if outcome == json.loads(json.dumps(wanted)):
            same += 1
        elif outcome is not None and outcome["reward"]["total"] is None:
            unmeasured += 1
        else:
            other += 1
    return same, unmeasured, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in vars(Load()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--play", help="internal: address of a service to play at")
    parser.add_argument("--share", type=int, default=0, help="internal: which client")
    options = vars(parser.parse_args())
    url, share = options.pop("play"), options.pop("share")
    load = Load(**options)
    if url:
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(play_share(url, share, load)))
        return
    report(load)


def report(load: Load) -> None:
    """Measure and print."""
    n_drawn = DRAFTS * load.episodes
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for name in NAMES:
            (data / f"{name}.py").write_text((CHARTS / f"{name}.py").read_text())
        expected, in_process = play_in_process(data, load)
        found, served, quarters = play_through_service(data, load)
    same, unmeasured, other = compare(expected, found)
    alone = run_scripts(load)
    print(f"{load.episodes} episodes, {load.at_once} at once, {load.clients} clients")
    for title, seconds in (
        *(("in process", in_process), ("service", served)),
        ("a python a script, no confinement, no scores", alone),
    ):
        print(f"{title:<46} {seconds:6.1f} s  {n_drawn / seconds:5.1f} renders/s")
    print(f"service / in process: {in_process / served:.2f} of the renders a second")
    print(f"episodes: {same} the same, {unmeasured} not measured, {other} otherwise")
    sizes = ", ".join(f"{size / 2**20:.0f}" for size in quarters)
    print(f"memory after each quarter: {sizes} MiB ({quarters[-1] / quarters[0] - 1:+.1%})")


if __name__ == "__main__":
    main()
