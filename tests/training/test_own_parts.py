"""The parts that CONTRIBUTING writes down, in a run of training as users start it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.runs import plot
from tests.training.commands import CONFIGS, PROJECT, command_of, python, run_to_end

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]

NAMES = ("my_scorers", "my_benchmark", "my_judge", "my_terms")


def test_a_step_is_taken_by_parts_of_ones_own(tiny: Path, project: Path, tmp_path: Path) -> None:
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name, code in zip(NAMES, re.findall(r"```python\n(.*?)```", text, re.DOTALL), strict=True):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "sketches").mkdir()
    for name in "abcd":
        script = plot(f"title {name}") + '\nplt.savefig("a.pdf")'
        (tmp_path / "sketches" / f"{name}.py").write_text(script, encoding="utf-8")
    out = tmp_path / "out"
    command = command_of(
        "grpo",
        CONFIGS / "grpo_smoke_cpu.yaml",
        model=tiny,
        output_dir=out,
        data=f"my_benchmark:Sketches:{tmp_path / 'sketches'}",
        setting="with_reference",
        mode="fixed",
        held_out=1,
        judge="my_judge:SizeJudge",
        reward_vision="my_scorers:score_axes=1,size=1",
        reward_terms="my_terms:gain_text=0.5",
        max_turns=1,
        max_steps=1,
        save_steps=1,
        eval_strategy="no",
        report_to="none",
    )
    run_to_end(python(*command), {"PYTHONPATH": f"{PROJECT}:{tmp_path}"})
    card = json.loads((out / "run_card.json").read_text())
    assert card["data"]["train"]["benchmark"] == "my_benchmark:Sketches"
    assert card["scoring"]["benchmark"] == "my_benchmark:Sketches"
    assert card["scoring"]["mode"] == card["world"]["mode"] == "fixed"
    assert card["scoring"]["judge"] == {"name": "size", "version": 1}
    assert "my_scorers:score_axes" in card["scoring"]["scorers"]
    assert card["rewards"]["terms"] == {"my_terms:gain_text": 0.5}
    (kept,) = sorted((out / "rollouts").glob("train_*.jsonl"))
    episodes = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(episodes) == 4
    for episode in episodes:
        # A model that has learnt nothing writes no code: all is 0, and measured.
        assert episode["scores"]["my_scorers:score_axes"] == episode["scores"]["size"] == 0.0
        assert episode["reward"]["terms"] == {"my_terms:gain_text": 0.0}
        assert episode["reward"]["reason"] is None
