"""Several episodes of a sample: means, the best of them, the chance that one of k runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.bootstrap import intervals, read_results
from rrvf.repeats import repeat_items, summarize_repeats
from rrvf.types import Sample, SampleResult, Score, Status
from tests.chat_server import ChatServer, Reply, Request, answer
from tests.runs import assert_one_line, lines_of, plot, rrvf_here, summary_of, values

COLUMNS = Plot2Code.columns


def episode(sample: str, number: int, status: Status, text: float | None) -> SampleResult:
    ran = float(status == "ok")
    scores = {"execution": Score(ran), "text": Score(text)}
    tags = {"sample": sample, "repeat": str(number)}
    return SampleResult(f"{sample}#{number}", status, None, 0.0, scores, tags=tags)


def group(sample: str, *texts: float) -> list[SampleResult]:
    """Episodes of which those with a text of 0 did not run."""
    return [
        episode(sample, number, "ok" if text else "code_error", text)
        for number, text in enumerate(texts, start=1)
    ]


RESULTS = [*group("a", 0.5, 0, 0.25, 0), *group("b", 0, 0, 0, 0), *group("c", 1, 1, 0.5, 1)]


def chance(runs: Sequence[bool], k: int) -> float:
    """The share of choices of k episodes among which one runs, counted one by one."""
    choices = list(combinations(runs, k))
    return sum(map(any, choices)) / len(choices)


def test_the_chance_that_one_of_k_runs_is_that_over_all_choices() -> None:
    told = summarize_repeats(RESULTS, COLUMNS)
    runs = [[result.status == "ok" for result in RESULTS[n : n + 4]] for n in (0, 4, 8)]
    for k in (1, 2, 4):
        wanted = 100 * sum(chance(each, k) for each in runs) / 3
        assert told["pass_at"][str(k)] == pytest.approx(wanted)
    assert (told["n"], told["n_samples"]) == (4, 3)


def test_the_best_of_them_is_taken_score_by_score() -> None:
    best = summarize_repeats(RESULTS, COLUMNS)["best_of"]
    assert best["exec_rate"] == pytest.approx(200 / 3)
    assert best["text"] == pytest.approx(100 * (0.5 + 0 + 1) / 3)
    assert best["text_pass"] == pytest.approx(75.0)


def test_what_could_not_be_scored_is_no_failure() -> None:
    lost = [episode("a", 1, "ok", 1.0), episode("a", 2, "harness_error", None)]
    told = summarize_repeats([*lost, *group("b", 1, 0)], COLUMNS)
    assert told["pass_at"] == {"1": pytest.approx(75.0), "2": 100.0}
    assert told["best_of"]["text"] == 100.0


def test_episodes_of_a_sample_are_drawn_together() -> None:
    results = [r for n in range(20) for r in group(f"s{n}", n / 20, n / 20, n / 20)]
    together = intervals(COLUMNS, read_results(results))["text"]
    once = [SampleResult(f"s{n}", "ok", None, 0.0, {"text": Score(n / 20)}) for n in range(20)]
    alone = intervals(COLUMNS, read_results(once))["text"]
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))


def test_a_sample_that_is_played_once_stays_as_it_is() -> None:
    items = [(Sample("a", tags={"category": "bar"}), None)]
    assert repeat_items(items, 1) == items
    assert summarize_repeats([SampleResult("a", "ok", None, 0.0, {})], COLUMNS) == {}
    twice = repeat_items(items, 2)
    assert [sample.id for sample, _ in twice] == ["a#1", "a#2"]
    assert twice[1][0].tags == {"category": "bar", "sample": "a", "repeat": "2"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        script = plot(f"title {name}") + '\nplt.savefig("a.pdf")'
        (tmp_path / "data" / f"{name}.py").write_text(script)
    return tmp_path / "data"


def test_every_episode_is_asked_for_played_and_summed_up(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))

    def says(request: Request) -> Reply:
        # The third of each sample's episodes does not run; the seed tells them apart.
        code = "raise ValueError" if request.body["seed"] == 9 else plot("title a")
        return answer(f"```python\n{code}\n```")

    out = tmp_path / "out"
    with ChatServer(says) as server:
        command: list[Any] = [
            *("eval", "chartmimic", "--data", data, "--policy", "m", "--base-url", server.url),
            *("--max-turns", 1, "--repeats", 3, "--temperature", 0.7, "--seed", 7, "--out", out),
        ]
        done = rrvf_here(*command)
        assert done.returncode == 0, done.stderr
        assert sorted(request.body["seed"] for request in server.requests) == [7, 7, 8, 8, 9, 9]
        assert rrvf_here(*command).returncode == 0
        assert len(server.requests) == 6, "a finished run asks nobody"
    lines = lines_of(out)
    assert sorted(lines) == [f"{name}#{number}" for name in "ab" for number in (1, 2, 3)]
    assert [values(lines[f"a#{n}"])["text"] for n in (1, 2, 3)] == [1.0, 1.0, 0.0]
    summary = summary_of(out)
    assert summary["metrics"]["exec_rate"] == pytest.approx(200 / 3)
    assert summary["repeats"]["best_of"]["text"] == 50.0
    assert summary["repeats"]["pass_at"] == {
        "1": pytest.approx(200 / 3),
        "2": 100.0,
        "3": 100.0,
    }
    assert "2 samples, 3 episodes each" in done.stdout
    assert "2 samples, 3 episodes each" in (out / "report.html").read_text()
    assert "3 a sample" in rrvf_here("tables", "chartmimic", "--runs", out).stdout
    again = rrvf_here("rescore", out, "--out", tmp_path / "again", "--judge", "likeness")
    assert again.returncode == 0, again.stderr
    assert summary_of(tmp_path / "again")["repeats"]["pass_at"] == summary["repeats"]["pass_at"]


def test_repeats_that_mean_nothing_are_refused(data: Path, tmp_path: Path) -> None:
    words = ("eval", "chartmimic", "--data", data, "--out", tmp_path / "out", "--repeats", 2)
    done = rrvf_here(*words, "--policy", "m", "--base-url", "http://127.0.0.1:1")
    assert_one_line(done, "at temperature 0", "set --temperature")
    (tmp_path / "turns.jsonl").write_text('{"id": "a", "turns": ["x"]}\n')
    done = rrvf_here(*words, "--policy", tmp_path / "turns.jsonl")
    assert_one_line(done, "--repeats has no effect with recorded answers")
