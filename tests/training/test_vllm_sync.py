"""vLLM gets adapters merged while the base stays exact, and sleeps once for all turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.conftest import MISSING

if MISSING:
    pytest.skip("training needs its packages", allow_module_level=True)

import torch
from peft import PeftModel, get_peft_model

from rrvf.errors import UserError
from training.models import load_model, lora
from training.settings import RunArguments
from training.vllm_sync import forget_pictures, iterate_merged, keep_awake, keep_base_exact

pytestmark = pytest.mark.filterwarnings("default")

BF16 = SimpleNamespace(bf16=True, deepspeed=None)


@pytest.fixture
def adapted(tiny: Path) -> PeftModel:
    """A model in 16 bit with adapters that change it."""
    run = RunArguments(model=str(tiny), lora_rank=4)
    base = load_model(run, BF16)
    model = get_peft_model(base, lora(run, base))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    return model


def base_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if "lora_" not in name
    }


def test_two_hundred_syncs_leave_the_base_as_it_is(adapted: PeftModel) -> None:
    before = base_weights(adapted)
    for _ in range(200):
        for _name, _weight in iterate_merged(adapted, lambda _: nullcontext()):
            pass
    after = base_weights(adapted)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    # What this stands in place of does not.
    adapted.merge_adapter()
    adapted.unmerge_adapter()
    drifted = base_weights(adapted)
    assert any(not torch.equal(value, drifted[name]) for name, value in before.items())


def test_vllm_gets_every_weight_merged_by_its_own_name(adapted: PeftModel, tiny: Path) -> None:
    plain = load_model(RunArguments(model=str(tiny), lora_rank=4), BF16)
    given = dict(iterate_merged(adapted, lambda _: nullcontext()))
    assert given.keys() == dict(plain.named_parameters()).keys()
    config = adapted.peft_config["default"]
    n_changed = 0
    for name, parameter in plain.named_parameters():
        parent, _, last = name.removesuffix(".weight").rpartition(".")
        child = getattr(adapted.base_model.model.get_submodule(parent), last, None)
        if not hasattr(child, "lora_A"):
            assert torch.equal(given[name], parameter), name
            continue
        n_changed += 1
        up, down = child.lora_B["default"].weight, child.lora_A["default"].weight
        delta = (config.lora_alpha / config.r) * up.float() @ down.float()
        assert torch.equal(given[name], (parameter.float() + delta).to(torch.bfloat16)), name
    assert n_changed == 2 * 7  # of each layer of the language model


def test_parameters_are_gathered_a_layer_at_a_time(adapted: PeftModel) -> None:
    gathered: list[int] = []

    @contextmanager
    def gather(parameters: list[Any]) -> Iterator[None]:
        gathered.append(len(parameters))
        yield

    assert len(list(iterate_merged(adapted, gather))) == len(gathered)
    assert set(gathered) == {1, 3}  # a weight, or one with its two factors


def test_only_models_with_adapters_are_walked_our_way(adapted: PeftModel, tiny: Path) -> None:
    def names(model: Any, *, fsdp: bool) -> bool:
        dist = SimpleNamespace(is_fsdp=fsdp, gather_params=lambda _: nullcontext())
        vllm = SimpleNamespace(model=model, _dist=dist)
        keep_base_exact(vllm)
        return hasattr(vllm, "_iter_named_params")

    plain = load_model(RunArguments(model=str(tiny), lora_rank=4), BF16)
    assert names(adapted, fsdp=False)
    assert not names(adapted, fsdp=True)
    assert not names(plain, fsdp=False)


@dataclass
class Sleeper:
    """The sleep of TRL's ``VLLMGeneration`` and vLLM's ``LLM``; writes down what is done."""

    mode: str = "colocate"
    enable_sleep_mode: bool = True
    _llm_weights_sleeping: bool = True
    done: list[str] = field(default_factory=list[str])

    @property
    def llm(self) -> Sleeper:
        return self

    def wake_up(self, tags: list[str]) -> None:
        self.done.append(f"wake {tags[0]}")

    def sleep(self, level: int) -> None:
        self.done.append(f"sleep {level}")

    def sync_weights(self) -> None:
        self.done.append("sync")
        self._llm_weights_sleeping = False

    def generate(self) -> None:
        """As TRL 1.16 does."""
        if self.enable_sleep_mode and self._llm_weights_sleeping:
            self.sync_weights()
        if self.enable_sleep_mode:
            self.wake_up(["kv_cache"])
        self.done.append("generate")
        if self.enable_sleep_mode:
            self.sleep(2)
            self._llm_weights_sleeping = True


def test_vllm_sleeps_once_for_all_turns() -> None:
    vllm = Sleeper()
    for _ in range(3):
        vllm.generate()
    assert vllm.done.count("sync") == 3
    vllm = Sleeper()
    for _ in range(2):
        with keep_awake(vllm):
            for _ in range(3):
                vllm.generate()
        assert vllm.enable_sleep_mode
        assert vllm._llm_weights_sleeping
    step = ["sync", "wake kv_cache", *["generate"] * 3, "sleep 2"]
    assert vllm.done == step * 2


def test_vllm_sleeps_after_a_turn_that_fails() -> None:
    vllm = Sleeper()
    with pytest.raises(RuntimeError), keep_awake(vllm):
        raise RuntimeError
    assert vllm.done[-1] == "sleep 2"
    assert vllm.enable_sleep_mode


@pytest.mark.parametrize("vllm", [Sleeper(mode="server"), Sleeper(enable_sleep_mode=False)])
def test_a_vllm_that_never_sleeps_is_left_alone(vllm: Sleeper) -> None:
    with keep_awake(vllm):
        pass
    assert vllm.done == []


class Syncing:
    """What TRL syncs: it notes what is done, in their order."""

    def __init__(self, mode: str, *, is_main: bool = True, status: int = 200) -> None:
        self.mode, self.done = mode, list[str]()
        self.accelerator = SimpleNamespace(is_main_process=is_main)
        engine = SimpleNamespace(reset_encoder_cache=lambda: self.done.append("forget"))
        self.llm = SimpleNamespace(llm_engine=engine)

        def post(url: str) -> Any:
            self.done.append(url)
            return SimpleNamespace(status_code=status)

        self.vllm_client = SimpleNamespace(
            base_url="http://policy:8000", session=SimpleNamespace(post=post)
        )

    def sync_weights(self) -> None:
        self.done.append("sync")


@pytest.mark.parametrize(
    ("vllm", "done"),
    [
        (Syncing("colocate"), ["sync", "forget"]),
        (Syncing("colocate", is_main=False), ["sync", "forget"]),  # each rank has its own
        (Syncing("server"), ["sync", "http://policy:8000/reset_encoder_cache"]),
        (Syncing("server", is_main=False), ["sync"]),
    ],
)
def test_pictures_are_seen_by_the_new_weights(vllm: Syncing, done: list[str]) -> None:
    forget_pictures(vllm)
    vllm.sync_weights()
    vllm.sync_weights()
    assert vllm.done == done * 2


def test_a_server_that_cannot_forget_pictures_ends_the_run() -> None:
    vllm = Syncing("server", status=404)
    forget_pictures(vllm)
    with pytest.raises(UserError, match="serve the policy by trl vllm-serve") as told:
        vllm.sync_weights()
    assert "\n" not in str(told.value)
