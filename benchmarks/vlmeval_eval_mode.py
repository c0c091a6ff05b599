"""ChartMimic through VLMEvalKit's ``--mode eval``: same scores as ``rrvf score``, and how fast.

``.venv-parity/bin/python benchmarks/vlmeval_eval_mode.py``; the data are those of
``score_chartmimic.py``. What is done:

* All predictions, in a spreadsheet, go through ``python -m vlmeval_plugin --mode eval`` and through
  ``rrvf score``. Where a score differs in a digit, the exit status is 1.
* Some of them go through the former and through VLMEvalKit's own scorer as it ships, item after
  item, one worker each, nothing cached. Both import VLMEvalKit, which is measured apart as well.
  Items with more than ten colours on a side may differ: which of them VLMEvalKit drops is a matter
  of the order of a set, another one in every process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
from measure import Cost, measure
from score_chartmimic import DATA, Item, cost_of_vlmevalkit, find_differences, load_items

from rrvf.run_folder import read_summary

DATASET = "RRVF_ChartMimic_v1_direct"
MODEL = "GPT4V"  # run.py asks for a name; nobody is asked


def load_all_items(data: Path) -> list[Item]:
    """All items of the folder."""
    rows = map(json.loads, (data / "predictions.jsonl").read_text().splitlines())
    return [{**row, "reference": (data / "golden" / f"{row['id']}.py").read_text()} for row in rows]


# ------------------------------------------------------------------------------ the two paths


def write_files(items: Sequence[Item], work: Path) -> tuple[Path, Path]:
    """VLMEvalKit's table with its references, and a prediction file of an earlier run."""
    references = work / "lmu" / "images" / "ChartMimic" / "v1" / "ori_500"
    references.mkdir(parents=True)
    lines = ["index\tquestion\tinput_figure\tground_truth_figure_code\ttask"]
    book = openpyxl.Workbook()
    book.worksheets[0].append(["index", "prediction"])
    for number, item in enumerate(items):
        path = f"v1/ori_500/{item['id']}"
        (references / f"{item['id']}.py").write_text(item["reference"])
        lines.append(f"{number}\tDraw it.\t{path}.png\t{path}.py\tdirect")
        book.worksheets[0].append([number, item["prediction"]])
    table = work / "lmu" / "ChartMimic_v1_direct.tsv"
    table.write_text("\n".join(lines) + "\n")
    predictions = work / "w" / MODEL / "T20260101-000000" / f"{MODEL}_{DATASET}.xlsx"
    predictions.parent.mkdir(parents=True)
    book.save(predictions)
    return table, predictions


def environment(work: Path, cache: str) -> dict[str, str]:
    """With folders of its own."""
    folders = {"LMUData": str(work / "lmu"), "RRVF_CACHE_DIR": str(work / cache)}
    return {**os.environ, **folders}


def eval_mode(work: Path, workers: int) -> tuple[Cost, Path]:
    """``python -m vlmeval_plugin --mode eval``, and the run that it wrote."""
    command = [sys.executable, "-m", "vlmeval_plugin", "--data", DATASET, "--model", MODEL]
    command += ["--mode", "eval", "--work-dir", str(work / "w"), "--workers", str(workers)]
    cost = measure(command, stdout=-3, stderr=-3, env=environment(work, "cache-plugin"))
    (folder,) = (work / "w").rglob(f"{MODEL}_{DATASET}_rrvf_*")
    return cost, folder


def rrvf_score(table: Path, predictions: Path, work: Path, workers: int) -> tuple[Cost, Path]:
    """``rrvf score`` on the same files."""
    command = [sys.executable, "-m", "rrvf", "score", "chartmimic", "--data", str(table)]
    command += ["--predictions", str(predictions), "--out", str(work / "run")]
    command += ["--workers", str(workers)]
    cost = measure(command, stdout=-3, stderr=-3, env=environment(work, "cache-rrvf"))
    return cost, work / "run"


def scores(folder: Path) -> dict[str, dict[str, float | None]]:
    """Sample -> its status and scores."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return {
        row["sample_id"]: {
            "status": row["status"],
            **{name: score["value"] for name, score in row["scores"].items()},
        }
        for row in rows
    }


# ---------------------------------------------------------------------------------- the run


def same_figures(items: Sequence[Item], work: Path) -> dict[str, Any]:
    """All items by both paths."""
    table, predictions = write_files(items, work)
    plugin, plugin_folder = eval_mode(work, 2)
    score, score_folder = rrvf_score(table, predictions, work, 2)
    metrics = [read_summary(folder)["metrics"] for folder in (plugin_folder, score_folder)]
    by_plugin, by_score = scores(plugin_folder), scores(score_folder)
    return {
        "n_items": len(items),
        "equal": metrics[0] == metrics[1] and by_plugin == by_score,
        "items_that_differ": [name for name in by_score if by_plugin.get(name) != by_score[name]],
        "metrics_vlmevalkit": metrics[0],
        "metrics_rrvf_score": metrics[1],
        "cpu_vlmevalkit": plugin.cpu,
        "cpu_rrvf_score": score.cpu,
    }


def speed(items: Sequence[Item], work: Path) -> dict[str, Any]:
    """Some items by our scorer and by VLMEvalKit's own, in VLMEvalKit."""
    write_files(items, work)
    start = measure([sys.executable, "-c", "import vlmeval.dataset"], stdout=-3, stderr=-3)
    plugin, folder = eval_mode(work, 1)
    official, official_scores = cost_of_vlmevalkit(Path(sys.executable), list(items), work)
    own_scores = {item["id"]: scores(folder)[str(number)] for number, item in enumerate(items)}
    costs = {"VLMEvalKit's scorer": official, "ours": plugin, "import of VLMEvalKit": start}
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "items": [item["id"] for item in items],
        "costs": {name: {"wall": cost.wall, "cpu": cost.cpu} for name, cost in costs.items()},
        "less_wall": official.wall / plugin.wall,
        "less_cpu": official.cpu / plugin.cpu,
        "less_cpu_without_import": (official.cpu - start.cpu) / (plugin.cpu - start.cpu),
        "scores_differ": find_differences(official_scores, own_scores),
    }


def format_figures(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    parity, speeds = figures["same"], figures["speed"]
    lines = [f"{parity['n_items']} items: {'equal' if parity['equal'] else 'NOT EQUAL'}"]
    lines += [
        f"  {name}: {value!r} by VLMEvalKit, {parity['metrics_rrvf_score'][name]!r} by rrvf score"
        for name, value in parity["metrics_vlmevalkit"].items()
    ]
    lines += [f"{len(speeds['items'])} items, one worker, {speeds['machine']}"]
    lines += [
        f"  {name}: {cost['wall']:.1f} s, {cost['cpu']:.1f} s CPU"
        for name, cost in speeds["costs"].items()
    ]
    lines += [
        f"  {speeds['less_wall']:.1f} times less time, {speeds['less_cpu']:.1f} times less CPU, "
        f"{speeds['less_cpu_without_import']:.1f} without the import",
        f"  items with other scores: {', '.join(speeds['scores_differ']) or 'none'}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure and print; ``--out`` keeps the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--items", type=int, default=16, help="for VLMEvalKit's own scorer")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrvf-bench-") as name:
        (Path(name) / "some").mkdir()
        figures = {
            "same": same_figures(load_all_items(options.data), Path(name) / "all"),
            "speed": speed(load_items(options.data, options.items), Path(name) / "some"),
        }
    print(format_figures(figures))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["same"]["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
