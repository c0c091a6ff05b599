"""Shared by the tests of training: a world without renderers, and a model that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrvf.agent import AgentSettings
from rrvf.bench import Bench
from rrvf.benchmarks.benchmark import Benchmark, mean_score
from rrvf.errors import HarnessError
from rrvf.kinds.chart import ChartKind
from rrvf.kinds.kind import Drawn
from rrvf.replies import extract_code
from rrvf.rewards import Rewarder, RewardSettings
from rrvf.scorers.judge import Judge
from rrvf.scoring import Item, Outcome, judge_pictures
from rrvf.types import Column, Sample, SampleResult, Score
from tests.episodes import TARGET, FakeCanvas, ScriptedTeacher
from training.chat_tokens import ChatTokens, Tokens
from training.generation import Generated
from training.rollouts import World

LIKENESS = {"red": 1.0, "blue": 0.6, "green": 0.2}
"""Of a picture drawn by ``ok <colour>``."""


class FakeBenchmark(Benchmark):
    """Whatever ``ok <colour>`` is about."""

    name = "fake"
    title = "Fake"
    kind = "chart"
    columns = (
        Column("exec_rate", "Exec rate", "execution"),
        Column("other", "Other", "other"),
    )
    scorers = ("execution",)


class FakeBench(Bench):
    """Scores ``ok <colour>`` by its colour; ``lost`` samples cannot be scored."""

    def __init__(self, lost: frozenset[str] = frozenset(), judge: Judge | None = None) -> None:
        kind: Any = ChartKind
        scorers: dict[str, Any] = {"execution": None, "likeness": None}
        super().__init__(FakeBenchmark(), kind, scorers, judge)
        vars(self).update(lost=lost, canvas=FakeCanvas())

    def protocol(self) -> dict[str, Any]:
        return {"benchmark": self.benchmark.name}

    def environment(self) -> dict[str, Any]:
        return {}

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        rate = mean_score(results, "execution")
        return {"exec_rate": rate, "n": len(results), "other": None}

    def close(self) -> None:
        pass

    def target(self, sample: Sample) -> bytes:
        return vars(self)["canvas"].target(sample)

    def draw(self, sample: Sample, code: str) -> Drawn:
        return vars(self)["canvas"].draw(sample, code)

    def score(self, item: Item) -> Outcome:
        sample, completion = item
        if sample.id in vars(self)["lost"]:
            raise HarnessError("the judge is down")
        code = None if completion is None else extract_code(completion, "python")
        if code is None:
            return Outcome(without_code(item, self.names()))
        drawn = self.draw(sample, code)
        ok = drawn.status == "ok"
        value = LIKENESS.get(code.split()[-1], 0.0) if ok else 0.0
        seen = judge_pictures(self.judge, drawn.status, TARGET, drawn.png)
        scores = {"execution": Score(float(ok)), "likeness": Score(value), **seen}
        pictures = {} if drawn.png is None else {"rendering": drawn.png}
        return Outcome(
            SampleResult(sample.id, drawn.status, drawn.error, 0.1, scores, code, completion),
            pictures,
        )


def without_code(item: Item, names: Sequence[str]) -> SampleResult:
    sample, completion = item
    scores = {name: Score.failed() for name in names}
    return SampleResult(sample.id, "no_code", "no code", 0.0, scores, completion=completion)


def fake_world(
    *,
    lost: Sequence[str] = (),
    max_tokens: int = 4000,
    judge: Judge | None = None,
    **settings: Any,
) -> World:
    """Everything an episode needs, made of fakes; a judge's score is then the reward."""
    rewarder = Rewarder(
        FakeBench(frozenset(lost), judge),
        RewardSettings(vision={"likeness" if judge is None else "gpt": 1.0}),
    )
    return World(
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
