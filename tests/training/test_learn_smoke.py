"""The benchmark of unseen values by its own command, at a reduced size, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PLAN = {
    "width": 64,
    "vision_width": 64,
    "n_taught": 48,
    "n_train": 48,
    "n_train_seen": 48,
    "n_held_out": 40,
    "n_reach": 1,
    "most_starts": 1,
    "faithful_steps": 200,
    "sft_steps": 300,
    "sft_batch": 16,
    "batch": 32,
    "group": 8,
    "steps": 4,
    "every": 2,
    "warmup": 1,
    "rate": 1e-3,
}


def learn(out: Path) -> list[str]:
    script = str(PROJECT / "benchmarks" / "learn_unseen.py")
    return [sys.executable, script, "--out", str(out), "--seeds", "7", "--plan", json.dumps(PLAN)]


def kill_when(command: list[str], path: Path) -> None:
    """Start it, and kill all of it a moment after ``path`` is there."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not path.exists():
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.2)
        time.sleep(1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.learning
@pytest.mark.timeout(1500)
def test_the_machinery_runs_and_nothing_moves_without_a_learning_rate(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seed = out / "seed-7"
    kill_when(learn(out), seed / "grpo.json")
    kept = {
        p: p.read_bytes()
        for p in (seed / "grpo.json", seed / "start" / "taught.json", seed / "start" / "reach.json")
    }
    assert not (out / "README.md").exists()

    done = subprocess.run(learn(out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path: path.read_bytes() for path in kept} == kept

    runs = {arm: read(seed / f"{arm}.json") for arm in ("grpo", "lr0", "shuffled", "seen")}
    for run in runs.values():
        assert list(run["answers"]) == ["0", "2", "4"]
        assert len(run["training"]) == 4
        assert [len(run["answers"]["4"][part]) for part in ("seen", "unseen")] == [40, 40]
        assert run["answers"]["0"] == runs["lr0"]["answers"]["0"]
    assert runs["lr0"]["answers"]["4"] == runs["lr0"]["answers"]["0"]
    assert {s: len(entries) for s, entries in runs["grpo"]["sampled"].items()} == {
        "0": 40,
        "2": 40,
        "4": 40,
    }
    # The first batch is the same with and without a rate; what is sampled after it is not.
    curves = [[point["reward"] for point in runs[arm]["training"]] for arm in ("grpo", "lr0")]
    assert curves[0][0] == curves[1][0]
    assert curves[0][-1] != curves[1][-1]

    results = read(out / "learn_unseen.json")
    assert results["seeds"]["7"]["gains"]["lr0"] == results["seeds"]["7"]["gains"]["start"]
    page = (out / "README.md").read_text()
    assert done.stdout.strip().endswith(page.strip())
    for name in ("curves.svg", "curves.png", "examples.svg", "examples.png"):
        assert (out / name).stat().st_size > 1000
