"""A whole GRPO run of a tiny model that can be killed and gone on with; started by the tests.

``python -m tests.training.tiny_run MODEL OUT STEPS [KEY=VALUE ...]``: the real command's own way
from its data to its last checkpoint, in a world of fakes. Its rewards are read off the answers'
letters, so that a model that knows nothing has something to learn. ``calls=RANK:N`` has that rank's
episodes call the tool N times first, so that ranks have unequally many turns.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rrvf.rewards import Rewarder, RewardSettings
from rrvf.scoring import Item, Outcome
from rrvf.trajectories import Completion
from rrvf.types import SampleResult, Score
from tests.episodes import call
from tests.training.worlds import FakeScoring, fake_world
from training import rollouts
from training.chat_tokens import ChatTokens
from training.command import run_as_command, tell_ranks
from training.data import load
from training.generation import Generated
from training.settings import RunArguments

CALL = "<think>a</think>" + call("ok blue")


@dataclass(frozen=True)
class Letters(FakeScoring):
    """Likes the letter e."""

    def score(self, item: Item, scorers: Mapping[str, Any]) -> Outcome:
        sample, completion = item
        text = completion or ""
        share = text.count("e") / max(1, len(text))
        scores = {"execution": Score(1.0), "likeness": Score(share)}
        return Outcome(SampleResult(sample.id, "ok", None, 0.0, scores, text, completion))


def calling(rank: int, n_calls: int) -> None:
    """Have the conversations of a rank call the tool in their first turns, whatever they say."""
    if int(os.environ.get("RANK", "0")) != rank:
        return
    read = rollouts.as_completion

    def called(chat: ChatTokens, reply: Generated) -> Completion:
        completion = read(chat, reply)
        text = CALL if next(turns) < n_calls * 4 else completion.text
        return replace(completion, text=text, finish_reason="stop")

    turns = itertools.cycle(range(4 * (n_calls + 1)))
    rollouts.as_completion = called


def main() -> None:
    from trl import GRPOConfig

    from training.grpo import train_in

    model, out, steps, *pairs = sys.argv[1:]
    told = dict(pair.split("=", 1) for pair in pairs)
    if "calls" in told:
        rank, n_calls = told.pop("calls").split(":")
        calling(int(rank), int(n_calls))
    # An episode of a single turn: whatever the model writes is its answer.
    world = fake_world(max_turns=int(told.pop("max_turns", "1")))
    settings = RewardSettings(vision={"likeness": 1.0}, vision_weight=10.0)
    rewarder = Rewarder(Letters(world.canvas), "python", settings)  # type: ignore[arg-type]
    arguments = GRPOConfig(
        output_dir=out,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=16,
        max_steps=int(steps),
        learning_rate=1e-3,
        logging_steps=1,
        save_steps=2,
        report_to=[],
        bf16=False,
        seed=7,
        deepspeed=told.pop("deepspeed", None),
        disable_tqdm=True,
    )
    tell_ranks()
    samples = load("synthetic:tiny?n=12", setting="with_reference")
    run = RunArguments(model=model, patience=float(told.pop("patience", "600")))
    train_in(replace(world, rewarder=rewarder), samples, None, run, arguments)
    print("finished", Path(out).name)


if __name__ == "__main__":
    run_as_command(main)
