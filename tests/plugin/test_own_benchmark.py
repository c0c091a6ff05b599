"""A benchmark of one's own, as CONTRIBUTING writes it down, through VLMEvalKit's run.py."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chat_server import ChatServer, Reply, Request, answer
from tests.runs import plot

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def told(request: Request) -> Reply:
    return answer(f"```python\n{plot('title a')}\n```")


def test_a_benchmark_of_ones_own_is_run_by_vlmevalkit(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vlmeval", reason="needs VLMEvalKit: make parity")
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"`my_benchmark\.py`:\n\n```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_benchmark.py").write_text(code, encoding="utf-8")
    (tmp_path / "sketches").mkdir()
    for name in ("a", "b"):
        script = plot(f"title {name}") + '\nplt.savefig("a.pdf")'
        (tmp_path / "sketches" / f"{name}.py").write_text(script, encoding="utf-8")
    monkeypatch.setenv("LMUData", str(tmp_path / "lmu"))
    (tmp_path / "lmu").mkdir()
    with ChatServer(told) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "vlmeval_plugin", "--data", "my_benchmark:Sketches"),
                *("--benchmark-data", "sketches", "--model", "RRVF-Chart-7B"),
                *("--base-url", server.url, "--work-dir", "w"),
            ],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (score,) = (tmp_path / "w").rglob("*_score.csv")
    with score.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    # Both answers run; one has the title asked for.
    assert (row["exec_rate"], row["text"], row["both"]) == ("100.0", "50.0", "75.0")
