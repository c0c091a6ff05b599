"""Batches without the columns that are padding in all rows.

TRL 1.16 pads every micro-batch to the longest of all rollouts of the rank, and the model computes
each of these columns. The removed columns would be masked in the loss anyway.
"""

from __future__ import annotations

from typing import Any

_BY_COLUMN = ("input_ids", "attention_mask", "labels", "token_type_ids", "mm_token_type_ids")
"""Inputs of a model with a column for each token."""


class Unpadded:
    """A model that computes the columns which hold a token of some row, and no others.

    Args:
        model: Called with ``attention_mask`` and labels; returns ``log_probs`` and maybe
            ``entropy``, with a column for each token.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:
        """What the model returns, 0 in the columns that were left out."""
        import torch

        used = inputs["attention_mask"].any(dim=0).nonzero()
        width = inputs["attention_mask"].size(1)
        first, last = int(used[0]), int(used[-1]) + 1
        if (first, last) == (0, width):
            return self._model(**inputs)
        inputs |= {
            name: inputs[name][:, first:last] for name in _BY_COLUMN if inputs.get(name) is not None
        }
        outputs = self._model(**inputs)
        for name in ("log_probs", "entropy"):
            values = getattr(outputs, name, None)
            if values is not None:
                padded = torch.nn.functional.pad(values, (first, width - last))
                setattr(outputs, name, padded)
        return outputs
