"""``benchmarks/train_one_gpu.py`` at its tiny size: every figure is there, and could be true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made_up import SIZES, make_model, make_processor
from tests.training.commands import PROJECT, python, run_to_end
from training.memory import MODELS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = str(PROJECT / "benchmarks" / "train_one_gpu.py")
PARTS = [
    *("model", "attention", "turns_1", "generation_8", "generation_32", "resuming"),
    *("turns_3", "turns_5"),
]
UPDATE = {
    *("seconds", "peak_gib", "backward_peak_gib", "reserved_peak_gib", "working_gib"),
    *("kept_before_gib", "kept_after_gib"),
}
COMPUTED = {"activations_gib", "states_gib", "plan_gib", "rollouts_weights_and_cache_gib"}
PHASES = {"prompts", "wait", "generate", "render", "judge"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("one_gpu") / "folder" / "report.json"
    run_to_end(python(SCRIPT, "--out", str(out)), {"SIZE": "tiny"})
    return json.loads(out.read_text())


def test_every_part_was_measured(report: dict[str, Any]) -> None:
    assert list(report["parts"]) == PARTS
    for part in report["parts"].values():
        assert "error" not in part
        assert "skipped" not in part
        assert 0 < part["seconds"] <= report["seconds"]
    assert report["size"] == "tiny"
    assert {"card", "card_limit_gib", "python", "minutes"} < report.keys()
    assert report["environment"]["versions"]["trl"]


def test_more_turns_are_more_tokens_and_pictures(report: dict[str, Any]) -> None:
    runs = [report["parts"][f"turns_{turns}"] for turns in (1, 3, 5)]
    assert [run["turns"] for run in runs] == [1, 3, 5]
    assert [run["pictures"] for run in runs] == [1, 3, 5]
    one, three, five = (run["tokens"] for run in runs)
    assert one > runs[0]["prompt_tokens"]
    assert three - one == five - three > 2 * 16  # two replies and pictures of 16 tokens
    working = [run["computed_7b"]["activations_gib"] for run in runs]
    assert working == sorted(set(working))


def test_a_run_tells_memory_and_seconds(report: dict[str, Any]) -> None:
    runs = [report["parts"][f"turns_{turns}"] for turns in (1, 3, 5)]
    for run in [*runs, report["parts"]["resuming"]["second_step"]]:
        assert run["update"].keys() == UPDATE
        assert run["update"]["seconds"] > 0
        assert run["computed_7b"].keys() == COMPUTED
        assert run["seconds_by_phase"].keys() == run["memory_gib_by_phase"].keys() == PHASES
        assert run["seconds_by_phase"]["generate"] > 0
        # The rewards differ, so that there is something to learn.
        assert run["reward_std_in_groups"] > 0
        assert run["grad_norm"] > 0


def test_attention_is_counted_apart(report: dict[str, Any]) -> None:
    attention = report["parts"]["attention"]
    # 23 x 17 tokens: 6 x 5 windows in the tower's first layer, the whole picture in its second.
    assert attention["vision_calls"] == 6 * 5 + 1
    assert attention["language_calls"] == 2
    assert attention["calls"] == attention["vision_calls"] + attention["language_calls"]
    assert attention["tokens"] > 23 * 17
    assert 0 < attention["vision_ms"] < attention["forward_ms"]


def test_generation_writes_for_every_conversation(report: dict[str, Any]) -> None:
    for conversations in (8, 32):
        generation = report["parts"][f"generation_{conversations}"]
        assert generation["conversations"] == conversations
        assert conversations < generation["tokens"] <= 8 * conversations
        assert generation["tokens_per_second"] == pytest.approx(
            generation["tokens"] / generation["generation_seconds"], rel=0.02
        )


def test_a_run_goes_on_from_its_checkpoint(report: dict[str, Any]) -> None:
    resuming = report["parts"]["resuming"]
    assert resuming["checkpoint"] == "checkpoint-1"
    assert resuming["checkpoint_gb"] > 0
    assert resuming["steps_before"] == [1]
    assert resuming["steps_after"] == [2]
    assert resuming["steps_in_log"] == [1, 2]
    assert resuming["weights_as_saved"] is True


def test_the_large_model_has_the_parameters_that_memory_is_computed_for() -> None:
    size = SIZES["7B"]
    model = make_model(size, make_processor(size.side), device="meta")
    assert sum(parameter.numel() for parameter in model.parameters()) == MODELS["7B"].total


def test_without_time_nothing_is_begun(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    run_to_end(python(SCRIPT, "--out", str(out), "--minutes", "0"), {"SIZE": "tiny"})
    parts = json.loads(out.read_text())["parts"]
    assert list(parts) == PARTS
    assert all("skipped" in part for part in parts.values())
