"""Memory computed from sizes: held against transformers' own models and DeepSpeed's estimators."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from training import memory
from training.memory import GIB, MODELS, Model, Plan, activations, cache_of_token, states

needs_transformers = pytest.mark.skipif(
    not find_spec("transformers") or not find_spec("torch"),
    reason="transformers or torch missing: pip install 'rrvf[train]'",
)
needs_deepspeed = pytest.mark.skipif(
    not find_spec("deepspeed"), reason="deepspeed missing: pip install 'rrvf[train]'"
)

HEADS = {"3B": 16, "7B": 28, "32B": 40, "72B": 64}


def test_the_page_is_what_the_program_writes(project: Path) -> None:
    page = (project / "training" / "MEMORY.md").read_text()
    assert page == memory.page(), "run: python -m training.memory > training/MEMORY.md"


@needs_transformers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_transformers(name: str) -> None:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    model = MODELS[name]
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": model.width,
            "intermediate_size": model.mlp,
            "num_hidden_layers": model.layers,
            "num_attention_heads": HEADS[name],
            "num_key_value_heads": model.kv // 128,
            "vocab_size": model.vocabulary,
            "tie_word_embeddings": model.tied,
        },
        vision_config={
            "hidden_size": 1280,
            "intermediate_size": model.vision_mlp,
            "out_hidden_size": model.width,
        },
        tie_word_embeddings=model.tied,
    )
    with torch.device("meta"):
        built = Qwen2_5_VLForConditionalGeneration(config)
    built.tie_weights()
    parameters = dict(built.named_parameters())
    assert sum(one.numel() for one in parameters.values()) == model.total
    seen = sum(one.numel() for name, one in parameters.items() if ".visual." in name)
    assert seen == model.vision
    assert max(one.numel() for one in parameters.values()) == model.embedding


def test_lora_is_two_matrices_for_each_projection() -> None:
    # 2 wide layers' worth by hand: q, k, v, o, gate, up, down of a layer of the 7B model.
    shapes = [(3584, 3584), (3584, 512), (3584, 512), (3584, 3584)]
    shapes += [(3584, 18944), (3584, 18944), (18944, 3584)]
    assert MODELS["7B"].lora(8) == 28 * sum(8 * (into + out) for into, out in shapes)


@needs_deepspeed
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize(("gpus", "nodes"), [(1, 1), (8, 1), (16, 2)])
def test_states_agree_with_deepspeed(model: Model, gpus: int, nodes: int) -> None:
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2

    total, largest, each = model.total, model.embedding, gpus // nodes

    def ours(stage: memory.Stage, offload: memory.Offload = "none") -> tuple[float, float]:
        return states(total, total, largest, stage=stage, gpus=gpus, offload=offload, nodes=nodes)

    _, on_gpu = zero2(total, each, nodes, cpu_offload=False)
    assert ours(2)[0] == pytest.approx(on_gpu, abs=1)
    on_cpu, on_gpu = zero2(total, each, nodes, cpu_offload=True)
    assert ours(2, "optimizer")[0] == pytest.approx(on_gpu, abs=1)
    if nodes == 1 and gpus == 1:  # its further factor is for several loading at once
        assert ours(2, "optimizer")[1] == pytest.approx(on_cpu, abs=1)
    _, on_gpu, _ = zero3(total, largest, each, nodes, cpu_offload=False)
    # It takes the weights to be part of the 18 bytes; here they come on top.
    assert ours(3)[0] == pytest.approx(on_gpu + 2 * total / gpus, abs=1)
    on_cpu, on_gpu, _ = zero3(total, largest, each, nodes, cpu_offload_params=False)
    assert ours(3, "optimizer") == pytest.approx((on_gpu, on_cpu), abs=1)
    on_cpu, on_gpu, _ = zero3(total, largest, each, nodes)
    assert ours(3, "optimizer and weights") == pytest.approx((on_gpu, on_cpu), abs=1)


def test_the_cache_of_a_token_by_hand() -> None:
    # 4 key heads of 128, keys and values, 28 layers, 2 bytes.
    assert cache_of_token(MODELS["7B"]) == 4 * 128 * 2 * 28 * 2


def test_activations_grow_with_what_they_hold() -> None:
    model = MODELS["7B"]
    one = activations(model, 4096, 1, vision=True)
    assert activations(model, 8192, 1, vision=True) > one
    assert activations(model, 4096, 2, vision=True) > one
    assert activations(model, 4096, 1, vision=False) < one
    # At least what every layer keeps.
    assert one > 28 * 4096 * 3584 * 2


def test_vllm_does_not_start_where_the_weights_do_not_fit() -> None:
    served = memory.count_conversations
    assert served(MODELS["72B"], 8192, share=0.9, gpus=1) < 0
    assert served(MODELS["72B"], 8192, share=0.9, gpus=4) > 1


def test_sleep_takes_the_larger_of_update_and_vllm() -> None:
    awake, asleep = Plan(model="7B", vllm=0.4), Plan(model="7B", vllm=0.4, sleeps=True)
    _, working, vllm = awake.parts()
    assert awake.on_gpu() - asleep.on_gpu() == pytest.approx(min(working, vllm))
    assert vllm == pytest.approx(0.4 * memory.CARD)


def test_a_frozen_vision_tower_has_no_gradient() -> None:
    whole, frozen = Plan(model="3B", stage=0), Plan(model="3B", stage=0, vision=False)
    less = (whole.parts()[0] - frozen.parts()[0]) * GIB
    assert less == pytest.approx(18 * MODELS["3B"].vision)


def test_gpu_hours(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(["--steps", "90", "--seconds", "20", "--gpus", "4"])
    assert capsys.readouterr().out == "2.0 GPU-hours\n"
    with pytest.raises(SystemExit):
        memory.main(["--steps", "90"])
