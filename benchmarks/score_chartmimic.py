"""Speed of scoring ChartMimic: VLMEvalKit's scorer, ours, and the floor, in one run on one machine.

``make bench`` runs it with the items of ``../shared/data/chartmimic_v1``; any folder with
``golden/<id>.py`` and ``predictions.jsonl`` will do. What is measured:

* VLMEvalKit as it ships, one item after another: nine processes an item and its own matching.
  Items whose colours would take it more than ``MAX_PERMUTATIONS`` tries are left out on both sides.
* ``rrvf score`` as a whole process, with an empty cache and again with the references cached, at
  one and two workers, and without pictures. CPU is that of every descendant, the server and its
  start included.
* The floor: a fork with the same packages loaded that executes the script and saves one PDF,
  against one execution of ours with everything recorded and the report's picture made.
* Matching ten colours with ten.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import Cost, measure, own_cpu

from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.replies import prepare_official
from rrvf.scorers.color import match_colors, thin_colors
from rrvf.types import Color, Drawing

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "chartmimic_v1"
MAX_PERMUTATIONS = math.factorial(8)
REPEATS = 200

Item = dict[str, Any]


def load_items(data: Path, number: int) -> list[Item]:
    """Items spread over the data set, both of whose sides run and whose matching is feasible."""
    lines = (data / "predictions.jsonl").read_text().splitlines()
    items: list[Item] = []
    with ChartRenderer(workers=1) as renderer:
        for place, line in enumerate(lines):
            row = json.loads(line)
            reference = (data / "golden" / f"{row['id']}.py").read_text()
            code = prepare_official(row["prediction"])
            if code is None:
                continue
            target = renderer.render(ChartScript(reference, append_save=False)).official
            drawing = renderer.render(ChartScript(code)).official
            if target.complete and drawing.complete and tries(target, drawing) <= MAX_PERMUTATIONS:
                item = {"id": row["id"], "number": place, "code": code, "reference": reference}
                items.append({**item, "prediction": row["prediction"]})
    places = sorted({place * len(items) // number for place in range(min(number, len(items)))})
    return [items[place] for place in places] if number < len(items) else items


def tries(target: Drawing, drawing: Drawing) -> int:
    """How many permutations VLMEvalKit tries for the largest group of colours."""
    target_roles = Counter(color.role for color in thin_colors(target.elements.colors))
    drawing_roles = Counter(color.role for color in thin_colors(drawing.elements.colors))
    sizes = [(target_roles[role], drawing_roles[role]) for role in {*target_roles, *drawing_roles}]
    return max((math.perm(max(pair), min(pair)) for pair in sizes), default=1)


# --------------------------------------------------------------------------- whole processes


def cost_of_vlmevalkit(python: Path, items: list[Item], work: Path) -> tuple[Cost, dict[str, Any]]:
    """VLMEvalKit on the items, and the scores it gives."""
    folder, items_file, scores_file = (
        work / "vlmevalkit",
        work / "items.json",
        work / "vlmevalkit.jsonl",
    )
    folder.mkdir()
    items_file.write_text(json.dumps(items))
    script = HERE / "vlmevalkit_scorer.py"
    command = [str(python), str(script), str(items_file), str(scores_file), str(folder)]
    cost = measure(command, stdout=-3, stderr=-3)
    rows = [json.loads(line) for line in scores_file.read_text().splitlines()]
    return cost, {row["id"]: row["scores"] for row in rows}


def cost_of_rrvf(items: list[Item], work: Path, name: str, workers: int, *options: str) -> Cost:
    """``rrvf score`` with further options on the items, into a new folder."""
    data, predictions = work / "data", work / "predictions.jsonl"
    data.mkdir(exist_ok=True)
    for item in items:
        (data / f"{item['id']}.py").write_text(item["reference"])
    rows = [{"id": item["id"], "prediction": item["prediction"]} for item in items]
    predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "rrvf", "score", "chartmimic", "--data", str(data)]
    command += ["--predictions", str(predictions), "--out", str(work / name)]
    environment = {**os.environ, "RRVF_CACHE_DIR": str(work / "cache")}
    # Set, every run would compile what no installer has compiled; nobody's second run does that.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command += ["--workers", str(workers), *options]
    return measure(command, stdout=-3, stderr=-3, env=environment)


def scores_of_rrvf(work: Path, name: str) -> dict[str, Any]:
    """The scores of a run, by sample."""
    lines = (work / name / "results.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["sample_id"]: {k: v["value"] for k, v in row["scores"].items()} for row in rows}


# --------------------------------------------------------------------------------- the floor


def cost_per_execution(items: list[Item]) -> tuple[float, float]:
    """CPU seconds of one execution: the floor's, and ours with the server's share.

    The two alternate script by script, so that a noisy machine troubles both alike.
    """
    scripts = [(item["code"], True) for item in items]
    scripts += [(item["reference"], False) for item in items]
    floor = Floor()
    total_floor = total_ours = 0.0
    with ChartRenderer(workers=1) as renderer:
        renderer.render(ChartScript(""))
        cpu_before = own_cpu(renderer.server_pid())
        for code, append_save in scripts:
            total_floor += floor.execute(code, append_save)
            rendering = renderer.render(ChartScript(code, append_save=append_save))
            total_ours += rendering.cpu_seconds
        total_ours += own_cpu(renderer.server_pid()) - cpu_before
    floor.close()
    return total_floor / len(scripts), total_ours / len(scripts)


class Floor:
    """A process with the plotting packages loaded; its forks execute a script, nothing more."""

    def __init__(self) -> None:
        self._scratch = tempfile.mkdtemp()
        requests, self._ask = os.pipe()
        self._answers, answers = os.pipe()
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "SOURCE_DATE_EPOCH": "0",
            "PYTHONHASHSEED": "0",
        }
        for descriptor in (requests, answers):
            os.set_inheritable(descriptor, True)
        arguments = [sys.executable, str(HERE / "floor.py"), str(requests), str(answers)]
        self._pid = os.posix_spawn(sys.executable, arguments, environment)
        os.close(requests)
        os.close(answers)
        self._stream = os.fdopen(self._answers)
        self._stream.readline()

    def execute(self, code: str, append_save: bool) -> float:
        """CPU seconds of one fork."""
        target = str(Path(self._scratch) / "out.pdf")
        code = f'{code}\nplt.savefig("{target}")' if append_save else code
        request = json.dumps({"code": code, "folder": self._scratch}) + "\n"
        os.write(self._ask, request.encode())
        return float(self._stream.readline())

    def close(self) -> None:
        """End the process."""
        os.close(self._ask)
        os.waitpid(self._pid, 0)
        shutil.rmtree(self._scratch)


def matching_milliseconds() -> float:
    """Wall time of matching ten colours with ten."""
    reference = [Color("bar", f"#{i * 25:02X}{255 - i * 20:02X}80") for i in range(10)]
    generated = [Color("bar", f"#{i * 20:02X}{i * 11:02X}FF") for i in range(10)]
    match_colors(reference, generated)
    start = time.perf_counter()
    for _ in range(REPEATS):
        match_colors(reference, generated)
    return 1000 * (time.perf_counter() - start) / REPEATS


# ---------------------------------------------------------------------------------- the run


def main() -> None:
    """Measure and print a table; ``--out`` keeps the figures."""
    options = _options()
    items = load_items(options.data, options.items)
    with tempfile.TemporaryDirectory(prefix="rrvf-bench-") as name:
        figures = run(items, Path(name), options.vlmevalkit_python)
    print(as_table(figures))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--vlmevalkit-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    return parser.parse_args()


def run(items: list[Item], work: Path, python: Path) -> dict[str, Any]:
    """All measurements, the expensive one last."""
    floor, own_cpu_seconds = cost_per_execution(items)
    costs = {
        "rrvf, cold, 1 worker": cost_of_rrvf(items, work, "cold-1", 1),
        "rrvf, references cached, 1 worker": cost_of_rrvf(items, work, "warm-1", 1),
        "rrvf, references cached, no pictures, 1 worker": cost_of_rrvf(
            items, work, "plain-1", 1, "--pictures", "none"
        ),
    }
    costs["rrvf, references cached, 2 workers"] = cost_of_rrvf(items, work, "warm-2", 2)
    shutil.rmtree(work / "cache")
    costs["rrvf, cold, 2 workers"] = cost_of_rrvf(items, work, "cold-2", 2)
    official, official_scores = cost_of_vlmevalkit(python, items, work)
    costs = {"VLMEvalKit as it ships": official, **costs}
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    return {
        "machine": f"{machine}, Python {platform.python_version()}",
        "vlmevalkit_makes_pngs": shutil.which("pdftoppm") is not None,
        "items": [item["id"] for item in items],
        "costs": {
            name: {
                "wall_per_item": cost.wall / len(items),
                "cpu_per_item": cost.cpu / len(items),
                "items_per_second": len(items) / cost.wall,
                "peak_mb": cost.peak / 1e6,
                "less_cpu": official.cpu / cost.cpu,
            }
            for name, cost in costs.items()
        },
        "execution": {
            "floor_cpu": floor,
            "rrvf_cpu": own_cpu_seconds,
            "ratio": own_cpu_seconds / floor,
        },
        "matching_10x10_ms": matching_milliseconds(),
        "scores_differ": find_differences(official_scores, scores_of_rrvf(work, "cold-1")),
    }


def find_differences(official: dict[str, Any], own_scores: dict[str, Any]) -> dict[str, Any]:
    """Items whose scores are not the same to 1e-9."""
    return {
        name: {"official": scores, "rrvf": own_scores[name]}
        for name, scores in official.items()
        if any(abs(value - own_scores[name][key]) > 1e-9 for key, value in scores.items())
    }


def as_table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    rows: list[Sequence[str]] = [
        ("", "wall s/item", "CPU s/item", "items/s", "peak MB", "times less CPU")
    ]
    for name, cost in figures["costs"].items():
        keys = ("wall_per_item", "cpu_per_item", "items_per_second", "peak_mb", "less_cpu")
        rows.append((name, *(f"{cost[key]:.2f}" for key in keys)))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    execution = figures["execution"]
    pngs = "with" if figures["vlmevalkit_makes_pngs"] else "without (no poppler)"
    lines += [
        "",
        f"{len(figures['items'])} items, {figures['machine']}",
        f"VLMEvalKit {pngs} its conversion to PNG",
        f"one execution: {execution['rrvf_cpu']:.3f} s CPU, floor {execution['floor_cpu']:.3f} s, "
        f"ratio {execution['ratio']:.2f}",
        f"matching 10 colours with 10: {figures['matching_10x10_ms']:.3f} ms",
        f"items with other scores: {', '.join(figures['scores_differ']) or 'none'}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
