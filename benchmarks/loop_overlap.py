"""How well episodes overlap: waiting for models, waiting for renderings, and nothing else.

``python benchmarks/loop_overlap.py`` plays 32 episodes of three turns (two calls, an answer), 16 at
a time, with a policy and a teacher that answer after one second each: the tests' own server, in
this process. ``rrvf eval`` runs as a whole process, charts are really drawn, the caches are empty.

The ideal is the larger of two times:

* waiting: episodes / concurrency x the answers that an episode waits for, one after another;
* rendering: CPU seconds of the chart server and of all scripts, divided by the cores, as if every
  script were executed once: a draft, an answer, a reference. What is executed besides is counted,
  and is no part of the ideal.

The target is a wall time below 1.3 times that, start and end of the command included. Other
programs move it: how much CPU they took meanwhile is printed, and how many times the ideal it is on
the CPU that they left. Where they leave no core idle, that last figure hides time lost by waiting:
only a run on a quiet machine tells.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.chat_server import ChatServer, Reply, Request, answer  # noqa: E402
from tests.episodes import call  # noqa: E402

CHARTS = HERE.parent / "rrvf" / "demo_data" / "charts" / "references"
NAMES = ("area_1", "bar_1", "heatmap_1", "line_1", "multi_1", "pie_1", "scatter_1", "violin_1")
"""Those that take no more than a chart usually takes."""

EPISODES, CONCURRENCY, SECONDS = 32, 16, 1.0
TURNS, COMMENTS = 3, 2
TARGET = 1.3


def retitle(name: str, title: str) -> str:
    """A chart of the demo with another title, so that no two are the same."""
    head, save, tail = (CHARTS / f"{name}.py").read_text().partition("plt.savefig(")
    return f"{head}plt.suptitle({title!r})\n{save}{tail}"


@dataclass
class Models:
    """Policy and teacher; a sample is known by its picture."""

    targets: list[bytes] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        """What either says, after a while."""
        target = request.pictures[0]
        if target not in self.targets:
            self.targets.append(target)
        number = self.targets.index(target)
        time.sleep(SECONDS)
        if request.body["model"] == "teacher":
            return answer("-**Text**- the title is another one")
        turn = request.text.count("<tool_response>")
        code = retitle(NAMES[number % len(NAMES)], f"{number} {turn}")
        reply_text = call(code) if turn < TURNS - 1 else f"<answer>```python\n{code}\n```</answer>"
        return answer(f"<think>Turn {turn} of {number}.</think>{reply_text}")


@dataclass(frozen=True)
class Cost:
    """What the command took, in seconds: on the wall, of CPU itself, of CPU for rendering.

    And how many scripts were executed.
    """

    wall: float
    own: float
    rendering: float
    executions: int


def measure_run(work: Path, url: str, cores: int) -> Cost:
    """Run ``rrvf eval`` once."""
    data = work / "references"
    data.mkdir()
    for number in range(EPISODES):
        code = retitle(NAMES[number % len(NAMES)], f"chart {number}")
        (data / f"chart_{number}.py").write_text(code)
    cost_file = work / "cost.json"
    command = [sys.executable, __file__, "--inside", str(cost_file), "eval", "chartmimic"]
    command += ["--data", str(data), "--out", str(work / "run"), "--workers", str(cores)]
    command += ["--policy", "policy", "--base-url", url, "--concurrency", str(CONCURRENCY)]
    command += ["--teacher", "teacher", "--teacher-base-url", url]
    key = {"RRVF_CACHE_DIR": str(work / "cache"), "OPENAI_API_KEY": "none"}
    start = time.perf_counter()
    subprocess.run(command, env={**os.environ, **key}, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    return Cost(wall, **json.loads(cost_file.read_text()))


def inside(cost_file: Path, arguments: list[str]) -> None:
    """The command, in this process; notes what it cost."""
    from rrvf.cli import main as rrvf
    from rrvf.renderers.chart import ChartRenderer

    executions: list[None] = []
    execute = ChartRenderer._ask  # every execution passes here

    def count_ask(*arguments: Any, **options: Any) -> Any:
        executions.append(None)
        return execute(*arguments, **options)

    vars_of_class: Any = ChartRenderer
    vars_of_class._ask = count_ask
    sys.argv = ["rrvf", *arguments]
    try:
        rrvf()
    finally:
        usages = {"own": resource.RUSAGE_SELF, "rendering": resource.RUSAGE_CHILDREN}
        seconds = {name: _cpu(who) for name, who in usages.items()}
        cost_file.write_text(json.dumps({**seconds, "executions": len(executions)}))


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def busy() -> float:
    """CPU seconds that this machine has used since it started."""
    user, nice, system, _, _, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def check_run(run: Path, n_answers: int) -> None:
    """Every episode went as it was meant to, and nobody was spared an answer.

    Raises:
        SystemExit: One did not.
    """
    lines = (run / "trajectories.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        teachers = [
            observation["teacher"] for turn in line["turns"] for observation in turn["observations"]
        ]
        if line["stop_reason"] != "answered" or teachers != ["asked"] * COMMENTS:
            raise SystemExit(f"{line['sample_id']}: {line['stop_reason']}, {teachers}")
    if len(lines) != EPISODES or n_answers != EPISODES * (TURNS + COMMENTS):
        raise SystemExit(f"{len(lines)} episodes, {n_answers} answers")


def main() -> None:
    """Measure and print."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="rrvf-overlap-") as folder:
        work = Path(folder)
        busy_before, own_cpu = busy(), _cpu(resource.RUSAGE_SELF)
        with ChatServer(Models().reply) as server:
            cost = measure_run(work, server.url, cores)
        own_cpu = _cpu(resource.RUSAGE_SELF) - own_cpu
        other_cpu = busy() - busy_before - own_cpu - cost.own - cost.rendering
        check_run(work / "run", len(server.requests))
    waiting = EPISODES / CONCURRENCY * (TURNS + COMMENTS) * SECONDS
    n_least = EPISODES * (TURNS + 1)  # each draft, the answer, the reference
    rendering = cost.rendering / cores * min(1.0, n_least / cost.executions)
    ideal = max(waiting, rendering)
    shared_ideal = max(waiting, rendering * cores / (cores - other_cpu / cost.wall))
    print(f"{EPISODES} episodes of {TURNS} turns, {CONCURRENCY} at a time, {cores} cores")
    print(f"waiting for answers        {waiting:6.1f} s")
    print(f"executions                 {cost.executions:6d} of scripts, at least {n_least}")
    print(f"CPU of rendering / cores   {rendering:6.1f} s, of the least executions")
    print(f"CPU of the command itself  {cost.own:6.1f} s, of the two servers {own_cpu:.1f} s")
    print(f"CPU of other programs      {other_cpu:6.1f} s")
    print(f"wall time                  {cost.wall:6.1f} s")
    print(f"times the ideal            {cost.wall / ideal:6.2f} (target: below {TARGET})")
    print(f"... on the CPU left by others {cost.wall / shared_ideal:3.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
