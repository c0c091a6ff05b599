"""VLMEvalKit's own data set name, scored by its own scorer and, with ``--override``, by ours.

``.venv-parity/bin/python benchmarks/vlmeval_override.py`` makes a table ``ChartMimic_v1_direct``
from the items of ``../shared/data/chartmimic_v1``, puts their answers where a run of VLMEvalKit
would have left them, and lets VLMEvalKit's ``run.py --mode eval`` score them twice: as it ships,
and by ``python -m vlmeval_plugin --override``. It prints both tables side by side. A local server
that always gives 70 of 100 stands in for the judge. VLMEvalKit needs poppler's ``pdftoppm``, and
checks the MD5 of its published table, which is switched off for this one. Its release 0.0.20 uses
pandas for its last table without having imported it; it is given to it here.

VLMEvalKit's colour column is 0 throughout: it starts a pool of processes in a process that may have
no children.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openpyxl
from measure import Cost, measure
from score_chartmimic import DATA

from rrvf.renderers.chart import ChartRenderer

DATASET = "ChartMimic_v1_direct"
MODEL = "GPT4V"  # run.py asks for a name; nobody is asked
COLUMNS = ("index", "question", "input_figure", "ground_truth_figure_code", "task")
WITHOUT_MD5 = (
    "import pandas, runpy, vlmeval, vlmeval.dataset.chartmimic as host;"
    "host.pd = pandas;"
    "host.ChartMimic.DATASET_MD5 = dict.fromkeys(host.ChartMimic.DATASET_URL);"
    "runpy.run_path(vlmeval.__path__[0] + '/run.py', run_name='__main__')"
)


class Judge(BaseHTTPRequestHandler):
    """Gives everything 70 of 100."""

    def do_POST(self) -> None:
        """Answer a question."""
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "Score: 70/100"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice], "model": "judge"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing."""


@contextmanager
def judge_server() -> Generator[str]:
    """The address of a judge, as long as the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def write_files(data: Path, number: int, work: Path) -> int:
    """The table, its scripts with their pictures, and a finished prediction file.

    Returns:
        How many items there are.
    """
    answers = list(map(json.loads, (data / "predictions.jsonl").read_text().splitlines()))[:number]
    images = work / "lmu" / "images" / "ChartMimic"
    for folder in ("v1/ori_500", "v1/customized_500"):  # VLMEvalKit looks for every archive's
        (images / folder).mkdir(parents=True)
    for kind in ("customized", "direct"):
        for size in ("600", "1800"):
            (images / "v2" / f"{kind}_{size}").mkdir(parents=True)
    book = openpyxl.Workbook()
    book.worksheets[0].append([*COLUMNS, "prediction"])
    lines = ["\t".join(COLUMNS)]
    with ChartRenderer(workers=2) as renderer:
        for place, item in enumerate(answers):
            code = (data / "golden" / f"{item['id']}.py").read_text()
            path = f"v1/ori_500/{item['id']}"
            (images / f"{path}.py").write_text(code)
            png = renderer.render_reference(code).png
            (images / f"{path}.png").write_bytes(png or b"")
            row = [str(place), "Draw it.", f"{path}.png", f"{path}.py", "direct"]
            lines.append("\t".join(row))
            book.worksheets[0].append([place, *row[1:], item["prediction"]])
    (work / "lmu" / f"{DATASET}.tsv").write_text("\n".join(lines) + "\n")
    for side in ("host", "ours"):
        folder = work / side / MODEL / "T20260101-000000"
        folder.mkdir(parents=True)
        book.save(folder / f"{MODEL}_{DATASET}.xlsx")
    return len(answers)


def score(command: Sequence[str], side: str, work: Path, url: str) -> tuple[Cost, dict[str, Any]]:
    """Run one of the two; what it cost and the row of its table for all items."""
    arguments = ["--data", DATASET, "--model", MODEL, "--mode", "eval", "--api-nproc", "2"]
    arguments += ["--work-dir", str(work / side), "--judge", "judge", "--judge-base-url", url]
    arguments += ["--judge-key", "none"]
    variables = {"LMUData": str(work / "lmu"), "RRVF_CACHE_DIR": str(work / "cache")}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])
    log = work / f"{side}.log"
    with log.open("w") as stream:
        environment = {**os.environ, **variables}
        cost = measure([*command, *arguments], stdout=stream, stderr=stream, env=environment)
    tables = sorted((work / side).rglob("*_score.csv"))
    if not tables:
        raise SystemExit(f"no table was written:\n{log.read_text()[-2000:]}")
    with tables[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return cost, next(row for row in rows if row["split"] == "all")


def describe(number: int, sides: Mapping[str, tuple[Cost, Mapping[str, Any]]]) -> str:
    """Both tables side by side, for a person."""
    names = [name for name in sides["VLMEvalKit"][1] if name not in ("split", "example_count")]
    lines = [f"| {number} items | {' | '.join(sides)} |", "| --- |" + " ---: |" * len(sides)]
    for name in names:
        values = [float(row[name]) for _, row in sides.values()]
        lines.append(f"| {name} | " + " | ".join(f"{value:.4f}" for value in values) + " |")
    costs = " | ".join(f"{cost.cpu:.0f}" for cost, _ in sides.values())
    return "\n".join([*lines, f"| CPU seconds | {costs} |"])


def main() -> int:
    """Score twice and print; status 1 where columns differ that should not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--items", type=int, default=91)
    options = parser.parse_args()
    if shutil.which("pdftoppm") is None:
        raise SystemExit("VLMEvalKit needs pdftoppm: apt-get install poppler-utils")
    with tempfile.TemporaryDirectory(prefix="rrvf-bench-") as name, judge_server() as url:
        work = Path(name)
        number = write_files(options.data, options.items, work)
        sides = {
            "VLMEvalKit": score([sys.executable, "-c", WITHOUT_MD5], "host", work, url),
            "--override": score(
                [sys.executable, "-m", "vlmeval_plugin", "--override"], "ours", work, url
            ),
        }
    print(describe(number, sides))
    host_row, our_row = (row for _, row in sides.values())
    columns = ("exec_rate", "text_score", "layout_score", "chart_type_score", "gpt_score")
    names = [name for name in columns if abs(float(host_row[name]) - float(our_row[name])) > 1e-9]
    print(f"columns that differ: {', '.join(names) or 'none but those of the colours'}")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
