"""Three charts of the demo, judged by a real server: vLLM on CPU with the tiny random model.

``make judge-vllm`` runs it. A random model answers in noise, so a pass is: every question is
answered, both pictures count as tokens of the question, and every score is left open, with a reason
that says the answer cannot be read.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from rrvf.chat import Chat, ChatSettings, Message, Usage
from rrvf.demo import demo_items
from rrvf.renderers.chart import ChartRenderer
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.rubrics import Rubric, load_rubric
from rrvf.types import Score
from tests.benches import chart_bench
from tests.live.vllm_server import NAME, ServerError, serve
from training.tiny_model import MAX_PIXELS

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ("bar_1", "line_1", "pie_1")
ONE_PICTURE = MAX_PIXELS // 28**2 + 2
"""Tokens of the largest picture, with those before and after it."""

UNREAD = ("no figure in the answer", "cut off after")
MAX_TOKENS = 64
"""Of an answer; noise seldom ends by itself."""


def main() -> int:
    """Build, serve, judge, check; prints what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm-python", type=Path, required=True, help="with vLLM for CPU")
    python = parser.parse_args().vllm_python.absolute()
    signal.signal(signal.SIGTERM, leave)
    rubric = load_rubric("chartmimic_judge")
    with tempfile.TemporaryDirectory(prefix="rrvf-vllm-") as name:
        model = Path(name) / "model"
        # vLLM brings all that building takes.
        subprocess.run([python, "-m", "training.tiny_model", model], cwd=ROOT, check=True)
        began = time.monotonic()
        try:
            with serve(python, model, Path(name) / "server.log") as url:
                print(f"vLLM is ready after {time.monotonic() - began:.0f} s", flush=True)
                return judge(url, rubric)
        except ServerError as error:
            print(error, file=sys.stderr)
            return 1


def judge(url: str, rubric: Rubric) -> int:
    """Judge the charts at the server; 0 where everything is as it must be."""
    with Chat(ChatSettings(NAME, url, concurrency=2)) as chat:
        scores = judged(ModelJudge(chat, rubric, max_tokens=MAX_TOKENS))
        usage = chat.usage()
        words = chat.ask(_words(rubric), temperature=0, max_tokens=MAX_TOKENS).input_tokens or 0
    for chart, score in scores.items():
        print(f"{chart}: {score.value} ({score.details.get('reason')})")
    print(f"{usage.paid} answers, {usage.input_tokens} tokens read, {usage.output_tokens} written")
    pictures = usage.input_tokens - words * usage.paid
    print(f"{words} tokens of words and {pictures / usage.paid:.0f} of pictures a question")
    checks = {
        "every question is answered": all_answered(usage, len(CHARTS)),
        "answers are counted": usage.output_tokens > 0,
        "both pictures are seen": words > 0 and pictures > ONE_PICTURE * usage.paid,
        "noise is no score": all(is_open(score) for score in scores.values()),
    }
    for check, holds in checks.items():
        print(f"{'ok  ' if holds else 'FAIL'} {check}")
    return 0 if all(checks.values()) else 1


def all_answered(usage: Usage, n_charts: int) -> bool:
    """Whether no question failed; after noise one about the reference beside itself is asked."""
    return n_charts <= usage.paid <= 2 * n_charts and not usage.failures


def judged(judge: ModelJudge) -> dict[str, Score]:
    """The judge's score of each chart."""
    items = {item[0].id: item for item in demo_items()}
    with ChartRenderer() as renderer:
        scoring = chart_bench(renderer, scorers=(), judge=judge)
        return {chart: scoring.score(items[chart]).result.scores[judge.name] for chart in CHARTS}


def _words(rubric: Rubric) -> list[Message]:
    """The judge's question without its pictures."""
    prompt = rubric.prompt
    return [Message("system", (prompt.system,)), Message("user", (prompt.user,))]


def leave(signum: int, frame: FrameType | None) -> None:
    """End as an exception does, so that the server is stopped."""
    del frame
    sys.exit(128 + signum)


def is_open(score: Score) -> bool:
    return score.value is None and str(score.details.get("reason")).startswith(UNREAD)


if __name__ == "__main__":
    sys.exit(main())
