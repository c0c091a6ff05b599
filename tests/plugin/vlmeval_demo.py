"""``make vlmeval-demo``: VLMEvalKit runs the loop on the bundled data; a script plays the models.

A local server plays policy, teacher and judge. As a policy it tries the bundled answer to the
picture it is shown by the tool, once, and gives it as its answer then. What VLMEvalKit has written
is scored by ``rrvf score`` as well; both figures go into ``OUT/summary.json``, and where they
differ the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rrvf
from rrvf.agent import AgentSettings
from rrvf.benchmarks.predictions import load_predictions, read_tsv
from rrvf.replies import extract_code
from rrvf.run_folder import read_summary
from rrvf.scorers.model_judge import bounded
from tests.chat_server import ChatServer, Reply, Request, answer
from vlmeval_plugin.sources import DEMO_CHARTS, PAGES, PLOTS, Source, table

SOURCES = {
    name: source
    for name, source in {**DEMO_CHARTS, **PLOTS, **PAGES}.items()
    if name.startswith("RRVF_Demo_")
}
MODELS = {"chartmimic": "RRVF-Chart-7B-Loop", "plot2code": "RRVF-Chart-7B-Loop"}
PAGE_MODEL = "RRVF-Web-7B-Loop"
COMMENTS = "---Comments:\n-**Layout**- Compare it.\n-**Text**- Compare it."


def recorded() -> dict[bytes, str]:
    """Picture, as a policy is shown it -> the bundled answer to it."""
    found: dict[bytes, str] = {}
    for name, source in SOURCES.items():
        path = table(name, source)
        answers = load_predictions(source.data().parent / "predictions.jsonl")
        for _, row in read_tsv(path):
            picture = path.parent / "images" / name / str(row["image_path"])
            shown = bounded(picture.read_bytes(), AgentSettings.of("python").max_pixels)
            found[shown] = answers[str(row["index"])]
    return found


def script(answers: dict[bytes, str]) -> Callable[[Request], Reply]:
    """What the server says."""

    def reply(request: Request) -> Reply:
        if request.body["model"] == "teacher":
            return answer(COMMENTS)
        if request.body["model"] == "judge":
            return answer("Score: 80/100\nRating: [[8]]")
        final = answers[request.pictures[0]]
        tool = re.search(r"(html|python)_render_and_compare_tool", request.text)
        first = not any(one["role"] == "assistant" for one in request.body["messages"])
        code = extract_code(final, "html" if tool and tool[1] == "html" else "python")
        if not (tool and first and code):
            return answer(final)
        call = {"name": tool[0], "arguments": {f"{tool[1]}_code": code}}
        return answer(f"<think>A try.</think><tool_call>{json.dumps(call)}</tool_call>")

    return reply


def run(*arguments: object) -> None:
    """A command of this environment."""
    subprocess.run([sys.executable, "-m", *map(str, arguments)], check=True)


def evaluated(name: str, source: Source, url: str, out: Path) -> dict[str, Any]:
    """One data set by both paths."""
    model = MODELS.get(source.benchmark, PAGE_MODEL)
    judge = ("--judge", "judge", "--judge-base-url", url)
    run(
        *("vlmeval_plugin", "--data", name, "--model", model, "--base-url", url, *judge),
        *("--teacher", "teacher", "--teacher-base-url", url, "--work-dir", out / "vlmeval"),
        *("--max-turns", 3, "--api-nproc", 4, "--reuse"),
    )
    folder = out / "vlmeval" / model
    more: Sequence[object] = ("--scorers", ",".join(source.scorers)) if source.scorers else ()
    more = ("--timeout", source.timeout, *more) if source.timeout else more
    run(
        *("rrvf", "score", source.benchmark, "--data", source.data(), *judge, *more),
        *("--predictions", folder / f"{model}_{name}.xlsx", "--out", out / "rrvf" / name),
    )
    (theirs,) = folder.glob(f"{model}_{name}_rrvf_*")
    lines = (folder / f"{model}_{name}_trajectories.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["turns"]]
    seen = [one["teacher"] for turn in turns for one in turn["observations"]]
    return {
        "data": name,
        "benchmark": source.benchmark,
        "model": model,
        "episodes": len(lines),
        "turns": len(turns),
        "teacher_calls": seen.count("asked"),
        "metrics_vlmevalkit": read_summary(theirs)["metrics"],
        "metrics_rrvf_score": read_summary(out / "rrvf" / name)["metrics"],
    }


def main() -> int:
    """Run all three; the exit status says whether the figures are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("vlmeval-demo"))
    out: Path = parser.parse_args().out.absolute()
    (out / "LMUData").mkdir(parents=True, exist_ok=True)
    os.environ |= {"LMUData": str(out / "LMUData"), "HF_HUB_OFFLINE": "1"}
    with ChatServer(script(recorded())) as server:
        runs = [evaluated(name, source, server.url, out) for name, source in SOURCES.items()]
    equal = all(one["metrics_vlmevalkit"] == one["metrics_rrvf_score"] for one in runs)
    summary = {"rrvf": rrvf.__version__, "equal": equal, "runs": runs}
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(f"{'equal' if equal else 'NOT EQUAL'}: {out / 'summary.json'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
