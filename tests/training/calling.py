"""``python -m training.grpo`` with a rank whose model calls the tool: ``CALLS=RANK:N``, N times.

A tiny model calls the tool by chance only. Here what the model of that rank wrote in the first N
turns of an episode is read as a call; all else is the command's own.
"""

from __future__ import annotations

import itertools
import os
import runpy
from dataclasses import replace

from rrvf.trajectories import Completion
from tests.episodes import call
from tests.training.commands import EPISODES
from training import rollouts
from training.chat_tokens import ChatTokens
from training.generation import Generated

CALL = "<think>a</think>" + call("import matplotlib.pyplot as plt\nplt.plot([1, 2])")


def read_as_calls(n_calls: int) -> None:
    """Have every conversation of this rank call the tool in its first turns."""
    read = rollouts.as_completion
    turns = itertools.cycle(range(EPISODES * (n_calls + 1)))

    def called(chat: ChatTokens, reply: Generated) -> Completion:
        completion = read(chat, reply)
        text = CALL if next(turns) < n_calls * EPISODES else "<think>a</think><answer>x</answer>"
        return replace(completion, text=text, finish_reason="stop")

    rollouts.as_completion = called


if __name__ == "__main__":
    rank, calls = os.environ["CALLS"].split(":")
    if os.environ.get("RANK", "0") == rank:
        read_as_calls(int(calls))
    runpy.run_module("training.grpo", run_name="__main__", alter_sys=True)
