"""Recipes: every key is one that its command takes, every file is read by what it is for."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from rrvf.errors import UserError
from training import grpo, sft
from training.memory import CARD, MODELS, PLANS

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"
RECIPES = sorted((TRAINING / "configs").glob("*.yaml"))
ENGINES = sorted((TRAINING / "configs" / "deepspeed").glob("*.json"))
SCRIPTS = sorted((TRAINING / "launch").iterdir())

MISSING = [name for name in ("trl", "deepspeed") if not find_spec(name)]
needs_trl = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} missing: pip install 'rrvf[train]'"
)


def named(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=[path.name for path in paths])


def written(path: Path) -> dict[str, Any]:
    """A recipe's keys as they stand in the file."""
    return yaml.safe_load(path.read_text())


def parsed(path: Path, *arguments: str) -> list[Any]:
    """What a recipe's command would train with."""
    command = sft if path.name.startswith("sft") else grpo
    given: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command.__name__, "--config", str(path), *arguments])
        patch.setattr(command, "train", lambda *told: given.extend(told))
        command.main()
    return given


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} == {*PLANS, "grpo_smoke_cpu", "sft_smoke_cpu"}
    assert [path.stem for path in ENGINES] == [
        *("zero1", "zero1_offload", "zero2", "zero2_offload", "zero3", "zero3_offload")
    ]


@needs_trl
@pytest.mark.filterwarnings("default")
@named(RECIPES)
def test_every_key_is_known_and_arrives(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    arguments = parsed(path, "--use_cpu", "true", "--output_dir", str(tmp_path))
    told: dict[str, Any] = {}
    for one in arguments:
        told |= vars(one)
    for name, value in written(path).items():
        if name in ("output_dir", "use_cpu"):
            continue
        given = told[name]
        assert getattr(given, "value", given) == value, name
    # Every checkpoint pickles them.
    again = pickle.loads(pickle.dumps(arguments[-1]))
    assert again.to_dict() == arguments[-1].to_dict()


@needs_trl
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("more", "number"), [("", 1), ("num_generations_eval: 2\n", 2)])
def test_evaluation_asks_once_unless_a_file_says_otherwise(
    tmp_path: Path, more: str, number: int
) -> None:
    path = tmp_path / "grpo.yaml"
    path.write_text(f"model: m\nuse_cpu: true\nbf16: false\noutput_dir: {tmp_path}\n{more}")
    assert parsed(path)[-1].num_generations_eval == number


@needs_trl
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model: m\nlearning_rat: 1.0\n", "learning_rat"),
        ("model: [m\n", "flow sequence"),
        ("- model\n", "must contain a YAML mapping"),
        (None, "No such file or directory: .*wrong.yaml"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, name: str, text: str | None, line: str
) -> None:
    path = tmp_path / f"{name}_wrong.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=line) as told:
        parsed(path, "--use_cpu", "true", "--output_dir", str(tmp_path))
    assert "\n" not in str(told.value)


GRPO_ALONE = (
    *("redraws", "parts", "shared_first_turn", "conversations_at_once", "rollouts_every"),
    *("patience", "max_lost_batches", "max_sampling_difference", "max_turns_of_mine"),
)


@needs_trl
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", GRPO_ALONE)
@pytest.mark.parametrize("place", ["file", "flag"])
def test_supervised_training_refuses_what_it_would_ignore(
    tmp_path: Path, name: str, place: str
) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text("model: m\nbf16: false\n" + f"{name}: 1\n" * (place == "file"))
    flags = (f"--{name}", "1") if place == "flag" else ()
    with pytest.raises(UserError, match=f"^this command has no option {name}: ") as told:
        parsed(path, "--use_cpu", "true", "--output_dir", str(tmp_path), *flags)
    assert "\n" not in str(told.value)


@named(RECIPES)
def test_a_recipe_says_what_it_needs_and_names_its_judge(path: Path) -> None:
    head = path.read_text().split("\n\n")[0]
    assert head.startswith("# ")
    assert "# Needs: " in head
    told = written(path)
    assert re.search(r"launch/\w+\.\w+", head)
    if path.stem.startswith("grpo"):
        assert told["judge"]
        for name in ("reward_vision", "vision_weight", "format_weight", "tool_weight", "tool_gate"):
            assert name in told
        assert told["setting"] == "images_only"
        assert told["num_generations"] >= 4
        assert (told["judge"] == "likeness") == (path.stem == "grpo_smoke_cpu")
    assert "allow_test_items" not in told


@named(RECIPES)
def test_weights_in_16_bit_have_a_master_copy(path: Path) -> None:
    """At a learning rate of 1e-6 a step is lost in 16 bit: DeepSpeed's masters, or LoRA's own."""
    told = written(path)
    assert not told["bf16"] or "deepspeed" in told or told.get("lora_rank", 0) > 0


@pytest.mark.parametrize("name", PLANS)
def test_what_the_page_computes_is_what_the_recipe_says(name: str) -> None:
    path = TRAINING / "configs" / f"{name}.yaml"
    told, plan, head = written(path), PLANS[name], path.read_text().split("\n\n")[0]
    assert told["model"] == f"Qwen/{MODELS[plan.model].name}"
    assert told.get("lora_rank", 0) == plan.rank
    engine = told.get("deepspeed")
    stage = 0 if engine is None else json.loads((TRAINING.parent / engine).read_text())
    zero = stage if isinstance(stage, int) else stage["zero_optimization"]["stage"]
    assert zero == plan.stage
    assert told["per_device_train_batch_size"] == 1
    beside = told.get("vllm_mode") == "colocate"
    assert (told["vllm_gpu_memory_utilization"] if beside else 0.0) == plan.vllm
    assert told.get("vllm_enable_sleep_mode", False) == plan.sleeps
    assert told["max_pixels"] == 1024 * 1024
    # An episode of GRPO is its prompt, for which this leaves 4,096 tokens, and the rollout.
    longest = told["max_length"] if "max_length" in told else told["max_rollout_tokens"] + 4096
    assert longest == plan.tokens
    assert plan.on_gpu() <= CARD
    computed = re.search(r"\((\d+) GiB", head) or re.search(r"(\d+) GiB of each", head)
    assert computed
    assert int(computed[1]) == round(plan.on_gpu())


@needs_trl
@pytest.mark.filterwarnings("default")
@named(ENGINES)
def test_deepspeed_takes_its_settings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filled in as transformers fills them in, then read by DeepSpeed's own class."""
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    from deepspeed.runtime.config import DeepSpeedConfig
    from transformers import TrainingArguments
    from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=3,
        learning_rate=1e-6,
        use_cpu=True,
        bf16=False,
    )
    filled: Any = HfTrainerDeepSpeedConfig(str(path))
    filled.trainer_config_process(arguments)
    width = type("Config", (), {"hidden_size": 64})()
    filled.trainer_config_finalize(arguments, type("Model", (), {"config": width})(), 10)
    assert "auto" not in json.dumps(filled.config)
    read: Any = DeepSpeedConfig(filled.config)
    stage, offload = int(path.stem[4]), path.stem.endswith("_offload")
    zero = read.zero_config
    assert zero.stage == stage
    assert (zero.offload_optimizer is not None) == offload
    assert (zero.offload_param is not None) == (offload and stage == 3)
    assert read.train_micro_batch_size_per_gpu == 2
    assert read.gradient_accumulation_steps == 3
    assert read.gradient_clipping == arguments.max_grad_norm
    # DeepSpeed steps on the CPU with an optimizer of its own.
    assert (read.optimizer_name is not None) == offload
    if stage == 3:
        assert zero.gather_16bit_weights_on_model_save


@named(SCRIPTS)
def test_scripts_are_sound_shell(path: Path) -> None:
    assert path.suffix in (".sh", ".sbatch")
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    assert "set -euo pipefail" in text
    assert path.stat().st_mode & 0o100
    for name in re.findall(r"training/[\w./]+\.(?:yaml|json|sh)", text):
        assert (TRAINING.parent / name).exists(), name
