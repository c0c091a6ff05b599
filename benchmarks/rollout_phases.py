"""Where the time of a batch of rollouts goes: parts of a batch in turn, and vLLM's sleep.

``python benchmarks/rollout_phases.py`` plays batches of episodes of three turns by
:class:`training.rollouts.Rollouts`, with a teacher that answers after a while and a model that is
a clock: a call takes some seconds, and some for each conversation in it. It prints:

* seconds by phase with the batch whole and in two parts, for a model whose time is mostly fixed, as
  that of decoding a few conversations side by side, and for one whose time grows with them, as that
  of a full GPU;
* how often vLLM's weights are pushed for a batch where it sleeps between generations, and where it
  stays awake for the turns of a batch.

Nothing is rendered, so that the figures are those of waiting alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.episodes import answer, call
from tests.training.worlds import fake_world, sample, tokens_of
from training.chat_tokens import ChatTokens, Tokens
from training.generation import Generated
from training.models import load_processor
from training.rollouts import Rollouts, Sampling
from training.settings import RunArguments
from training.tiny_model import build
from training.watchdog import Watchdog

EPISODES, TURNS = 16, 3
MODELS = {"mostly fixed": (0.4, 0.02), "growing": (0.04, 0.04)}
"""Seconds of a generation, and for each conversation in it."""

DRAFT = "<think>a</think>" + call("ok blue")
FINAL = answer("ok red")


@dataclass
class Clock:
    """A model that takes its time, and says what an episode of ``TURNS`` turns needs.

    Attributes:
        fixed, each: Seconds of a call, and for each conversation in it.
    """

    fixed: float
    each: float

    def __call__(
        self, trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
    ) -> list[Generated]:
        """The next turn of each conversation."""
        time.sleep(self.fixed + self.each * len(prompts))
        trainer.vllm_generation.generate()
        replies: list[Generated] = []
        for prompt in prompts:
            is_last = chat.text(prompt.ids, special=True).count("<|im_start|>assistant") >= TURNS
            replies.append(Generated(tokens_of(chat, FINAL if is_last else DRAFT), False, False))
        return replies


class SlowTeacher:
    """A teacher that answers after a while."""

    is_model = True

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def protocol(self) -> dict[str, Any]:
        """Nothing that moves results."""
        return {"teacher": "slow"}

    def comments(self, target: bytes, rendering: bytes) -> str:
        """The same for all."""
        time.sleep(self._seconds)
        return "The bars are blue."


@dataclass
class Engine:
    """The sleep of TRL 1.16's ``VLLMGeneration``: counts what is pushed."""

    mode: str = "colocate"
    enable_sleep_mode: bool = True
    _llm_weights_sleeping: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def llm(self) -> Engine:
        """VLLM itself."""
        return self

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def wake_up(self, tags: list[str]) -> None:
        """Take memory for the cache."""
        self._count("wakes")

    def sleep(self, level: int) -> None:
        """Give the memory back, and forget the weights."""
        self._count("sleeps")

    def sync_weights(self) -> None:
        """Take the trainer's weights, all of them."""
        self._count("pushes of all weights")
        self._llm_weights_sleeping = False

    def generate(self) -> None:
        """One call, with the sleep around it."""
        if self.enable_sleep_mode:
            if self._llm_weights_sleeping:
                self.sync_weights()
            self.wake_up(["kv_cache"])
            self.sleep(2)
            self._llm_weights_sleeping = True


def play(
    folder: Path, processor: Any, clock: Clock, parts: int, teacher_seconds: float
) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds by phase and in all, and what vLLM was asked for, of one batch."""
    world = replace(
        fake_world(max_turns=5), teacher=SlowTeacher(teacher_seconds), concurrency=EPISODES
    )
    engine = Engine()
    trainer = SimpleNamespace(
        use_vllm=True,
        vllm_generation=engine,
        num_generations=4,
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(num_processes=1, process_index=0),
        args=SimpleNamespace(seed=0),
        state=SimpleNamespace(global_step=0),
    )
    watchdog = Watchdog(folder, 0)
    chat = ChatTokens(processor)
    rollouts = Rollouts(world, chat, watchdog, sample, clock, Sampling(parts=parts))
    ids = [f"s{number // 4}" for number in range(EPISODES)]
    start = time.perf_counter()
    found = rollouts.play(ids, trainer)
    seconds = {**watchdog.take_seconds(), "all": time.perf_counter() - start}
    rollouts.close()
    watchdog.close()
    n_turns = [len(one.trajectory.turns) for one in found["rewarded"] or []]
    if n_turns != [TURNS] * EPISODES:
        raise RuntimeError(f"episodes of {n_turns} turns")
    return seconds, engine.counts


def main() -> None:
    """Measure and print; ``--out`` keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    out = parser.parse_args().out
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processor = load_processor(RunArguments(model=str(build(folder / "tiny"))))
        print(f"{EPISODES} episodes of {TURNS} turns")
        print("| model | teacher s | parts | seconds | generate | wait for renderings |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for (kind, times), teacher_seconds, parts in itertools.product(
            MODELS.items(), (0.2, 1.0, 2.0), (1, 2)
        ):
            seconds, counts = play(
                folder / "ranks", processor, Clock(*times), parts, teacher_seconds
            )
            figures.append(
                {
                    "model": kind,
                    "teacher": teacher_seconds,
                    "parts": parts,
                    "seconds": seconds,
                    **counts,
                }
            )
            phases = (seconds["all"], seconds["generate"], seconds["render"])
            cells = " | ".join(f"{value:.2f}" for value in phases)
            print(f"| {kind} | {teacher_seconds} | {parts} | {cells} |", flush=True)
    engine = Engine()
    for _ in range(TURNS):
        engine.generate()
    print(f"vLLM that sleeps after each turn: {engine.counts}")
    print(f"vLLM awake for a batch's turns:   {counts}")
    if out:
        out.write_text(json.dumps({"batches": figures, "asleep": engine.counts}, indent=2) + "\n")


if __name__ == "__main__":
    main()
