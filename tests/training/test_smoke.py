"""The README's quick start of training, killed twice and started again: it ends with a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.commands import PROJECT, kill_after, python, run_to_end

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(1200), pytest.mark.filterwarnings("default")]

SCRIPT = ["bash", str(PROJECT / "training" / "launch" / "smoke_cpu.sh"), "--max_steps", "4"]


def state_of(checkpoint: Path) -> dict[str, Any]:
    return json.loads((checkpoint / "trainer_state.json").read_text())


def test_the_quick_start_killed_and_resumed_ends_with_a_model(tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    told = {"OUT": str(tmp_path), "PYTHON": python()[0]}
    kill_after(tmp_path / "sft" / "checkpoint-75", SCRIPT, told)
    assert not (tmp_path / "sft" / "final").exists()
    kill_after(tmp_path / "grpo" / "checkpoint-1", SCRIPT, told)
    assert not (tmp_path / "grpo" / "final").exists()
    resumed = run_to_end(SCRIPT, told)
    assert f"going on from {tmp_path}/grpo/checkpoint-" in resumed
    for name, last in (("sft", 150), ("grpo", 4)):
        folder = tmp_path / name
        assert state_of(folder / f"checkpoint-{last}")["global_step"] == last
        AutoModelForImageTextToText.from_pretrained(folder / "final")
        AutoProcessor.from_pretrained(folder / "final")
    logged = state_of(tmp_path / "grpo" / "checkpoint-4")["log_history"]
    # Steps before the kill are known to the resumed run, and none is there twice.
    assert [entry["step"] for entry in logged if "reward" in entry] == [1, 2, 3, 4]
