"""Micro-batches are computed as wide as their own longest rollout, with the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import MISSING

if MISSING:
    pytest.skip("training needs its packages", allow_module_level=True)

import torch

from tests.episodes import answer
from tests.training.test_rollouts import SEES, batch, trainer_for
from tests.training.worlds import ScriptedModel, fake_world

pytestmark = pytest.mark.filterwarnings("default")

NAMES = (
    *("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids"),
    *("pixel_attention_mask", "token_type_ids"),
)


def unequal(number: int, turn: int) -> str:
    """The first conversation answers at once, the others call; all of other lengths."""
    if number == 0 or turn > 0:
        return "." + answer("ok red" + " red" * 20 * number)
    return SEES


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_each_chunk_is_as_wide_as_its_longest_rollout(
    tmp_path: Path, tiny: Path, processor: Any, batch_size: int
) -> None:
    widths: list[tuple[int, int]] = []
    with trainer_for(tmp_path, tiny, processor, fake_world(), ScriptedModel(unequal)) as trainer:
        rollouts = batch(trainer)
        ids = torch.cat([rollouts["prompt_ids"], rollouts["completion_ids"]], dim=1)
        mask = torch.cat([rollouts["prompt_mask"], rollouts["completion_mask"]], dim=1)
        more = {name: rollouts[name] for name in NAMES if rollouts.get(name) is not None}
        n_kept = rollouts["completion_ids"].size(1)
        trainer.model.eval()
        trainer.model.register_forward_pre_hook(
            lambda _model, _args, named: widths.append(tuple(named["input_ids"].shape)),
            with_kwargs=True,
        )

        def compute(method: Any) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.no_grad():
                logps, entropy, _ = method(
                    trainer.model, ids, mask, n_kept, batch_size, compute_entropy=True, **more
                )
            return logps, entropy

        trimmed = compute(trainer._get_per_token_logps_and_entropies)
        seen, widths = widths, []
        whole = compute(super(type(trainer), trainer)._get_per_token_logps_and_entropies)
    completions = rollouts["completion_mask"].bool()
    for ours, theirs in zip(trimmed, whole, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours[completions], theirs[completions], atol=1e-5)
    by_chunk = mask.split(batch_size)
    longest = [int(part.any(dim=0).sum()) for part in by_chunk]
    assert [width for _, width in seen] == longest
    if batch_size == 1:
        assert min(longest) < mask.size(1) == max(width for _, width in widths)
