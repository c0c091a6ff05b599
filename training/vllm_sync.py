"""The weights that vLLM beside the trainer receives, and when it sleeps.

TRL 1.16 merges adapters into the model, sends the weights to vLLM and subtracts the adapters again.
In 16 bit this does not restore the weights: each time the base changes by a rounding error, and the
trained model is no longer the saved base plus the adapter. TRL also gathers all weights of ZeRO-3
at once. If vLLM sleeps between generations, each turn of an episode sends all weights again. And
TRL clears vLLM's cache of texts, but not of pictures: a repeated picture would be seen by the
vision tower of an earlier step.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rrvf.errors import UserError

Gather = Callable[[list[Any]], AbstractContextManager[Any]]
"""Makes parameters whole that are shared out over ranks, as long as the context lasts."""


def keep_base_exact(vllm: Any) -> None:
    """Have a trainer's vLLM get adapters merged without the model being changed.

    Without adapters nothing changes; nor under FSDP, where TRL walks the model in its own way.

    Args:
        vllm: TRL's ``VLLMGeneration``, changed in place.
    """
    has_adapters: bool = importlib.import_module("accelerate.utils").is_peft_model(vllm.model)
    if has_adapters and not vllm._dist.is_fsdp:
        vllm._iter_named_params = lambda: iterate_merged(vllm.model, vllm._dist.gather_params)


def forget_pictures(vllm: Any) -> None:
    """Have a trainer's vLLM look at pictures anew whenever it has got new weights.

    Args:
        vllm: TRL's ``VLLMGeneration``, changed in place.
    """
    sync = vllm.sync_weights

    def sync_and_forget() -> None:
        sync()
        if vllm.mode == "colocate":
            vllm.llm.llm_engine.reset_encoder_cache()
        elif vllm.accelerator.is_main_process:
            _have_server_forget(vllm.vllm_client)

    vllm.sync_weights = sync_and_forget


def _have_server_forget(client: Any) -> None:
    """The same of a server; it has the page where it has the one that TRL asks for texts.

    Raises:
        UserError: It has not.
    """
    reply = client.session.post(f"{client.base_url}/reset_encoder_cache")
    if reply.status_code != 200:
        raise UserError(
            f"{client.base_url}: the server cannot forget pictures (status {reply.status_code} of "
            "/reset_encoder_cache); serve the policy by trl vllm-serve of the trainer's TRL"
        )


def iterate_merged(model: Any, gather: Gather) -> Iterator[tuple[str, Any]]:
    """The weights of a model with LoRA, adapters merged, by the names of the model without.

    One at a time, and each merged in 32 bit before it is rounded; the model's own stay as they are.

    Args:
        model: A ``peft.PeftModel`` with one active adapter.
        gather: Makes parameters whole; every rank must iterate.
    """
    layer_class: Any = importlib.import_module("peft.tuners.lora").LoraLayer
    layers = {
        name: module for name, module in model.named_modules() if isinstance(module, layer_class)
    }
    for full_name, parameter in model.named_parameters():
        if model.prefix in full_name or "original_module" in full_name:
            continue
        name = full_name.removeprefix("base_model.model.")
        name = name.replace(".base_layer", "").replace("modules_to_save.default.", "")
        layer = layers.get(full_name.removesuffix(".base_layer.weight"))
        if layer is None:
            with gather([parameter]):
                yield name, parameter.data
            continue
        adapter = [part for key, part in layer.named_parameters() if model.prefix in key]
        with gather([parameter, *adapter]):
            yield name, _merge(layer, parameter.data)


def _merge(layer: Any, weight: Any) -> Any:
    import torch

    merged = weight.detach().to(torch.float32)
    with torch.no_grad():
        for adapter in layer.active_adapters:
            merged = merged + layer.get_delta_weight(adapter).to(torch.float32)
    return merged.to(weight.dtype)


@contextmanager
def keep_awake(vllm: Any) -> Generator[None]:
    """Leave vLLM awake for all turns of a batch's episodes; it sleeps again at the end.

    Args:
        vllm: TRL's ``VLLMGeneration``; one that never sleeps is left alone.
    """
    if vllm.mode != "colocate" or not vllm.enable_sleep_mode:
        yield
        return
    if vllm._llm_weights_sleeping:
        vllm.sync_weights()
    vllm.llm.wake_up(tags=["kv_cache"])
    vllm.enable_sleep_mode = False
    try:
        yield
    finally:
        vllm.enable_sleep_mode = True
        vllm.llm.sleep(level=2)
        vllm._llm_weights_sleeping = True
