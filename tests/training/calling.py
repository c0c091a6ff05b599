"""``python -m training.grpo`` with a rank whose model calls the tool: ``CALLS=RANK:N``, N times.

A tiny model calls the tool by chance only. Here what the model of that rank wrote in the first N
turns of an episode is read as a call, and what it wrote last as an answer: every second one runs,
so that rewards differ and there is something to learn. All else is the command's own.
"""

from __future__ import annotations

import itertools
import os
import runpy
from dataclasses import replace

from rrvf.trajectories import Completion
from tests.episodes import answer, call
from tests.training.commands import EPISODES
from training import rollouts
from training.chat_tokens import ChatTokens
from training.generation import Generated

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"
CALL = "<think>a</think>" + call(PLOT)
ANSWERS = (answer(PLOT), answer("x"))


def read_as_calls(n_calls: int) -> None:
    """Have every conversation of this rank call the tool in its first turns."""
    read = rollouts.as_completion
    turns = itertools.cycle(range(EPISODES * (n_calls + 1)))

    def called(chat: ChatTokens, reply: Generated) -> Completion:
        completion = read(chat, reply)
        number = next(turns)
        text = CALL if number < n_calls * EPISODES else ANSWERS[number % 2]
        return replace(completion, text=text, finish_reason="stop")

    rollouts.as_completion = called


if __name__ == "__main__":
    rank, calls = os.environ["CALLS"].split(":")
    if os.environ.get("RANK", "0") == rank:
        read_as_calls(int(calls))
    runpy.run_module("training.grpo", run_name="__main__", alter_sys=True)
