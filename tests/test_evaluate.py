"""Scoring many answers: whose fault a failure is, what is written when, and what a run adds up to.

Most of it needs no chart: the renderer is one that draws by lookup. What must hold with real
charts too is tested with the real one at the end.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrvf.bench import find_differences, open_bench
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.errors import DataError, SetupError, UserError
from rrvf.evaluate import item_key, score_item, score_predictions
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.scoring import Item
from rrvf.types import Sample, SampleResult, Score
from tests.benches import chart_bench
from tests.runs import (
    FakeRenderer,
    fenced,
    kept_renderer,
    lines_of,
    plot,
    sample,
    summary_of,
    values,
    wait_for,
)

ALL = ("execution", "text", "layout", "type", "color")
ZERO = dict.fromkeys(ALL, 0.0)
NULL = dict.fromkeys(ALL, None)


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))


def scored(item: Item, renderer: ChartRenderer, **settings: Any) -> SampleResult:
    scoring = chart_bench(renderer, **settings)
    return score_item(item, scoring).result


def run(
    out: Path, items: list[Item], renderer: FakeRenderer | None = None, **settings: Any
) -> dict[str, SampleResult]:
    workers = settings.pop("workers", 2)
    scoring = chart_bench(renderer or FakeRenderer(), **settings)
    return {r.sample_id: r for r in score_predictions(items, scoring, out, workers)}


def found(result: SampleResult) -> dict[str, float | None]:
    return {name: score.value for name, score in result.scores.items()}


def answers(*names: str) -> list[Item]:
    """Samples whose answers draw their names."""
    return [(sample(name, f"ok {name}"), fenced(f"ok {name}")) for name in names]


# ---------------------------------------------------------------------------- one item


@pytest.mark.parametrize("status", ["code_error", "timeout", "out_of_memory"])
def test_a_failure_of_the_model_is_zero_everywhere(status: str) -> None:
    result = scored((sample("a"), fenced(status)), FakeRenderer())
    assert (result.status, found(result)) == (status, ZERO)
    assert result.error == f"it was to be {status}"
    for score in result.scores.values():
        assert score.details["f1"] == score.details["precision"] == score.details["recall"] == 0.0


@pytest.mark.parametrize(
    ("completion", "error"),
    [(None, "no answer"), ("prose", "no ```python block in the answer"), ("", "no ```python")],
)
def test_an_answer_without_code_is_zero_everywhere(completion: str | None, error: str) -> None:
    renderer = FakeRenderer()
    result = scored((sample("a"), completion), renderer)
    assert (result.status, found(result)) == ("no_code", ZERO)
    assert result.error is not None
    assert error in result.error
    assert result.completion == completion
    assert all(score.details["f1"] == 0.0 for score in result.scores.values())
    assert renderer.drawn == ["ok target"], "only the reference"


@pytest.mark.parametrize(
    ("reference", "answer"), [("ok a", "harness_error"), ("harness_error", "ok a")]
)
def test_a_failure_of_ours_is_no_number(reference: str, answer: str) -> None:
    result = scored((sample("a", reference), fenced(answer)), FakeRenderer())
    assert (result.status, found(result)) == ("harness_error", NULL)
    assert result.error == "the chart server is gone"
    assert all("value" not in score.details for score in result.scores.values())


def test_an_unexpected_exception_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("rrvf.bench.score_each", broken)
    result = scored((sample("a"), fenced("ok target")), FakeRenderer())
    assert (result.status, found(result)) == ("harness_error", NULL)
    assert result.error == "scoring a: ZeroDivisionError: oops"


def test_a_sample_without_a_reference_is_unscored() -> None:
    result = scored((Sample("a"), fenced("ok a")), FakeRenderer())
    assert (result.status, found(result)) == ("harness_error", NULL)


@pytest.mark.parametrize("reference", ["code_error", "timeout", "out_of_memory"])
def test_a_reference_that_does_not_run_leaves_only_the_execution(reference: str) -> None:
    result = scored((sample("a", reference), fenced("ok a")), FakeRenderer())
    assert found(result) == {**NULL, "execution": 1.0}
    assert (result.status, result.error) == (
        "ok",
        f"the reference a cannot be drawn: it was to be {reference}",
    )


@pytest.mark.parametrize(
    ("completion", "own"), [(fenced("code_error"), "it was to be code_error"), (None, "no answer")]
)
def test_both_failures_are_told(completion: str | None, own: str) -> None:
    result = scored((sample("a", "timeout"), completion), FakeRenderer())
    assert result.error == f"{own}; the reference a cannot be drawn: it was to be timeout"
    assert result.scores["execution"].value == 0.0


def test_a_customized_reference_without_data_is_unscored() -> None:
    renderer = FakeRenderer()
    result = scored((sample("a", "ok a", task="customized"), fenced("ok a")), renderer)
    assert (result.status, found(result)) == ("harness_error", NULL)
    assert result.error == 'the reference a has no "Part 2: Data Preparation"'
    assert renderer.drawn == [], "the answer cannot be executed as it was meant"


def test_a_line_tells_what_it_was_made_from() -> None:
    tagged = replace(sample("a", "ok x"), tags={"category": "bar"})
    result = scored((tagged, fenced("ok a")), FakeRenderer())
    assert (result.code, result.completion) == ("ok a", fenced("ok a"))
    assert result.tags == {"category": "bar"}
    assert result.seconds == 0.5


SCORERS = """
from rrvf.types import Score
from tests.benches import chart_bench

def numbers(target, drawing, mode):
    return Score(1.0, {"odd": {1, 2}})

def nan(target, drawing, mode):
    return Score(float("nan"))

def raises(target, drawing, mode):
    raise RuntimeError("my own")

def good(target, drawing, mode):
    return Score(0.25, {"mode": mode})

none = 5
"""


@pytest.fixture
def own_scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_scorers_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(SCORERS)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("kind", ["numbers", "nan", "raises", "none"])
def test_a_scorer_that_fails_leaves_the_other_scores_alone(
    tmp_path: Path, own_scorers: str, kind: str
) -> None:
    own = f"{own_scorers}:{kind}"
    results = run(tmp_path / "out", answers("a", "b"), scorers=("execution", own))
    assert {result.status for result in results.values()} == {"ok"}
    for line in lines_of(tmp_path / "out").values():
        assert values(line) == {"execution": 1.0, own: None}
        assert line["scores"][own]["reason"].startswith(f"{own} failed: ")


def test_a_scorer_by_dotted_path(tmp_path: Path, own_scorers: str) -> None:
    name = f"{own_scorers}:good"
    run(tmp_path / "out", answers("a"), scorers=("text", name))
    line = lines_of(tmp_path / "out")["a"]
    assert values(line) == {"text": 1.0, name: 0.25}
    assert line["scores"][name]["mode"] == "official"


def test_differences_name_what_the_other_mode_says() -> None:
    chosen = {"text": Score(0.5), "color": Score(1.0), "type": Score(None), "layout": Score(0.0)}
    other = {"text": Score(1.0), "color": Score(1.0), "type": Score(0.0), "layout": Score(None)}
    assert find_differences(chosen, other) == {"text": 1.0, "type": 0.0}


def test_the_key_of_an_item_knows_answer_reference_and_task() -> None:
    items: list[Item] = [
        (sample("a"), "x"),
        (sample("a"), "y"),
        (sample("a"), ""),
        (sample("a"), None),
        (sample("a", "other"), "x"),
        (sample("a", task="customized"), "x"),
        (sample("a"), "\ud800"),
    ]
    assert len({item_key(item) for item in items}) == len(items)
    assert item_key(items[0]) == item_key((sample("b"), "x"))


# ---------------------------------------------------------------------------- many items


def test_lines_stand_on_disk_before_they_are_yielded(tmp_path: Path) -> None:
    scoring = chart_bench(FakeRenderer())
    for result in score_predictions(answers("a", "b", "c"), scoring, tmp_path / "out"):
        assert result.sample_id in lines_of(tmp_path / "out")


def test_a_second_run_executes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path / "out", answers("a", "b"))
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    again = FakeRenderer()
    assert run(tmp_path / "out", answers("a", "b"), again) == first
    assert again.drawn == []
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before
    assert summary_of(tmp_path / "out")["metrics"]["text"] == 100.0


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((sample("b"), fenced("ok other")), id="answer"),
        pytest.param((sample("b", "ok another"), fenced("ok b")), id="reference"),
        pytest.param((sample("b"), None), id="no answer any more"),
    ],
)
def test_results_of_other_answers_are_refused(tmp_path: Path, other: Item) -> None:
    items = answers("a", "b", "c")
    run(tmp_path / "out", items)
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    with pytest.raises(DataError, match="holds results of other answers; name another --out"):
        run(tmp_path / "out", [items[0], other, items[2]])
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before


def test_added_answers_and_samples_are_scored_and_nothing_else(tmp_path: Path) -> None:
    items = answers("a", "b", "c")
    run(tmp_path / "out", [items[0], (items[1][0], None)])
    before = lines_of(tmp_path / "out")
    assert before["b"]["status"] == "no_code"
    again = FakeRenderer()
    run(tmp_path / "out", items, again)
    assert "ok a" not in again.drawn
    after = lines_of(tmp_path / "out")
    assert after["a"] == before["a"]
    assert {name: line["status"] for name, line in after.items()} == dict.fromkeys("abc", "ok")


def test_failures_of_ours_are_tried_again_and_those_of_the_model_are_not(tmp_path: Path) -> None:
    items = [
        *answers("a"),
        (sample("model"), fenced("code_error")),
        (sample("ours"), fenced("harness_error")),
        (sample("reference", "timeout"), fenced("ok x")),
    ]
    run(tmp_path / "out", items)
    assert summary_of(tmp_path / "out")["n_unscored"] == {**dict.fromkeys(ALL, 2), "execution": 1}
    again = FakeRenderer()
    run(tmp_path / "out", items, again)
    assert sorted(again.drawn) == ["harness_error", "ok x", "timeout"]
    assert len(lines_of(tmp_path / "out")) == 4


def test_a_limited_run_can_be_completed_but_not_cut(tmp_path: Path) -> None:
    items = answers("a", "b", "c")
    run(tmp_path / "out", items[:1])
    again = FakeRenderer()
    run(tmp_path / "out", items, again)
    assert sorted(again.drawn) == ["ok b", "ok b", "ok c", "ok c"]
    with pytest.raises(DataError, match="results of 2 samples that are not among"):
        run(tmp_path / "out", items[:1])
    assert set(lines_of(tmp_path / "out")) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "fixed"},
        {"scorers": ("text",)},
        {"renderer": FakeRenderer(limits=Limits(cpu_seconds=5))},
        {"renderer": FakeRenderer(versions={"matplotlib": "3.8.4"})},
        {"renderer": FakeRenderer(level="rlimits")},
    ],
)
def test_a_run_with_other_settings_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    run(tmp_path / "out", answers("a"))
    with pytest.raises(DataError, match="a run with other settings"):
        run(tmp_path / "out", answers("a"), **other)


def test_no_scorers_is_a_mistake() -> None:
    with (
        pytest.raises(UserError, match="no scorers named"),
        open_bench(ChartMimic(), scorers=()),
    ):
        pass


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_at_once_as_there_are_workers(tmp_path: Path, workers: int) -> None:
    renderer = FakeRenderer(meeting=workers)
    items: list[Item] = [(sample(f"s{n}"), fenced(f"ok meets {n}")) for n in range(12)]
    results = run(tmp_path / "out", items, renderer, workers=workers)
    assert {result.status for result in results.values()} == {"ok"}, "so many have met"
    assert renderer.most_at_once <= workers
    assert len(results) == 12


def test_a_slow_reader_is_not_run_away_from(tmp_path: Path) -> None:
    """Finished pictures would pile up in memory: only so many items are ahead of who reads."""
    renderer = FakeRenderer()
    items: list[Item] = [(sample(f"s{n}"), fenced(f"ok {n}")) for n in range(60)]
    with closing(score_predictions(items, chart_bench(renderer), tmp_path / "out")) as results:
        next(results)
        time.sleep(0.3)
        assert len(set(renderer.drawn) - {"ok target"}) <= 4


def test_leaving_early_leaves_a_readable_summary(tmp_path: Path) -> None:
    renderer = FakeRenderer()
    items: list[Item] = [(sample(name), fenced(f"ok {name}")) for name in "abcdefgh"]
    results = score_predictions(items, chart_bench(renderer), tmp_path / "out")
    with closing(results):
        next(results)
    assert renderer.closed
    summary = summary_of(tmp_path / "out")
    assert (summary["finished"], summary["n_samples"]) == (False, 8)
    done = set(lines_of(tmp_path / "out"))
    assert summary["statuses"] == {"ok": len(done)}
    assert 0 < len(done) < 8
    again = FakeRenderer()
    assert len(run(tmp_path / "out", items, again)) == 8
    assert summary_of(tmp_path / "out")["finished"] is True
    assert sorted(again.drawn) == [f"ok {name}" for name in "abcdefgh" if name not in done]


def test_a_machine_that_lacks_something_stops_the_run(tmp_path: Path) -> None:
    items = [*answers("a"), (sample("b"), fenced("no_setup"))]
    with pytest.raises(SetupError, match="install one"):
        run(tmp_path / "out", items, workers=1)
    assert summary_of(tmp_path / "out")["finished"] is False


@pytest.mark.parametrize("failing", ["line", "picture", "summary"])
def test_no_space_left_is_one_line_and_nothing_is_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run(tmp_path / "out", answers("a"))
    before = lines_of(tmp_path / "out")
    method = {"line": "append", "picture": "add_picture", "summary": "finish"}[failing]
    with monkeypatch.context() as patch:
        patch.setattr(f"rrvf.run_folder.RunFolder.{method}", full)
        with pytest.raises(UserError, match=r"^no space left while writing .* to resume$"):
            run(tmp_path / "out", answers("a", "b"))
    after = lines_of(tmp_path / "out")
    assert after["a"] == before["a"]
    assert set(after) == ({"a", "b"} if failing == "summary" else {"a"})
    run(tmp_path / "out", answers("a", "b"))
    assert set(lines_of(tmp_path / "out")) == {"a", "b"}


def test_no_space_for_the_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("rrvf.run_folder.write_atomically", full)
    with pytest.raises(UserError, match="no space left while opening"):
        run(tmp_path / "out", answers("a"))


def test_the_summary_counts_and_averages_what_was_scored(tmp_path: Path) -> None:
    items: list[Item] = [
        *answers("a"),
        (sample("half", "ok x y"), fenced("ok x z")),
        (sample("crash"), fenced("code_error")),
        (sample("ours"), fenced("harness_error")),
        (sample("reference", "code_error"), fenced("ok x")),
        (sample("silent"), None),
    ]
    run(tmp_path / "out", items)
    summary = summary_of(tmp_path / "out")
    assert (summary["benchmark"], summary["n_samples"]) == ("chartmimic", 6)
    assert summary["finished"] is True
    assert summary["statuses"] == {"ok": 3, "code_error": 1, "harness_error": 1, "no_code": 1}
    assert summary["n_unscored"] == {
        **dict.fromkeys(ALL, 2),
        "execution": 1,
    }
    metrics = summary["metrics"]
    assert metrics["exec_rate"] == pytest.approx(100 * 3 / 5)
    assert metrics["text"] == pytest.approx(100 * (1 + 0.5 + 0 + 0) / 4)
    assert metrics["type"] == pytest.approx(100 * (1 + 1 + 0 + 0) / 4)
    assert metrics["layout"] == metrics["color"] == 0.0  # neither side has any, officially 0
    assert metrics["average"] == pytest.approx((37.5 + 50 + 0 + 0) / 4)
    assert metrics["gpt"] is metrics["overall"] is None


def test_a_metric_that_was_not_asked_for_is_null(tmp_path: Path) -> None:
    run(tmp_path / "out", answers("a"), scorers=("text", "type"))
    metrics = summary_of(tmp_path / "out")["metrics"]
    assert metrics == {
        "exec_rate": None,
        "text": 100.0,
        "layout": None,
        "type": 100.0,
        "color": None,
        "average": None,
        "gpt": None,
        "overall": None,
    }


def test_nothing_scored_is_null_and_not_zero(tmp_path: Path) -> None:
    run(tmp_path / "out", [(sample("a"), fenced("harness_error"))])
    summary = summary_of(tmp_path / "out")
    assert set(summary["metrics"].values()) == {None}
    assert summary["n_unscored"] == dict.fromkeys(ALL, 1)


def test_the_protocol_hash_moves_with_every_setting() -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"mode": "fixed"},
        {"scorers": ("text",)},
        {"renderer": FakeRenderer(limits=Limits(cpu_seconds=5))},
    ]
    hashes = {
        chart_bench(**{"renderer": FakeRenderer(), **some}).protocol()["hash"] for some in settings
    }
    assert len(hashes) == len(settings)
    assert chart_bench(FakeRenderer()).protocol() == chart_bench(FakeRenderer()).protocol()


# ------------------------------------------------------------------------ with real charts


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=2, limits=Limits(cpu_seconds=20, wall_seconds=60)) as running:
        yield running


CUSTOMIZED = """
# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt

# ===================
# Part 2: Data Preparation
# ===================
names = ["north", "south"]
sizes = [3, 4]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
plt.bar(names, sizes, color="red")
plt.title("Sizes")

# ===================
# Part 4: Saving Output
# ===================
plt.savefig("c.pdf")
"""


def test_a_customized_answer_is_given_the_data(renderer: ChartRenderer) -> None:
    answer = fenced('plt.bar(names, sizes, color="red")\nplt.title("Sizes")')
    result = scored((sample("c", CUSTOMIZED, task="customized"), answer), renderer)
    assert (result.status, result.error) == ("ok", None)
    assert found(result) == dict.fromkeys(ALL, 1.0)
    assert result.code is not None
    assert 'names = ["north", "south"]' in result.code
    direct = scored((sample("c", CUSTOMIZED), answer), renderer)
    assert (direct.status, found(direct)) == ("code_error", ZERO)


def test_a_server_that_dies_costs_no_sample_its_score(
    renderer: ChartRenderer, tmp_path: Path
) -> None:
    """What was under way is unscored, not zero; a new server takes over; the rest is as ever."""
    reference = plot("t") + '\nplt.savefig("t.pdf")'
    items: list[Item] = [
        (sample("a", reference), fenced(plot("t"))),
        (sample("b", reference), fenced(plot("t", "import time; time.sleep(600)"))),
        (sample("c", reference), fenced(plot("t"))),
    ]
    scoring = chart_bench(renderer, scorers=("execution", "text"))
    results: dict[str, SampleResult] = {}
    server = renderer.server_pid()
    with closing(score_predictions(items, scoring, tmp_path / "out", workers=2)) as running:
        for result in running:
            results[result.sample_id] = result
            if set(results) == {"a", "c"}:
                os.kill(server, signal.SIGKILL)
    assert {name: result.status for name, result in results.items()} == {
        "a": "ok",
        "b": "harness_error",
        "c": "ok",
    }
    assert values(lines_of(tmp_path / "out")["b"]) == {"execution": None, "text": None}
    assert summary_of(tmp_path / "out")["metrics"]["text"] == 100.0
    assert wait_for(lambda: renderer.server_pid() != server)
    assert scored(items[0], renderer).status == "ok"


def test_a_line_of_results_is_one_line_of_json(renderer: ChartRenderer, tmp_path: Path) -> None:
    code = plot("two\\nlines \u2028 and \N{SNOWMAN}")
    items: list[Item] = [(sample("é \u2028", code + '\nplt.savefig("t.pdf")'), fenced(code))]
    list(score_predictions(items, chart_bench(renderer), tmp_path / "out"))
    [line] = (tmp_path / "out" / "results.jsonl").read_bytes().splitlines()
    entry = json.loads(line)
    assert entry["sample_id"] == "é \u2028"
    assert (entry["status"], entry["scores"]["text"]["value"]) == ("ok", 1.0)
