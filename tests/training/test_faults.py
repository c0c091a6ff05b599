"""Judge, renderer and teacher fail in many calls: training ends, and counts what was lost."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rrvf.chat import Chat, ChatSettings
from rrvf.errors import UserError
from rrvf.scorers.model_judge import ModelJudge
from rrvf.scorers.rubrics import load_rubric
from tests.chat_server import ChatServer, Reply, Request, error, models
from tests.chat_server import answer as says
from tests.episodes import answer, call
from tests.training.test_rollouts import trainer_for
from tests.training.worlds import ScriptedModel, fake_world

pytestmark = pytest.mark.filterwarnings("default")

N_STEPS, N_ROLLOUTS = 4, 8


def shade(number: int) -> str:
    """A colour of its own for each rollout, so that each is a question of its own."""
    return f"#{zlib.crc32(str(number).encode()) & 0xFFFFFF:06x}"


def faulty(request: Request) -> bool:
    """Three in ten questions, always the same ones."""
    return zlib.crc32(request.pictures[-1]) % 10 < 3


def train_with(chat: Chat, folder: Path, tiny: Path, processor: Any, model: ScriptedModel) -> Any:
    """Train for a few steps with a model as the judge, who is waited for; returns the trainer."""
    world = fake_world(judge=ModelJudge(chat, load_rubric("vision_reward")))
    with trainer_for(
        folder,
        tiny,
        processor,
        replace(world, servers=(chat,)),
        model,
        max_steps=N_STEPS,
        per_device_train_batch_size=N_ROLLOUTS,
    ) as trainer:
        trainer.train()
    return trainer


def test_a_judge_and_a_renderer_that_fail_three_times_in_ten(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    asked: dict[bytes, bool] = {}

    def judge(request: Request) -> Reply:
        asked[request.pictures[-1]] = faulty(request)
        if faulty(request):
            return error(500, "out of memory")
        return says(f"Score: {zlib.crc32(request.pictures[-1]) % 11}/10")

    numbers = iter(range(10_000))
    n_broken: list[int] = []

    def script(_: int, turn: int) -> str:
        if turn == 0:
            return "<think>a</think>" + call("ok " + shade(next(numbers)))
        number = next(numbers)
        if number % 10 < 3:  # the renderer fails on the final code
            n_broken.append(number)
            return "." + answer("broken")
        return "." + answer("ok " + shade(number))

    with ChatServer(judge) as server:
        settings = ChatSettings("judge", base_url=server.url, attempts=2)
        with Chat(settings, sleep=lambda _: None) as chat:
            trainer = train_with(chat, tmp_path, tiny, processor, ScriptedModel(script))
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == N_STEPS
    n_judge = sum(asked.values())
    assert n_judge > 0
    assert n_broken
    # Every lost rollout is counted, by what lost it, and none is a zero.
    total = N_STEPS * N_ROLLOUTS
    assert sum(entry["unscored"] for entry in logged) * N_ROLLOUTS == pytest.approx(
        n_judge + len(n_broken)
    )
    assert sum(entry["harness_failures"] for entry in logged) * N_ROLLOUTS == pytest.approx(
        len(n_broken)
    )
    assert len(asked) == total - len(n_broken)
    scores = [zlib.crc32(png) % 11 / 10 for png, lost in asked.items() if not lost]
    rewards = [0.8 * score + 1.2 * (score > 0.5) for score in scores]
    weights = [1 - entry["unscored"] for entry in logged]
    mean = sum(entry["reward"] * weight for entry, weight in zip(logged, weights, strict=True))
    assert mean * N_ROLLOUTS == pytest.approx(sum(rewards), rel=1e-4)
    for entry in logged:
        numbers_of = [value for value in entry.values() if isinstance(value, float)]
        assert all(math.isfinite(value) for value in numbers_of), json.dumps(entry)
    assert all(torch.isfinite(value).all() for value in trainer.model.parameters())


def test_a_judge_that_was_away_for_a_batch_is_asked_again(
    tmp_path: Path, tiny: Path, processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []
    pauses: list[float] = []
    is_back = False

    def is_away() -> bool:
        return len(steps) == 2 and not is_back

    def pause(seconds: float) -> None:
        nonlocal is_back
        pauses.append(seconds)
        is_back = len(pauses) == 2

    def judge(_: Request) -> Reply:
        return error(503) if is_away() else says("Score: 9/10")

    numbers = iter(range(10_000))

    def script(number: int, turn: int) -> str:
        if turn == 0 and number == 0:
            steps.append(number)
        return "." + answer("ok " + shade(next(numbers)))

    with ChatServer(judge) as server:
        server.models = lambda: error(503) if is_away() else models({"id": "judge"})()
        settings = ChatSettings("judge", base_url=server.url, attempts=1)
        with Chat(settings, sleep=pause) as chat:
            trainer = train_with(chat, tmp_path, tiny, processor, ScriptedModel(script))
    logged = [entry for entry in trainer.state.log_history if "step_time" in entry]
    assert [entry["unscored"] for entry in logged] == [0.0, 1.0, 0.0, 0.0]
    assert [entry["ranks_without_reward"] for entry in logged] == [0.0, 1.0, 0.0, 0.0]
    assert len(pauses) == 2
    told = [record.getMessage() for record in caplog.records]
    assert "judge stopped answering: waiting for it, 300 s at most" in told
    assert "judge answers again" in told


def test_one_rank_that_can_measure_nothing_ends_the_run(
    tmp_path: Path, tiny: Path, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import trainer as module

    gather = module.gather_object

    def of_two(values: list[Any]) -> list[Any]:
        """What a second rank adds whose judge is down."""
        is_loss = values and isinstance(values[0], tuple)
        return [*values, (True, "the judge is down")] if is_loss else gather(values)

    monkeypatch.setattr(module, "gather_object", of_two)
    model = ScriptedModel(lambda _number, _turn: "." + answer("ok red"))
    with (
        trainer_for(tmp_path, tiny, processor, fake_world(), model, max_steps=9) as trainer,
        pytest.raises(UserError, match=r"3 batches in a row by rank 1: the judge is down"),
    ):
        trainer.train()
    assert trainer.state.global_step == 2


def test_a_teacher_that_fails_is_counted_and_the_episode_goes_on(
    tmp_path: Path, tiny: Path, processor: Any
) -> None:
    from rrvf.errors import HarnessError

    world = fake_world()
    world.teacher.says = HarnessError("the teacher is down")  # type: ignore[attr-defined]
    steps = ("<think>a</think>" + call("ok blue"), "." + answer("ok red"))
    model = ScriptedModel(lambda _, turn: steps[turn])
    with trainer_for(tmp_path, tiny, processor, world, model) as trainer:
        trainer.train()
    [entry] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert entry["teacher_failures"] == 1.0
    assert entry["unscored"] == 0.0
    assert entry["reward"] == pytest.approx(2.0)
