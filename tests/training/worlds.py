"""Shared by the tests of training: a world without renderers, and a model that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrvf.agent import AgentSettings
from rrvf.benchmarks.means import mean
from rrvf.canvases import Drawn
from rrvf.errors import HarnessError
from rrvf.replies import extract_code
from rrvf.rewards import Rewarder, RewardSettings
from rrvf.scorers.judge import Judge
from rrvf.scoring import Item, Outcome, judged, score_names, without_code
from rrvf.types import Sample, SampleResult, Score
from tests.episodes import TARGET, FakeCanvas, ScriptedTeacher
from training.chat_tokens import ChatTokens, Tokens
from training.generation import Generated
from training.rollouts import World

LIKENESS = {"red": 1.0, "blue": 0.6, "green": 0.2}
"""Of a picture drawn by ``ok <colour>``."""


@dataclass(frozen=True)
class FakeScoring:
    """Scores ``ok <colour>`` by its colour; ``lost`` samples cannot be scored."""

    canvas: FakeCanvas
    lost: frozenset[str] = frozenset()
    scorers: tuple[str, ...] = ("execution", "likeness")
    judge: Judge | None = None
    benchmark: str = "fake"

    def protocol(self) -> dict[str, Any]:
        return {"benchmark": self.benchmark}

    def environment(self) -> dict[str, Any]:
        return {}

    def find_scorers(self) -> Mapping[str, Any]:
        return {}

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        return {"exec_rate": mean(results, "execution"), "n": len(results), "other": None}

    def lacks(self) -> Sequence[str]:
        return ()

    def waiting(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def score(self, item: Item, scorers: Mapping[str, Any]) -> Outcome:
        sample, completion = item
        if sample.id in self.lost:
            raise HarnessError("the judge is down")
        code = None if completion is None else extract_code(completion, "python")
        if code is None:
            return Outcome(without_code(item, score_names(self), "no code"))
        drawn: Drawn = self.canvas.draw(sample, code)
        ok = drawn.status == "ok"
        value = LIKENESS.get(code.split()[-1], 0.0) if ok else 0.0
        seen = judged(self.judge, drawn.status, TARGET, drawn.png)
        scores = {"execution": Score(float(ok)), "likeness": Score(value), **seen}
        pictures = {} if drawn.png is None else {"rendering": drawn.png}
        return Outcome(
            SampleResult(sample.id, drawn.status, drawn.error, 0.1, scores, code, completion),
            pictures,
        )


def fake_world(
    *,
    lost: Sequence[str] = (),
    max_tokens: int = 4000,
    judge: Judge | None = None,
    **settings: Any,
) -> World:
    """Everything an episode needs, made of fakes; a judge's score is then the reward."""
    canvas = FakeCanvas()
    rewarder = Rewarder(
        FakeScoring(canvas, frozenset(lost), judge=judge),
        "python",
        RewardSettings(vision={"likeness" if judge is None else "gpt": 1.0}),
    )
    return World(
        canvas,
        ScriptedTeacher(),
        AgentSettings.of("python", **{"max_pixels": 112 * 112, "turn_tokens": 200, **settings}),
        rewarder,
        max_tokens,
        concurrency=4,
    )


@dataclass
class ScriptedModel:
    """Generates what a script says for each conversation and turn.

    Attributes:
        says: Sample's number in the batch and turn (from 0) -> text; an end-of-turn token follows
            where it begins with ``.``.
        n_conversations: Of each call.
    """

    says: Callable[[int, int], str]
    n_conversations: list[int] = field(default_factory=list)
    _turns: dict[int, int] = field(default_factory=dict)
    _active: list[int] | None = None

    def __call__(
        self, trainer: Any, chat: ChatTokens, prompts: Sequence[Tokens], stop: Sequence[str]
    ) -> list[Generated]:
        self.n_conversations.append(len(prompts))
        replies: list[Generated] = []
        for number in range(len(prompts)):
            n_said = chat.text(prompts[number].ids, special=True).count("<|im_start|>assistant") - 1
            text = self.says(number, n_said)
            ended = text.startswith(".")
            ids = tokens_of(chat, text.removeprefix("."))
            replies.append(Generated(ids + [chat.end_token] * ended, ended, False))
        return replies


def tokens_of(chat: ChatTokens, text: str) -> list[int]:
    """A text as the model would have generated it."""
    return list(chat.tokenizer(text, add_special_tokens=False)["input_ids"])


def sample(sample_id: str) -> Sample:
    """The sample of an id."""
    return Sample(sample_id, "reference", prompt="Draw this chart.")
