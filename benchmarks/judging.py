"""How much longer a run takes with a judge: answers of one second each, sixteen at a time.

``python benchmarks/judging.py`` scores the 91 real answers of ``../shared/data/chartmimic_v1``
without a judge and with one, references cached in both cases, on this machine in one run. The
judge is the tests' own server on this machine, which waits before it answers. What rendering for
the judge costs (350 dpi) is told apart from what waiting for it costs, by a judge that answers at
once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.chat_server import ChatServer, Reply, Request, answer  # noqa: E402

DATA = HERE.parent.parent / "shared" / "data" / "chartmimic_v1"
SECONDS, IN_FLIGHT = 1.0, 16


def score(work: Path, name: str, *judge: str) -> float:
    """Wall time of ``rrvf score`` as a whole process."""
    command = [sys.executable, "-m", "rrvf", "score", "chartmimic", "--data", str(DATA / "golden")]
    command += ["--predictions", str(DATA / "predictions.jsonl"), "--out", str(work / name)]
    environment = {**os.environ, "RRVF_CACHE_DIR": str(work / "cache"), "OPENAI_API_KEY": "none"}
    start = time.perf_counter()
    subprocess.run([*command, *judge], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def score_judged(work: Path, name: str, seconds: float) -> tuple[float, int, int]:
    """Wall time with a judge, the number of its answers, and how many it gave at a time."""

    def reply(_: Request) -> Reply:
        time.sleep(seconds)
        return answer("Score: 50/100")

    with ChatServer(reply) as server:
        judge = ("--judge", name, "--judge-base-url", server.url)
        wall = score(work, name, *judge, "--judge-concurrency", str(IN_FLIGHT))
        return wall, len(server.requests), server.most_at_once


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="rrvf-judging-") as folder:
        work = Path(folder)
        score(work, "warm")
        score_judged(work, "warm-pictures", 0.0)
        plain = score(work, "without")
        immediate, _, _ = score_judged(work, "at-once", 0.0)
        slow, n_answers, n_at_once = score_judged(work, "slowly", SECONDS)
    print(f"without a judge            {plain:6.1f} s")
    print(f"a judge that is immediate  {immediate:6.1f} s")
    print(f"{SECONDS:.0f} s an answer              {slow:6.1f} s")
    print(f"{n_answers} answers, at most {n_at_once} at a time")


if __name__ == "__main__":
    main()
