"""TRL's GRPO trainer, with every turn's pictures and without episodes that failed by our fault.

Written for TRL 1.16, whose ``rollout_func`` loses pictures that appear during a rollout: only the
pictures of the data set would reach the loss.
"""

# TRL says nothing of most of its types.
# pyright: basic
from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from trl.trainer.grpo_trainer import GRPOTrainer

from rrvf.errors import UserError
from rrvf.rewards import Rewarded
from rrvf.types import SampleResult
from training.checkpoints import load_weights
from training.generation import SamplingLimits
from training.models import skip_frozen_vision
from training.padding import Unpadded
from training.rollouts import Rollouts, totals
from training.vllm_sync import forget_pictures, keep_base_exact
from training.watchdog import Watchdog

SAMPLE = "sample_id"
"""The data set's column that names the sample."""


class RrvfTrainer(GRPOTrainer):
    """GRPO whose completions are episodes.

    Args:
        rollouts: Plays the episodes of the samples that the rows name in ``sample_id``.
        watchdog: Told what is under way.
        max_lost_batches: After so many batches in a row in which a rank could measure no reward,
            training stops.
        sampling_limits: Batches beyond them end the training.
        conversations_at_once: That transformers generates for; vLLM sees to that by itself.
        on_rollouts: Called with each batch of this rank's finished episodes.
        arguments: Those of ``trl.GRPOTrainer``.
    """

    def __init__(
        self,
        *,
        rollouts: Rollouts,
        watchdog: Watchdog,
        max_lost_batches: int = 3,
        sampling_limits: SamplingLimits | None = None,
        conversations_at_once: int = 32,
        on_rollouts: Callable[[Sequence[Rewarded], int, str], None] | None = None,
        **arguments: Any,
    ) -> None:
        self.batch_ids: list[str] = []
        self._watchdog = watchdog
        self._max_lost_batches, self._n_lost_batches = max_lost_batches, Counter[int]()
        self._sampling_limits = sampling_limits or SamplingLimits()
        self.conversations_at_once = conversations_at_once
        self._on_rollouts = on_rollouts
        self._lost_flags: list[bool] = []
        self._totals: dict[str, dict[str, list[float]]] = {"train": {}, "eval": {}}
        self._peaks: dict[str, int] = {}
        self._results: dict[tuple[str, int], SampleResult] = {}
        self._bench, self._rollouts = rollouts.bench, rollouts
        super().__init__(reward_funcs=self.episode_reward, rollout_func=rollouts, **arguments)
        skip_frozen_vision(self.model)
        if self.use_vllm:
            keep_base_exact(self.vllm_generation)
            forget_pictures(self.vllm_generation)

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
        images = [entry or None for entry in pictures]
        self.tools = ["rollouts"] if any(pictures) else []
        return (*parts, extra, images if any(pictures) else None, pictures)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.batch_ids = [row[SAMPLE] for row in inputs]
        try:
            output = super()._generate_and_score_completions(inputs)
        finally:
            self.tools = []
        if self._mode() == "train":
            self._check_sampling(output)
        return self._drop_lost(output)

    def _get_per_token_logps_and_entropies(self, model: Any, *inputs: Any, **named: Any) -> Any:
        return super()._get_per_token_logps_and_entropies(Unpadded(model), *inputs, **named)

    def _check_sampling(self, output: dict[str, Any]) -> None:
        """Compare with vLLM, on all ranks alike; those without any token have nothing to say."""
        if not self.use_vllm:
            return
        n_tokens = (output["completion_mask"] * output["tool_mask"]).sum()
        counts: Any = self.accelerator.gather(n_tokens.reshape(1))
        share = float((counts > 0).float().mean())
        if share > 0:
            self._sampling_limits.check(self._metrics["train"], share)

    def _drop_lost(self, output: dict[str, Any]) -> dict[str, Any]:
        """Take out of the loss what can teach nothing; TRL only makes its advantage 0.

        So it weighs in no mean over tokens (``dapo``, ``cispo``, ``vespo``, ``bnpo``); losses that
        are means over rollouts (``grpo``, ``dr_grpo``, ``sapo``, ``luspo``) still count it.
        """
        import torch

        mask = output["tool_mask"]
        keep = torch.tensor([not is_lost for is_lost in self._lost_flags], device=mask.device)
        output["tool_mask"] = mask * keep.unsqueeze(1)
        n_tokens = (output["completion_mask"] * output["tool_mask"]).sum()
        total: Any = self.accelerator.gather(n_tokens)
        output["num_items_in_batch"] = total.sum().clamp(min=1)
        return output

    def episode_reward(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        rewarded: Sequence[Rewarded],
        log_extra: Callable[[str, list[Any]], None],
        **columns: Any,
    ) -> list[float | None]:
        """The one reward function: two of them would add up a missing reward as 0."""
        rewards = [episode.reward.total for episode in rewarded]
        mode = self._mode()
        groups = self._groups(rewards)
        own_groups = self._own_groups(groups, len(rewards))
        self._lost_flags = [
            reward is None or (mode == "train" and len(group) < 2)
            for reward, group in zip(rewards, own_groups, strict=True)
        ]
        self._add_sums(mode, totals(rewarded, self._watchdog.take_seconds()))
        for phase, peak in self._watchdog.take_peaks().items():
            self._peaks[phase] = max(self._peaks.get(phase, 0), peak)
        self._add_sums(mode, _measure_spread(groups), everywhere=True)
        if mode == "train":
            self._add_sums(mode, {"groups_drawn_again": (self._rollouts.n_drawn_again, 1)})
        log_extra("sample", [episode.trajectory.sample_id for episode in rewarded])
        log_extra("stopped", [episode.trajectory.stop_reason for episode in rewarded])
        log_extra("status", [episode.outcome.result.status for episode in rewarded])
        if mode == "eval":
            for episode in rewarded:
                key = (episode.trajectory.sample_id, episode.trajectory.repeat)
                self._results.setdefault(key, episode.outcome.result)
        if self._on_rollouts is not None:
            self._on_rollouts(rewarded, self.state.global_step, mode)
        if mode == "train":
            self._count_lost(rewarded)
        return rewards

    def _mode(self) -> str:
        return "train" if self.model is not None and self.model.training else "eval"

    # ------------------------------------------------------------------------------- groups

    def _groups(self, rewards: Sequence[float | None]) -> list[list[float]]:
        """The rewards of every group of all ranks, as far as they were measured."""
        import torch

        numbers = [math.nan if reward is None else reward for reward in rewards]
        own_rewards = torch.tensor(numbers, device=self.accelerator.device, dtype=torch.float64)
        all_rewards: Any = self.accelerator.gather(own_rewards)
        size = self._group_size()
        values = all_rewards.tolist()
        return [
            [value for value in values[start : start + size] if not math.isnan(value)]
            for start in range(0, len(values), size)
        ]

    def _group_size(self) -> int:
        """Rollouts of the same sample that follow each other."""
        training = self._mode() == "train"
        return (self.num_generations if training else self.num_generations_eval) or 1

    def _own_groups(self, groups: list[list[float]], n_own: int) -> list[list[float]]:
        """For each rollout of this rank, its group."""
        size = self._group_size()
        first = self.accelerator.process_index * n_own
        return [groups[number // size] for number in range(first, first + n_own)]

    def _count_lost(self, rewarded: Sequence[Rewarded]) -> None:
        """Stop, on all ranks alike, where a rank can measure nothing any more."""
        is_lost = all(episode.reward.total is None for episode in rewarded)
        reason = next((episode.reward.reason for episode in rewarded), None)
        losses = gather_object([(is_lost, reason)])
        n_ranks = sum(is_lost for is_lost, _ in losses)
        self._add_sums("train", {"ranks_without_reward": (n_ranks, 1)}, everywhere=True)
        for rank, (is_lost, reason) in enumerate(losses):
            self._n_lost_batches[rank] = self._n_lost_batches[rank] + 1 if is_lost else 0
            if self._n_lost_batches[rank] >= self._max_lost_batches:
                raise UserError(
                    f"no reward could be measured in {self._n_lost_batches[rank]} batches in a row "
                    f"by rank {rank}: {reason}; fix it and run the same command again to resume"
                )

    # ------------------------------------------------------------------------------ the log

    def _add_sums(
        self, mode: str, sums: Mapping[str, tuple[float, int]], *, everywhere: bool = False
    ) -> None:
        """Add to what is logged next; ``everywhere`` where all ranks have the same."""
        for name, (total, count) in sums.items():
            entry = self._totals[mode].setdefault(name, [0.0, 0.0])
            if not everywhere or self.accelerator.is_main_process:
                entry[0] += total
                entry[1] += count

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log means over all rollouts since the last time, and a benchmark's own metrics.

        TRL would take the mean of each batch first, which weighs a rollout by how many of its
        batch have the value.
        """
        mode = self._mode()
        pooled: dict[str, list[float]] = {}
        for sums in gather_object([self._totals[mode]]):
            for name, (total, count) in sums.items():
                entry = pooled.setdefault(name, [0.0, 0.0])
                entry[0] += total
                entry[1] += count
        self._totals[mode].clear()
        for name, (total, count) in pooled.items():
            if count:
                self._metrics[mode][name] = [total / count]
        self._log_peaks(mode)
        if mode == "eval":
            logs.update(self._benchmark_metrics())
        super().log(logs, start_time)

    def _log_peaks(self, mode: str) -> None:
        """The most memory that a rank took in each phase; ``training`` is the update."""
        peaks: dict[str, int] = {}
        for own_peaks in gather_object([self._peaks]):
            for phase, peak in own_peaks.items():
                peaks[phase] = max(peaks.get(phase, 0), peak)
        self._peaks.clear()
        for phase, peak in peaks.items():
            self._metrics[mode][f"memory_gib/{phase}"] = [peak / 2**30]

    def _benchmark_metrics(self) -> dict[str, float]:
        """Those of an evaluation that has ended, each held-out sample once."""
        results: dict[tuple[str, int], SampleResult] = {}
        for part in gather_object([self._results]):
            results |= part
        self._results.clear()
        if not results:
            return {}
        metrics = self._bench.metrics(list(results.values()))
        return {f"eval_metrics/{name}": v for name, v in metrics.items() if v is not None}


def _measure_spread(groups: list[list[float]]) -> dict[str, tuple[float, int]]:
    """The spread of rewards within groups, and the share of groups that have none.

    TRL logs the spread of the batch, and leaves out groups without two rewards.
    """
    spreads = [statistics.stdev(group) if len(group) > 1 else 0.0 for group in groups]
    wide_spreads = [spread for spread, group in zip(spreads, groups, strict=True) if len(group) > 1]
    n_flat = sum(spread < 1e-8 for spread in spreads)
    return {
        "reward_std_in_groups": (sum(wide_spreads), len(wide_spreads)),
        "groups_without_spread": (float(n_flat), len(groups)),
    }
