"""``rrvf eval`` killed at random moments and resumed: the same results, nothing paid twice."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chat_server import ChatServer, Reply, Request, answer
from tests.episodes import call, png
from tests.runs import environment, lines_of, rrvf, started, summary_of, write_data

TAG = re.compile(r"\[(?:policy|teacher) \d+ \d+\]")
"""In every answer; no two questions are answered by the same one."""


def small(title: str) -> str:
    return f'import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1.5))\nplt.title("{title}")\n'


def number_of(picture: bytes) -> int:
    """The sample whose picture this is: the blue of its first pixel."""
    with Image.open(io.BytesIO(picture)) as image:
        return image.convert("RGB").tobytes()[2]


def says(number: int) -> list[str]:
    """What the policy says about a sample: four kinds of episode."""
    right = f"<answer>```python\n{small(f'chart {number}')}\n```</answer>"
    draft = call(small(f"draft {number}"))
    return [
        [draft, right],
        [call(f"error_{number}"), draft, call(small(f"better {number}")), right],
        [draft, f"<answer>```python\n{small('another')}\n```</answer>"],
        [draft, "It is a nice chart."],
    ][number % 4]


def reply(request: Request) -> Reply:
    """Nothing but a function of the question, so that every run is told the same."""
    number = number_of(request.pictures[0])
    if request.body["model"] == "teacher":
        seen = zlib.crc32(request.pictures[1])
        return answer(f"-**Text**- the title is another one [teacher {number} {seen}]")
    turn = request.text.count("<tool_response>")
    return answer(f"<think>[policy {number} {turn}]</think>{says(number)[turn]}")


WORKERS, CONCURRENCY = 2, 2
N_AT_ONCE = WORKERS + CONCURRENCY
"""Episodes under way at a time, each of which waits for one answer at most."""


class Server(ChatServer):
    """Keeps what it answered, in order."""

    def __init__(self, port: int = 0) -> None:
        self.given: list[str] = []
        super().__init__(self._noted, port)

    def _noted(self, request: Request) -> Reply:
        said = reply(request)
        self.given += TAG.findall(said.body.decode())
        time.sleep(0.05)  # so that a kill finds questions on their way
        return said


class Runs:
    """Runs of the same samples, each in a folder of its own."""

    def __init__(self, folder: Path, n_samples: int) -> None:
        self.folder = folder
        names = [f"line_{n}" for n in range(n_samples)]
        references = {name: small(f"chart {n}") for n, name in enumerate(names)}
        self.data = write_data(folder, references, {})[:2]
        with Server() as server:
            self.port = server.port
        for n, name in enumerate(names):
            (folder / "references" / f"{name}.png").write_bytes(png(f"#0000{n:02x}"))

    def command(self, server: ChatServer, out: str) -> list[Any]:
        ends = ("--policy", "policy", "--base-url", server.url)
        ends += ("--teacher", "teacher", "--teacher-base-url", server.url)
        words = ["eval", "chartmimic", *self.data, "--out", self.folder / out, *ends]
        return [*words, "--workers", WORKERS, "--concurrency", CONCURRENCY]

    def environment(self, out: str) -> dict[str, str]:
        return {"RRVF_CACHE_DIR": str(self.folder / f"{out}-cache"), "OPENAI_API_KEY": "sk-test"}

    def stored(self, out: str) -> set[str]:
        """The answers that are kept on disk: the policy's in the run, the teacher's for all."""
        folders = (self.folder / out / "answers", self.folder / f"{out}-cache" / "chat")
        kept = [path for folder in folders for path in folder.glob("*/*.json")]
        return {tag for path in kept for tag in TAG.findall(path.read_text())}

    def told(self, out: str) -> dict[str, Any]:
        """What a run came to, without its times and without who paid for what when."""
        lines = lines_of(self.folder / out)
        path = self.folder / out / "trajectories.jsonl"
        played = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({one["sample_id"] for one in played}) == len(played), "each episode stands once"
        summary = summary_of(self.folder / out)
        return {
            "lines": timeless(lines),
            "played": timeless({one["sample_id"]: one for one in played}),
            "metrics": summary["metrics"],
            "n_unscored": summary["n_unscored"],
        }


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("seconds", "teacher_seconds", "cached")
        return {name: timeless(one) for name, one in value.items() if name not in left_out}
    return [timeless(one) for one in value] if isinstance(value, list) else value


@dataclass
class Life:
    """One start of the command: what was kept before, what was asked, what was kept after."""

    before: set[str]
    given: list[str]
    after: set[str]

    @property
    def lost(self) -> set[str]:
        """Answered, and on its way when the end came."""
        return set(self.given) - self.after


def lived(runs: Runs, out: str) -> Life:
    """To the end."""
    before = runs.stored(out)
    with Server(runs.port) as server:
        done = rrvf(*runs.command(server, out), env=environment(**runs.environment(out)))
    assert done.returncode == 0, done.stderr
    return Life(before, server.given, runs.stored(out))


def killed(runs: Runs, out: str, n_kept: int, pause: float) -> Life:
    """Killed some time after so many answers are kept."""
    before = runs.stored(out)
    # A server for each: what arrives there after the kill must not count for the next one.
    with Server(runs.port) as server:
        process = started(*runs.command(server, out), cwd=runs.folder, **runs.environment(out))
        while len(runs.stored(out)) < n_kept and process.poll() is None:
            time.sleep(0.02)
        time.sleep(pause)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return Life(before, server.given, runs.stored(out))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("n_samples", "n_kills"),
    [pytest.param(8, 3, id="few"), pytest.param(30, 20, id="all", marks=pytest.mark.slow)],
)
def test_killed_and_resumed_as_if_undisturbed(tmp_path: Path, n_samples: int, n_kills: int) -> None:
    chance = random.Random(20766)
    runs = Runs(tmp_path, n_samples)
    calm = lived(runs, "calm")
    assert max(Counter(calm.given).values()) == 1, "an answer stands for its question"
    assert calm.after == set(calm.given)
    # Within the first four fifths, so that there is work left to do.
    moments = sorted(chance.sample(range(len(calm.given) * 4 // 5), n_kills))
    lives = [killed(runs, "killed", moment, chance.uniform(0, 0.3)) for moment in moments]
    assert 0 < (tmp_path / "killed" / "results.jsonl").read_bytes().count(b"\n") < n_samples
    lives.append(lived(runs, "killed"))
    for life in lives:
        assert not life.before & set(life.given), "an answer that is kept is not paid again"
        assert len(set(life.given)) == len(life.given)
        assert len(life.lost) <= N_AT_ONCE
    lost = Counter(tag for life in lives for tag in life.lost)
    paid = Counter(tag for life in lives for tag in life.given)
    assert paid == Counter(calm.given) + lost, "each question once, and once for each loss of it"
    assert runs.told("killed") == runs.told("calm")
