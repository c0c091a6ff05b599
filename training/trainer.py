"""TRL's GRPO trainer, with the pictures of every turn and without the episodes we failed.

Written for TRL 1.16, whose ``rollout_func`` forgets pictures that come up in a rollout: only those
of the data set would reach the loss.
"""

# TRL says nothing of most of its types.
# pyright: basic
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trl.trainer.grpo_trainer import GRPOTrainer

from rrvf.errors import UserError
from rrvf.rewards import Rewarded
from training.checkpoints import load_weights
from training.rollouts import Rollouts, log_metrics
from training.watchdog import Watchdog

SAMPLE = "sample_id"
"""The data set's column that names the sample."""


class RrvfTrainer(GRPOTrainer):
    """GRPO whose completions are episodes.

    Args:
        rollouts: Plays the episodes of the samples that the rows name in ``sample_id``.
        watchdog: Told what is under way.
        max_lost_batches: After so many batches in a row in which no reward could be measured,
            training stops.
        on_rollouts: Called with each batch of this rank's finished episodes.
        arguments: Those of ``trl.GRPOTrainer``.
    """

    def __init__(
        self,
        *,
        rollouts: Rollouts,
        watchdog: Watchdog,
        max_lost_batches: int = 3,
        on_rollouts: Callable[[Sequence[Rewarded], int, str], None] | None = None,
        **arguments: Any,
    ) -> None:
        self.batch_ids: list[str] = []
        self._watchdog = watchdog
        self._max_lost_batches, self._n_lost_batches = max_lost_batches, 0
        self._on_rollouts = on_rollouts
        self._unscored: list[bool] = []
        super().__init__(reward_funcs=self.episode_reward, rollout_func=rollouts, **arguments)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint = Path(resume_from_checkpoint)
        if (checkpoint / "adapter_config.json").exists():
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_weights(checkpoint, self.model if model is None else model)

    # TRL calls its tools by their names; a rollout of ours has called them by itself. A list that
    # is not empty only tells it, once a batch is there, that pictures stand inside of completions.
    def _generate(self, prompts: list[Any]) -> Any:
        *parts, extra, _, _ = super()._generate(prompts)
        pictures = extra.pop("pictures")
        shown = [one or None for one in pictures]
        self.tools = ["rollouts"] if any(pictures) else []
        return (*parts, extra, shown if any(pictures) else None, pictures)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.batch_ids = [row[SAMPLE] for row in inputs]
        try:
            output = super()._generate_and_score_completions(inputs)
        finally:
            self.tools = []
        return self._without_unscored(output)

    def _without_unscored(self, output: dict[str, Any]) -> dict[str, Any]:
        """Take episodes without a reward out of the loss; TRL only makes their advantage 0."""
        import torch

        mask = output["tool_mask"]
        keep = torch.tensor([not lost for lost in self._unscored], device=mask.device)
        output["tool_mask"] = mask * keep.unsqueeze(1)
        counted = (output["completion_mask"] * output["tool_mask"]).sum()
        total: Any = self.accelerator.gather(counted)
        output["num_items_in_batch"] = total.sum().clamp(min=1)
        return output

    def episode_reward(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        rewarded: Sequence[Rewarded],
        log_metric: Callable[[str, float], None],
        log_extra: Callable[[str, list[Any]], None],
        **columns: Any,
    ) -> list[float | None]:
        """The one reward function: two of them would add up a missing reward as 0."""
        rewards = [one.reward.total for one in rewarded]
        self._unscored = [reward is None for reward in rewards]
        tokens = sum(one.trajectory.output_tokens for one in rewarded)
        log_metrics(rewarded, self._watchdog.taken(), log_metric, tokens)
        log_metric("reward_std_in_groups", self._spread(rewards))
        log_extra("stopped", [one.trajectory.stop_reason for one in rewarded])
        log_extra("status", [one.outcome.result.status for one in rewarded])
        if self._on_rollouts is not None:
            mode = "train" if self.model is not None and self.model.training else "eval"
            self._on_rollouts(rewarded, self.state.global_step, mode)
        self._count_lost(rewarded)
        return rewards

    def _spread(self, rewards: Sequence[float | None]) -> float:
        """The standard deviation within a group, mean over groups; TRL logs that of the batch."""
        import torch

        told = [math.nan if reward is None else reward for reward in rewards]
        mine = torch.tensor(told, device=self.accelerator.device)
        everyone: Any = self.accelerator.gather(mine)
        training = self.model is not None and self.model.training
        size = self.num_generations if training else self.num_generations_eval
        groups = [group[~group.isnan()] for group in everyone.view(-1, size)]
        spreads = [float(group.std()) for group in groups if len(group) > 1]
        return sum(spreads) / len(spreads) if spreads else 0.0

    def _count_lost(self, rewarded: Sequence[Rewarded]) -> None:
        """Stop, on all ranks alike, where nothing can be measured any more."""
        import torch

        n_scored = sum(one.reward.total is not None for one in rewarded)
        mine = torch.tensor([n_scored], device=self.accelerator.device)
        everyone: Any = self.accelerator.gather(mine)
        lost = int(everyone.sum()) == 0
        self._n_lost_batches = self._n_lost_batches + 1 if lost else 0
        if self._n_lost_batches >= self._max_lost_batches:
            reason = next((one.reward.reason for one in rewarded), None)
            raise UserError(
                f"no reward could be measured in {self._n_lost_batches} batches in a row: "
                f"{reason}; mend it and start the same command again to go on"
            )
