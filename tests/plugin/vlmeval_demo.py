"""``make vlmeval-demo``: VLMEvalKit runs the loop on the bundled data; a script plays the models.

A local server plays policy, teacher and judge. As a policy it tries the bundled answer to the
picture it is shown by the tool, once, and gives it as its answer then. What VLMEvalKit has written
is scored by ``rrvf score`` as well. The figures that VLMEvalKit prints and those of ``rrvf score``
go into ``OUT/summary.json``; where one digit differs the exit status is 1.

VLMEvalKit is the installed package, or the checkout that stands on ``PYTHONPATH``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rrvf
from rrvf.agent import AgentSettings
from rrvf.benchmarks.predictions import load_predictions, read_tsv
from rrvf.replies import extract_code
from rrvf.run_folder import read_summary
from rrvf.scorers.model_judge import bound_picture
from tests.chat_server import ChatServer, Reply, Request, answer
from vlmeval_plugin.sources import DEMO_CHARTS, DESIGNS, PAGES, PLOTS, Source, table

SOURCES = {
    name: source
    for name, source in {**DEMO_CHARTS, **PLOTS, **PAGES, **DESIGNS}.items()
    if name.startswith("RRVF_Demo_")
}
MODELS = {"chartmimic": "RRVF-Chart-7B-Loop", "plot2code": "RRVF-Chart-7B-Loop"}
PAGE_MODEL = "RRVF-Web-7B-Loop"
COUNTS = ("split", "example_count", "unscored")
HOST_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "chartmimic": {
        "text": "text_score",
        "layout": "layout_score",
        "type": "chart_type_score",
        "color": "color_score",
        "gpt": "gpt_score",
    },
    "design2code": {
        "block_match": "Block-Match",
        "text": "Text",
        "position": "Position",
        "color": "Color",
        "clip_design2code": "CLIP",
    },
}
"""Benchmark -> metric -> what VLMEvalKit calls it in its table."""

COMMENTS = "---Comments:\n-**Layout**- Compare it.\n-**Text**- Compare it."


def recorded() -> dict[bytes, str]:
    """Picture, as a policy is shown it -> the bundled answer to it."""
    found: dict[bytes, str] = {}
    for name, source in SOURCES.items():
        path = table(name, source)
        answers = load_predictions(source.data().parent / "predictions.jsonl")
        for _, row in read_tsv(path):
            picture = path.parent / "images" / name / str(row["image_path"])
            shown = bound_picture(picture.read_bytes(), AgentSettings.of("python").max_pixels)
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


def run(*arguments: object) -> str:
    """What a command of this environment prints; it is shown as well."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


def printed(text: str, benchmark: str) -> dict[str, float | None]:
    """The metrics of the table that run.py prints after an evaluation."""
    table = text.rpartition("Evaluation Results:")[2].partition("Run Summary Report")[0]
    rows = re.findall(r"^(\w[\w-]*)(?: +(\S+))?$", table, re.MULTILINE)
    shown = {k: float(value) if value else None for k, value in rows if k not in COUNTS}
    names = {column: metric for metric, column in HOST_COLUMNS.get(benchmark, {}).items()}
    return {names.get(k, k): v for k, v in shown.items()}


def evaluated(name: str, source: Source, url: str, out: Path) -> dict[str, Any]:
    """One data set by both paths."""
    model = MODELS.get(source.name, PAGE_MODEL)
    judge = ("--judge", "judge", "--judge-base-url", url)
    told = run(
        *("vlmeval_plugin", "--data", name, "--model", model, "--base-url", url, *judge),
        *("--teacher", "teacher", "--teacher-base-url", url, "--work-dir", out / "vlmeval"),
        *("--max-turns", 3, "--api-nproc", 4, "--reuse"),
    )
    folder = out / "vlmeval" / model
    more: Sequence[object] = ("--scorers", ",".join(source.scorers)) if source.scorers else ()
    more = ("--timeout", source.timeout, *more) if source.timeout else more
    run(
        *("rrvf", "score", source.name, "--data", source.data(), *judge, *more),
        *("--predictions", folder / f"{model}_{name}.xlsx", "--out", out / "rrvf" / name),
    )
    lines = (folder / f"{model}_{name}_trajectories.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["turns"]]
    seen = [one["teacher"] for turn in turns for one in turn["observations"]]
    return {
        "data": name,
        "benchmark": source.name,
        "model": model,
        "episodes": len(lines),
        "turns": len(turns),
        "teacher_calls": seen.count("asked"),
        "metrics_vlmevalkit": printed(told, source.name),
        "metrics_rrvf_score": read_summary(out / "rrvf" / name)["metrics"],
    }


def main() -> int:
    """Run all four; the exit status says whether the figures are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("vlmeval-demo"))
    out: Path = parser.parse_args().out.absolute()
    (out / "LMUData").mkdir(parents=True, exist_ok=True)
    os.environ |= {"LMUData": str(out / "LMUData"), "HF_HUB_OFFLINE": "1"}
    os.environ["RRVF_CACHE_DIR"] = str(out / "cache")  # the teacher is asked here, not remembered
    with ChatServer(script(recorded())) as server:
        runs = [evaluated(name, source, server.url, out) for name, source in SOURCES.items()]
    equal = all(one["metrics_vlmevalkit"] == one["metrics_rrvf_score"] for one in runs)
    host = importlib.util.find_spec("vlmeval")
    summary = {
        "rrvf": rrvf.__version__,
        "vlmevalkit": str(Path(host.origin).parent) if host and host.origin else None,
        "equal": equal,
        "runs": runs,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(f"{'equal' if equal else 'NOT EQUAL'}: {out / 'summary.json'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
