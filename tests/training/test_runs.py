"""Whole training runs by the commands users type: killed and resumed, on one rank and on two."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.training.commands import (
    CONFIGS,
    EPISODES,
    PROJECT,
    command_of,
    kill_after,
    python,
    run_to_end,
)

BIN = Path(python()[0]).parent

pytestmark = [pytest.mark.training, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


def sft(model: Path, out: Path, steps: int, **flags: object) -> list[str]:
    """The command of supervised training."""
    fixed = {"max_turns": 1, "max_steps": steps, "eval_strategy": "no", "report_to": "none"}
    given = {**fixed, **flags}
    return command_of("sft", CONFIGS / "sft_smoke_cpu.yaml", model=model, output_dir=out, **given)


def grpo(model: Path, out: Path, steps: int, **flags: object) -> list[str]:
    """The command of GRPO in episodes of one turn: whatever the model writes is its answer."""
    fixed = {
        "max_turns": 1,
        "per_device_train_batch_size": EPISODES,
        "num_generations": EPISODES,
        "max_steps": steps,
        "save_steps": 2,
        "save_total_limit": 10,
        "learning_rate": "1e-3",
        "temperature": 0.4,  # hotter, the tiny model's answers seldom run
        "eval_strategy": "no",
        "report_to": "none",
    }
    return command_of(
        "grpo",
        CONFIGS / "grpo_smoke_cpu.yaml",
        model=model,
        output_dir=out,
        **{**fixed, **flags},
    )


@pytest.fixture(scope="module")
def taught(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose answers sometimes run, so that rewards within a group differ."""
    out = tmp_path_factory.mktemp("taught")
    run_to_end(python(*sft(tiny, out, 150, save_strategy="no")))
    return out / "final"


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def history(out: Path) -> list[dict[str, float]]:
    states = sorted(
        out.glob("checkpoint-*/trainer_state.json"),
        key=lambda path: int(path.parent.name.partition("-")[2]),
    )
    return json.loads(states[-1].read_text())["log_history"]


def assert_loads_whole(folder: Path) -> None:
    """Every weight of the model is in the folder, by the name that the model looks for."""
    from transformers import AutoModelForImageTextToText

    _, found = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert not found["mismatched_keys"]


def assert_resumed_alike(undisturbed: Path, disturbed: Path, start: Path) -> None:
    """Both runs ended with the same weights, which are not those they began with."""
    import torch

    first, second, before = (weights(one) for one in (undisturbed, disturbed, start))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=0, atol=1e-6), name
    assert any(not torch.equal(value, before[name]) for name, value in first.items())


# ---------------------------------------------------------------------------------------- one rank


def test_grpo_killed_and_resumed_ends_as_if_it_had_not_been(taught: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    run_to_end(python(*grpo(taught, undisturbed, 8)))
    command = python(*grpo(taught, disturbed, 8))
    kill_after(disturbed / "checkpoint-4", command)
    assert not (disturbed / "final").exists()
    # A checkpoint that a kill tore up is passed over.
    (disturbed / "checkpoint-7").mkdir()
    assert f"going on from {disturbed}/checkpoint-" in run_to_end(command)
    AutoModelForImageTextToText.from_pretrained(disturbed / "final")
    assert_resumed_alike(undisturbed / "final", disturbed / "final", taught)


def test_sft_killed_and_resumed_ends_as_if_it_had_not_been(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    run_to_end(python(*sft(tiny, undisturbed, 24, save_steps=8)))
    command = python(*sft(tiny, disturbed, 24, save_steps=8))
    kill_after(disturbed / "checkpoint-8", command)
    assert not (disturbed / "final").exists()
    assert f"going on from {disturbed}/checkpoint-" in run_to_end(command)
    AutoModelForImageTextToText.from_pretrained(disturbed / "final")
    assert_resumed_alike(undisturbed / "final", disturbed / "final", tiny)


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
    "torchrun": ["torchrun", "--nproc_per_node", "2", "--master_port", "29671"],
    "accelerate": [
        *("accelerate", "launch", "--use_deepspeed", "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "29672"),
    ],
    "deepspeed": ["deepspeed", "--no_local_rank", "--num_gpus", "2", "--master_port", "29673"],
}


def launched(launcher: str, command: Sequence[str]) -> list[str]:
    """A command under a launcher; DeepSpeed spells ``-m`` in its own way."""
    name, *options = LAUNCHERS[launcher]
    dash_m, *rest = command
    return [str(BIN / name), *options, "--module" if name == "deepspeed" else dash_m, *rest]


def assert_both_ranks_saved(out: Path, taught: Path) -> list[dict[str, float]]:
    """What both ranks of a run of two steps logged, where it ended with changed weights."""
    ranks = [json.loads(path.read_text()) for path in sorted((out / "ranks").glob("*.json"))]
    assert [rank["rank"] for rank in ranks] == [0, 1]
    before = weights(taught)
    after = weights(out / "final")
    assert after.keys() == before.keys()
    logged = [entry for entry in history(out) if "reward" in entry]
    assert len(logged) == 2
    for entry in logged:
        assert entry["unscored"] == 0
        assert entry.get("stop/harness_error", 0) == 0
    return logged


@pytest.mark.parametrize(
    ("launcher", "stage"), [("torchrun", 2), ("accelerate", 3), ("deepspeed", 2)]
)
def test_two_ranks(taught: Path, tmp_path: Path, launcher: str, stage: int) -> None:
    out = tmp_path / "out"
    engine = deepspeed_json(tmp_path, stage)
    command = grpo(taught, out, 2, deepspeed=engine, use_cpu="false")
    run_to_end(launched(launcher, command))
    logged = assert_both_ranks_saved(out, taught)
    assert [entry["turns"] for entry in logged] == [1.0, 1.0]
    assert any(entry["grad_norm"] > 0 for entry in logged)


def test_two_ranks_killed_and_resumed(taught: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    engine = deepspeed_json(tmp_path, 2)
    command = launched("torchrun", grpo(taught, out, 6, deepspeed=engine, use_cpu="false"))
    kill_after(out / "checkpoint-2", command)
    assert f"going on from {out}/checkpoint-" in run_to_end(command)
    assert weights(out / "final").keys() == weights(taught).keys()
    steps = [entry["step"] for entry in history(out) if "reward" in entry]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_two_ranks_whose_episodes_have_unequally_many_turns(taught: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    engine = deepspeed_json(tmp_path, 3)
    flags = {"max_turns": 4, "max_rollout_tokens": 4096}
    command = grpo(taught, out, 2, deepspeed=engine, use_cpu="false", **flags)
    command[1] = "tests.training.calling"
    more: Mapping[str, str] = {"CALLS": "1:2"}
    run_to_end(launched("torchrun", command), more)
    logged = assert_both_ranks_saved(out, taught)
    # Half of the episodes call twice before they end.
    assert [entry["turns"] for entry in logged] == [2.0, 2.0]
    assert all(entry["grad_norm"] > 0 for entry in logged)


@pytest.mark.parametrize(
    ("launcher", "stage"),
    # CI saves and loads under ZeRO-3, too.
    [pytest.param("torchrun", 3, marks=pytest.mark.smoke), ("accelerate", 2)],
)
def test_sft_on_two_ranks(tiny: Path, tmp_path: Path, launcher: str, stage: int) -> None:
    """Saved on two ranks, gone on from, and loaded as a released checkpoint is."""
    out = tmp_path / "out"
    engine = deepspeed_json(tmp_path, stage)
    flags = {"use_cpu": "false", "save_steps": 2, "logging_steps": 1}

    def run(steps: int) -> str:
        return run_to_end(launched(launcher, sft(tiny, out, steps, deepspeed=engine, **flags)))

    run(2)
    first = weights(out / "final")
    assert f"going on from {out}/checkpoint-2" in run(4)
    before, after = weights(tiny), weights(out / "final")
    assert after.keys() == first.keys() == before.keys()
    for start, end in ((before, first), (first, after)):
        assert any(not value.equal(end[name]) for name, value in start.items())
    assert_loads_whole(out / "final")
    losses = [entry["loss"] for entry in history(out) if "loss" in entry]
    assert len(losses) == 4
    assert all(loss > 0 for loss in losses)


# -------------------------------------------------------------------------------------------- LoRA


def test_an_adapter_is_merged_as_the_page_says_and_evaluated(taught: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_to_end(python(*sft(taught, out, 4, lora_rank=4, save_strategy="no")))
    assert (out / "final" / "adapter_config.json").exists()
    page = (PROJECT / "training" / "README.md").read_text()
    [script] = [part for part in page.split("```python\n")[1:] if "merge_and_unload" in part]
    script = script.split("```")[0]
    for name, place in (("Qwen/Qwen2.5-VL-7B-Instruct", taught), ("RUN", out)):
        assert name in script
        script = script.replace(name, str(place))
    run_to_end(python("-c", script))
    before, merged = weights(taught), weights(out / "merged")
    changed = {name for name, value in before.items() if not value.equal(merged[name])}
    assert changed
    assert all("proj" in name and "visual" not in name for name in changed)
    data = PROJECT / "rrvf" / "demo_data" / "charts" / "references"
    command = ["-m", "rrvf", "eval", "chartmimic", "--data", str(data), "--limit", "2"]
    command += ["--policy", str(out / "merged"), "--backend", "transformers"]
    command += ["--max-turns", "1", "--max-tokens", "64", "--out", str(tmp_path / "evaluated")]
    run_to_end(python(*command))
    summary = json.loads((tmp_path / "evaluated" / "summary.json").read_text())
    assert summary["n_samples"] == 2
