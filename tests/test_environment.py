"""The library as a program with a policy of its own uses it: what ``import rrvf`` offers."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import rrvf
from rrvf import Environment, RewardOptions, RunOptions, open_bench, open_environment
from rrvf.errors import UserError
from rrvf.types import Sample
from tests.runs import fenced, plot

CODE = plot("Tides")
ANSWER = f"<think>A line.</think><answer>{fenced(CODE)}</answer>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "bar_1.py").write_text(CODE)
    (folder / "broken.py").write_text("raise ValueError('no reference')")
    return folder


@pytest.fixture(scope="module")
def environment(data: Path) -> Iterator[Environment]:
    reward = RewardOptions(reward_vision="text=1")
    with open_environment("chartmimic", RunOptions(data=str(data)), reward=reward) as opened:
        yield opened


def test_the_ten_lines_of_the_documentation_run(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rrvf.__doc__ is not None
    block = re.search(r"::\n\n(.*?)\n\n:func", rrvf.__doc__, re.DOTALL)
    assert block is not None
    code = textwrap.dedent(block[1])
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    asked: list[list[str]] = []

    def ask_model(messages: list[dict[str, object]]) -> str:
        asked.append([str(message["role"]) for message in messages])
        return ANSWER

    exec(
        code.replace("DATASET", str(data)),
        {"answer": fenced(CODE), "ask_model": ask_model},
    )
    assert capsys.readouterr().out.split() == ["1.0", "0.8"]
    assert asked == [["system", "user"]]


def test_a_bench_is_opened_by_name() -> None:
    sample = Sample("a", reference_code=CODE)
    with open_bench("chartmimic", scorers=["text"]) as bench:
        assert bench.score((sample, fenced(CODE))).result.scores["text"].value == 1.0


def test_all_completions_at_once(environment: Environment) -> None:
    assert environment.play("bar_1", [ANSWER, "never read"]).rewarded().reward.total == 0.8
    unanswered = environment.play("bar_1", [])
    assert unanswered.stop_reason == "token_budget"
    assert unanswered.rewarded().reward.vision == 0.0
    with pytest.raises(ValueError, match="over"):
        unanswered.step(ANSWER)


def test_what_is_missing(environment: Environment) -> None:
    with pytest.raises(UserError, match="no sample 'nobody'"):
        environment.begin("nobody")
    with (
        pytest.raises(UserError, match="no data are named"),
        open_environment("chartmimic", RunOptions(data=None)),
    ):
        pass
    play = environment.begin("broken")
    assert play.stop_reason == "harness_error"
    assert play.error is not None
    assert "cannot be drawn" in play.error
    assert play.messages() == []
    assert play.rewarded().reward.total is None


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, rrvf; print(sorted(m for m in sys.modules if m.startswith('rrvf')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['rrvf']"


def test_every_name_that_it_offers_is_there() -> None:
    for name in rrvf.__all__:
        assert getattr(rrvf, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(rrvf, "no_such_name")  # noqa: B009
