"""What the rewards of a training step cost: 64 rollouts, a judge that answers after one second.

``python benchmarks/reward_cost.py`` has the rewarder of training score 64 finished episodes, each
with a chart of its own, as it does at the end of a step: charts are really drawn and confined, the
judge is the tests' own server. The target is

    wall time <= 1.3 x max(the judge's second, rendering CPU / cores) + 0.5 s.

Beside it stands the same work done one rollout after another, which is how TRL's own tool loop
(1.16) calls tools, asynchronous ones too. Other programs move the figures; how much CPU they took
meanwhile is printed.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.loop_overlap import NAMES, busy, retitle  # noqa: E402
from rrvf.chat import Chat, ChatSettings  # noqa: E402
from rrvf.renderers.chart import ChartRenderer  # noqa: E402
from rrvf.rewards import Rewarder, as_trajectory  # noqa: E402
from rrvf.scorers.model_judge import ModelJudge  # noqa: E402
from rrvf.scorers.rubrics import load_rubric  # noqa: E402
from rrvf.types import Sample  # noqa: E402
from tests.benches import chart_bench  # noqa: E402
from tests.chat_server import ChatServer, Reply, Request, answer  # noqa: E402

ROLLOUTS, SECONDS, CORES = 64, 1.0, len(os.sched_getaffinity(0))

Answer = tuple[Sample, str]


def rollouts(run: str) -> list[Answer]:
    """64 answers to eight charts, all different."""
    answers: list[Answer] = []
    for number in range(ROLLOUTS):
        name = NAMES[number % len(NAMES)]
        code = retitle(name, f"{run} {number}")
        answers.append((Sample(name, retitle(name, "the target")), f"```python\n{code}\n```"))
    return answers


@dataclass(frozen=True)
class Cost:
    """Seconds: on the wall, of CPU for rendering, of CPU in this process, of others' CPU."""

    wall: float
    rendering: float
    own: float
    others: float


def cpu(who: int) -> float:
    """CPU seconds of this process, or of children that have ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


Work = Callable[[Rewarder, Sequence[Answer]], None]


def side_by_side(rewarder: Rewarder, answers: Sequence[Answer]) -> None:
    """As training does it."""
    with ThreadPoolExecutor(ROLLOUTS) as pool:
        list(pool.map(lambda pair: reward_rollout(rewarder, *pair), answers))


def one_by_one(rewarder: Rewarder, answers: Sequence[Answer]) -> None:
    """As TRL's tool loop does it."""
    for sample, text in answers:
        reward_rollout(rewarder, sample, text)


def reward_rollout(rewarder: Rewarder, sample: Sample, text: str) -> None:
    """One rollout.

    Raises:
        SystemExit: There is no reward.
    """
    reward = rewarder(sample, as_trajectory(sample, text, "python")).reward
    if reward.total is None:
        raise SystemExit(f"{sample.id}: {reward.reason}")


def measure_work(work: Work, url: str, run: str) -> Cost:
    """Do the work with references drawn before, as they are in all steps but the first."""
    answers = rollouts(run)
    with ChartRenderer(workers=CORES) as renderer:
        for sample, _ in answers[: len(NAMES)]:
            renderer.render_reference(sample.reference_code or "", judge=True)
    cpu_before = cpu(resource.RUSAGE_CHILDREN)
    settings = ChatSettings("judge", url, concurrency=ROLLOUTS)
    with ChartRenderer(workers=CORES) as renderer, Chat(settings) as chat:
        judge = ModelJudge(chat, load_rubric("vision_reward"))
        rewarder = Rewarder(chart_bench(renderer, judge=judge))
        start, own, all_busy = time.perf_counter(), cpu(resource.RUSAGE_SELF), busy()
        work(rewarder, answers)
        wall = time.perf_counter() - start
        own, all_busy = cpu(resource.RUSAGE_SELF) - own, busy() - all_busy
    rendering = cpu(resource.RUSAGE_CHILDREN) - cpu_before
    return Cost(wall, rendering, own, max(0.0, all_busy - own - rendering))


def main() -> None:
    """Measure both ways and print."""

    def reply(_: Request) -> Reply:
        time.sleep(SECONDS)
        return answer("Score: 5/10")

    with ChatServer(reply) as server:
        parallel = measure_work(side_by_side, server.url, "a")
        if len(server.requests) != ROLLOUTS:
            raise SystemExit(f"the judge was asked {len(server.requests)} times")
        serial = measure_work(one_by_one, server.url, "b")
    larger = max(SECONDS, parallel.rendering / CORES)
    limit = 1.3 * larger + 0.5
    print(f"{ROLLOUTS} rollouts, {CORES} cores, a judge of {SECONDS:.0f} s an answer")
    print(f"rendering CPU / cores       {parallel.rendering / CORES:7.1f} s")
    print(f"this process's own CPU      {parallel.own:7.1f} s")
    print(f"other programs' CPU         {parallel.others:7.1f} s")
    print(f"wall                        {parallel.wall:7.1f} s (limit {limit:.1f} s)")
    print(f"wall / larger               {parallel.wall / larger:7.2f}")
    print(
        f"one after another           {serial.wall:7.1f} s, {serial.wall / parallel.wall:.1f} times"
    )
    print(f"other programs' CPU then    {serial.others:7.1f} s")


if __name__ == "__main__":
    main()
