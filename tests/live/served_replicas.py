"""Two copies of a model behind one address: vLLM on CPU judges, teaches and plays.

``make replicas-vllm`` runs it with the tiny random model, which answers in noise. A pass is: every
question is answered, both copies have answered some, episodes are played to their end by the
command that users type, and what noise says is no score.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rrvf.chat import Chat, ChatSettings
from rrvf.demo import demo_items
from rrvf.renderers.chart import ChartRenderer
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.rubrics import load_rubric
from rrvf.teacher import ModelTeacher, teacher_prompt
from tests.benches import chart_bench
from tests.live.judge_vllm import MAX_TOKENS, all_answered, is_open, judged, leave
from tests.live.vllm_server import NAME, ServerError, serve

ROOT = Path(__file__).resolve().parents[2]
N_REPLICAS = 2
N_EPISODES, N_COMMENTS = 4, 8


def main() -> int:
    """Build, serve, judge, teach, play, check; prints what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm-python", type=Path, required=True, help="with vLLM for CPU")
    python = parser.parse_args().vllm_python.absolute()
    signal.signal(signal.SIGTERM, leave)
    with tempfile.TemporaryDirectory(prefix="rrvf-vllm-") as name:
        folder = Path(name)
        model = folder / "model"
        subprocess.run([python, "-m", "training.tiny_model", model], cwd=ROOT, check=True)
        try:
            with serve(python, model, folder / "server.log", N_REPLICAS) as url:
                checks = {**check_judge(url), **check_teacher(url), **check_play(url, folder)}
                checks |= check_replicas(url)
        except ServerError as error:
            print(error, file=sys.stderr)
            return 1
    for check, holds in checks.items():
        print(f"{'ok  ' if holds else 'FAIL'} {check}")
    return 0 if all(checks.values()) else 1


def check_judge(url: str) -> dict[str, bool]:
    """Three charts of the demo, judged."""
    with Chat(ChatSettings(NAME, url, concurrency=4)) as chat:
        scores = judged(ModelJudge(chat, load_rubric("chartmimic_judge"), max_tokens=MAX_TOKENS))
        usage = chat.usage()
    print(f"judge: {usage.paid} answers, {usage.input_tokens} tokens read")
    return {
        "every chart is judged": all_answered(usage, len(scores)),
        "noise is no score": all(is_open(score) for score in scores.values()),
    }


def check_teacher(url: str) -> dict[str, bool]:
    """Comments on drawings of the demo, several at a time."""
    with Chat(ChatSettings(NAME, url, concurrency=N_COMMENTS)) as chat, ChartRenderer() as renderer:
        bench = chart_bench(renderer)
        drawings = [bench.draw(item[0], item[0].reference_code or "") for item in demo_items()]
        pictures = [drawing.png for drawing in drawings if drawing.png is not None][:N_COMMENTS]
        teacher = ModelTeacher(chat, teacher_prompt("python"))
        with ThreadPoolExecutor(N_COMMENTS) as pool:
            comments = list(pool.map(teacher.comments, pictures, reversed(pictures)))
        usage = chat.usage()
    print(f"teacher: {usage.paid} comments, {usage.output_tokens} tokens written")
    return {"every drawing is commented on": len(comments) == N_COMMENTS and all(comments)}


def check_play(url: str, folder: Path) -> dict[str, bool]:
    """``rrvf eval`` with the model as policy and as teacher."""
    out = folder / "run"
    data = ROOT / "rrvf" / "demo_data" / "charts" / "references"
    command = [sys.executable, "-m", "rrvf", "eval", "chartmimic", "--data", str(data)]
    command += ["--limit", str(N_EPISODES), "--policy", NAME, "--base-url", url]
    command += ["--teacher", NAME, "--teacher-base-url", url, "--temperature", "1"]
    command += ["--max-tokens", "64", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
    lines = [json.loads(line) for line in _read_lines(out / "trajectories.jsonl")]
    reasons = [line["stop_reason"] for line in lines]
    print(f"episodes: {', '.join(reasons)}")
    return {
        "the command ends well": done.returncode == 0,
        "every episode is played to its end": len(lines) == N_EPISODES
        and not {"policy_error", "harness_error"} & {*reasons},
    }


def check_replicas(url: str) -> dict[str, bool]:
    """Whether both copies have answered."""
    address = url.removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(address, timeout=30) as reply:
        text = reply.read().decode()
    counts: dict[str, float] = {}
    pattern = r'request_success_total\{[^}]*engine="(\d+)"[^}]*\} (\S+)'
    for engine, count in re.findall(pattern, text):
        counts[engine] = counts.get(engine, 0) + float(count)
    print(f"answers by copy: {counts}")
    return {"both copies answer": sum(count > 0 for count in counts.values()) == N_REPLICAS}


def _read_lines(path: Path) -> list[Any]:
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
