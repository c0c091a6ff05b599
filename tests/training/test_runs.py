"""Whole training runs as users start them: killed and gone on with, on one rank and on two."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.training, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1"}


def run_of(tiny: Path, out: Path, steps: int, *pairs: str) -> list[str]:
    return ["tests.training.tiny_run", str(tiny), str(out), str(steps), *pairs]


def ran(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def weights(out: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    return dict(load_file(out / "final" / "model.safetensors"))


def history(out: Path) -> list[dict[str, float]]:
    states = sorted(
        out.glob("checkpoint-*/trainer_state.json"),
        key=lambda path: int(path.parent.name.partition("-")[2]),
    )
    return json.loads(states[-1].read_text())["log_history"]


# ---------------------------------------------------------------------------------------- one rank


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tiny: Path, tmp_path: Path) -> None:
    import torch

    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    ran([sys.executable, "-m", *run_of(tiny, undisturbed, 8)])
    command = [sys.executable, "-m", *run_of(tiny, disturbed, 8)]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        at = random.Random(3).choice((2, 4, 6))
        while not (disturbed / f"checkpoint-{at}" / "whole").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.05)
        time.sleep(random.Random(4).uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
    assert not (disturbed / "final").exists()
    # A checkpoint that a kill tore up is passed over.
    (disturbed / "checkpoint-7").mkdir()
    ran(command)
    first, second = weights(undisturbed), weights(disturbed)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=0, atol=1e-6), name  # type: ignore[arg-type]
    start = weights_of_start(tiny)
    assert any(not torch.equal(value, start[name]) for name, value in first.items())  # type: ignore[arg-type]


def weights_of_start(tiny: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    return dict(load_file(tiny / "model.safetensors"))


# -------------------------------------------------------------------------------------- two ranks


def deepspeed_json(folder: Path, stage: int) -> Path:
    path = folder / f"zero{stage}.json"
    settings = {
        "zero_optimization": {
            "stage": stage,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "zero_allow_untested_optimizer": True,
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }
    path.write_text(json.dumps(settings))
    return path


LAUNCHERS = {
    "torchrun": ["torchrun", "--nproc_per_node", "2", "--master_port", "29671", "-m"],
    "accelerate": [
        *("accelerate", "launch", "--use_deepspeed", "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "29672"),
        "-m",
    ],
    "deepspeed": [
        *("deepspeed", "--no_local_rank", "--num_gpus", "2", "--master_port", "29673", "--module"),
    ],
}


@pytest.mark.parametrize(
    ("launcher", "stage", "more"),
    [
        ("torchrun", 2, ()),
        ("torchrun", 3, ("max_turns=4", "calls=1:2")),
        ("accelerate", 3, ()),
        ("deepspeed", 2, ()),
    ],
)
def test_two_ranks(
    tiny: Path, tmp_path: Path, launcher: str, stage: int, more: Sequence[str]
) -> None:
    """Under each launcher; once with ranks whose episodes have unequally many turns."""
    out = tmp_path / "out"
    config = deepspeed_json(tmp_path, stage)
    name, *options = LAUNCHERS[launcher]
    pairs = (f"deepspeed={config}", *more)
    ran([str(BIN / name), *options, *run_of(tiny, out, 2, *pairs)])
    assert (out / "final" / "model.safetensors").exists()
    ranks = [json.loads(path.read_text()) for path in sorted((out / "ranks").glob("*.json"))]
    assert [rank["rank"] for rank in ranks] == [0, 1]
    logged = [entry for entry in history(out) if "reward" in entry]
    assert len(logged) == 2
    for entry in logged:
        assert entry["unscored"] == 0
        turns = 1.0 if not more else 2.0  # half of the episodes call twice before they end
        assert entry["turns"] == turns
        assert "stop/harness_error" not in entry or entry["stop/harness_error"] == 0
    if not more:
        assert any(entry["grad_norm"] > 0 for entry in logged)
