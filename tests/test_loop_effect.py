"""Does the loop help: measures of episodes written by hand, their intervals against scipy."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rrvf.figures import draw_loop
from rrvf.loop_effect import (
    MEASURES,
    PlayedEpisode,
    State,
    describe_loop,
    find_value_scorers,
    read_episode,
    read_episodes,
    summarize_loop,
)
from rrvf.tables import read_runs, render_tables
from rrvf.types import Column
from tests.reports import item, summary, write_run

Numbers = NDArray[np.float64]


def draft(turn: int, value: float | None, code: str, picture: str | None = None) -> State:
    """A draft; without a picture it failed."""
    return State(turn, False, picture is not None, value, code, picture)


def answer(turn: int, value: float | None, code: str, picture: str | None = "p") -> State:
    return State(turn, True, picture is not None, value, code, picture)


def episode(sample: str, *states: State, **more: Any) -> PlayedEpisode:
    turns = max((state.turn for state in states), default=0)
    facts: dict[str, Any] = {"tokens": (100,) * turns, "seconds": (2.0,) * turns}
    facts |= {"stop_reason": "answered", "states": states, **more}
    return PlayedEpisode(sample, **facts)


COPIES = episode(
    "copies",
    draft(1, 50.0, "a", "A"),
    draft(2, 50.0, "a", "A"),
    draft(3, 50.0, "a # again", "A"),
    answer(4, 50.0, "a # again", "A"),
    n_teacher_calls=3,
)
COLLAPSES = episode(
    "collapses",
    draft(1, 60.0, "b", "B"),
    draft(2, 80.0, "c", "C"),
    answer(3, 30.0, "d", "D"),
    n_teacher_calls=2,
)
RECOVERS = episode(
    "recovers",
    draft(1, 0.0, "1 /"),
    draft(2, 0.0, "1 / 0"),
    draft(3, 70.0, "e", "E"),
    stop_reason="max_turns",
)
SANDBAGS = episode(
    "sandbags", draft(1, 10.0, "f", "F"), answer(2, 90.0, "g", "G"), n_teacher_calls=1
)
ALL = [COPIES, COLLAPSES, RECOVERS, SANDBAGS]

# Worked out by hand. Pairs of drafts: 2 of COPIES, 1 of COLLAPSES, 2 of RECOVERS; those with two
# pictures: 2 and 1. Pairs whose first ran: 3 + 2 + 0 + 1. First above last: 0, -30, 70, 80.
EXPECTED = {
    "same_code": (100 * 1 / 5, 5),
    "same_picture": (100 * 2 / 3, 3),
    "gain": ((0 + 0 + 0 + 20 - 50 + 80) / 6, 6),
    "recovery": (100 * 1 / 2, 2),
    "breakage": (0.0, 6),
    "collapse": ((0 + 50 + 0 + 0) / 4, 4),
    "collapsed": (100 * 1 / 4, 4),
    "first": ((50 + 60 + 0 + 10) / 4, 4),
    "last": ((50 + 30 + 70 + 90) / 4, 4),
    "oracle": ((50 + 80 + 70 + 90) / 4, 4),
    "answer_gain": ((0 - 50 + 80) / 3, 3),
    "answer_same_code": (100 * 1 / 3, 3),
    "tokens_per_point": (100 * (3 + 2 + 2 + 1) / 120, 4),
    "seconds_per_point": (2 * (3 + 2 + 2 + 1) / 120, 4),
    "teacher_calls_per_point": ((3 + 2 + 0 + 1) / 120, 4),
}


def test_measures_are_those_worked_out_by_hand() -> None:
    summary = summarize_loop(ALL)
    found = {name: (m["value"], m["n"]) for name, m in summary["measures"].items()}
    assert found == {name: (pytest.approx(value), n) for name, (value, n) in EXPECTED.items()}
    assert list(found) == list(MEASURES), "every measure is defined, in this order"
    assert (summary["n"], summary["n_samples"]) == (4, 4)


def test_gain_is_told_turn_by_turn() -> None:
    gains = {entry["turn"]: (entry["value"], entry["n"]) for entry in summary_of(ALL)}
    assert gains == {2: (pytest.approx((0 + 20 + 80) / 3), 3), 3: (-25.0, 2), 4: (0.0, 1)}


def summary_of(episodes: list[PlayedEpisode]) -> list[dict[str, Any]]:
    return summarize_loop(episodes)["gain_by_turn"]


def test_stop_reasons_are_shares() -> None:
    reasons = summarize_loop(ALL)["stop_reasons"]
    assert {name: share["value"] for name, share in reasons.items()} == {
        "answered": 75.0,
        "max_turns": 25.0,
    }


def test_a_value_that_is_missing_counts_nowhere() -> None:
    unmeasured = episode("u", draft(1, 40.0, "a", "A"), answer(2, None, "b", "B"))
    measures = summarize_loop([unmeasured])["measures"]
    assert set(measures) == {"breakage", "answer_same_code"}, "what needs no value is left"
    alone = summarize_loop([*ALL, unmeasured])["measures"]
    assert alone["collapse"]["n"] == 4
    assert alone["last"]["value"] == pytest.approx(60.0)


def test_a_loop_that_gains_nothing_has_no_price() -> None:
    measures = summarize_loop([COPIES, COLLAPSES])["measures"]
    assert measures["tokens_per_point"]["value"] is None
    assert measures["gain"]["value"] == pytest.approx(-6.0)


def test_episodes_without_any_state_count_among_stop_reasons_only() -> None:
    silent = episode("silent", stop_reason="no_action")
    summary = summarize_loop([silent])
    assert summary["measures"] == {}
    assert summary["stop_reasons"]["no_action"]["value"] == 100.0
    assert summarize_loop([]) == {}


def ratio(tops: Numbers, bottoms: Numbers, axis: int = -1) -> Numbers:
    return tops.sum(axis=axis) / bottoms.sum(axis=axis)


def assert_interval_is_scipys(measure: dict[str, Any], tops: Numbers, bottoms: Numbers) -> None:
    """Up to what other resamples change."""
    expected = stats.bootstrap(
        (tops, bottoms),
        ratio,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        random_state=np.random.default_rng(1),
    )
    low, high = expected.confidence_interval
    assert measure["low"] == pytest.approx(low, abs=0.06 * (high - low))
    assert measure["high"] == pytest.approx(high, abs=0.06 * (high - low))


def test_intervals_are_scipys() -> None:
    generator = np.random.default_rng(7)
    episodes = [
        episode(
            f"s{number}",
            *(draft(t + 1, float(v), f"{v}", f"{v}") for t, v in enumerate(values)),
        )
        for number, values in enumerate(
            generator.uniform(0, 100, generator.integers(2, 5)) for _ in range(60)
        )
    ]
    summary = summarize_loop(episodes)["measures"]
    gains = [(e.states[-1].value or 0) - (e.states[0].value or 0) for e in episodes]
    turns = [len(e.states) - 1 for e in episodes]
    drops = [max(s.value or 0 for s in e.states) - (e.states[-1].value or 0) for e in episodes]
    for name, tops, bottoms in (("gain", gains, turns), ("collapse", drops, [1] * 60)):
        assert_interval_is_scipys(summary[name], np.array(tops, float), np.array(bottoms, float))


def test_a_costs_interval_is_scipys() -> None:
    generator = np.random.default_rng(11)
    firsts, lasts = generator.uniform(0, 50, 80), generator.uniform(40, 90, 80)
    tokens = generator.integers(50, 500, 80)
    episodes = [
        episode(f"s{n}", draft(1, first, "a", "A"), answer(2, last, "b"), tokens=(999, int(spent)))
        for n, (first, last, spent) in enumerate(zip(firsts, lasts, tokens, strict=True))
    ]
    cost = summarize_loop(episodes)["measures"]["tokens_per_point"]
    assert cost["value"] == pytest.approx(tokens.sum() / (lasts - firsts).sum())
    assert_interval_is_scipys(cost, tokens.astype(float), lasts - firsts)


def test_a_cost_has_no_end_where_resamples_gain_nothing() -> None:
    # Of four draws one in sixteen holds COPIES and COLLAPSES only.
    cost = summarize_loop(ALL)["measures"]["tokens_per_point"]
    assert cost["high"] is None
    assert cost["low"] < cost["value"]


def test_episodes_of_a_sample_are_drawn_together() -> None:
    apart = [episode(f"s{n}", answer(1, 10.0 * n, "a")) for n in range(10)]
    once = summarize_loop(apart)["measures"]["last"]
    twice = [PlayedEpisode(e.sample, "answered", e.states) for e in apart for _ in range(2)]
    again = summarize_loop(twice)["measures"]["last"]
    assert (again["low"], again["high"]) == (once["low"], once["high"])
    assert (once["n"], again["n"]) == (10, 20)


# ------------------------------------------------------------------------------- from records


COLUMNS = (
    Column("exec_rate", "Exec rate", "execution"),
    Column("text", "Text", "text"),
    Column("color", "Color", "color"),
    Column("average", "Average", mean_of=("text", "color")),
    Column("gpt", "GPT", "gpt"),
)


def entry(turn: int, call: int | None, text: float, color: float | None) -> dict[str, Any]:
    scores = {"execution": 1.0, "text": text, "color": color}
    return {"turn": turn, "call": call, "status": "ok", "scores": scores}


LINE: dict[str, Any] = {
    "sample_id": "s#2",
    "code": "answer()\n",
    "pictures": {"rendering": "r.png"},
    "tags": {"sample": "s"},
    "episode": {
        "stop_reason": "answered",
        "n_turns": 2,
        "teacher": {"asked": 1, "failed": 1, "not_asked": 4},
        "by_turn": [entry(1, 2, 0.5, 1.0), entry(2, None, 0.25, None)],
    },
}
CALL = {"code": "x\n", "picture": "x.png", "seconds": 1.0, "teacher_seconds": 2.0}
TRAJECTORY: dict[str, Any] = {
    "sample_id": "s#2",
    "turns": [
        {"output_tokens": 7, "seconds": 4.0, "observations": [{**CALL, "code": None}, CALL]},
        {"output_tokens": None, "seconds": 0.5, "observations": []},
    ],
}
READ = PlayedEpisode(
    sample="s",
    stop_reason="answered",
    states=(
        State(1, False, True, 75.0, "x", "x.png"),
        State(2, True, True, None, "answer()", "r.png"),
    ),
    tokens=(7, None),
    seconds=(10.0, 0.5),
    n_teacher_calls=2,
)


def test_an_episode_is_read_from_its_two_lines() -> None:
    assert find_value_scorers(COLUMNS, [LINE]) == ("text", "color")
    assert read_episode(LINE, TRAJECTORY, ("text", "color")) == READ


def test_execution_is_the_value_where_nothing_else_is_scored() -> None:
    bare = {"turn": 1, "call": None, "status": "ok", "scores": {"execution": 1.0, "other": 0.5}}
    line = {"episode": {"by_turn": [bare]}}
    assert find_value_scorers(COLUMNS, [{}, line]) == ("execution",)


@pytest.mark.parametrize("line", [{}, {"episode": None}, {"episode": {"by_turn": None}}])
def test_no_loop_is_no_episode(line: dict[str, Any]) -> None:
    assert read_episode(line, TRAJECTORY, ("text",)) is None


@pytest.mark.parametrize(
    "trajectory",
    [{}, {"turns": 5}, {"turns": [None, "x"]}, {"turns": [{"observations": [7]}]}],
)
def test_a_broken_trajectory_leaves_the_scores(trajectory: dict[str, Any]) -> None:
    played = read_episode(LINE, trajectory, ("text", "color"))
    assert played is not None
    assert [state.value for state in played.states] == [75.0, None]
    assert played.states[0].code is None


FORGED: list[Any] = [None, True, -3, 0, 10**400, float("nan"), float("inf"), "x", [], {}]


@pytest.mark.parametrize("thing", FORGED, ids=lambda thing: repr(thing)[:8])
def test_forged_lines_are_read_and_summed_up(thing: Any) -> None:
    scores = {"execution": 1.0, "text": thing, "color": 1.0}
    turns = [{"turn": thing, "call": thing, "status": thing, "scores": scores}, thing]
    line = {**LINE, "episode": {**LINE["episode"], "by_turn": turns, "teacher": {"asked": thing}}}
    call = {"code": thing, "picture": thing, "seconds": thing, "teacher_seconds": thing}
    trajectory = {"turns": [{"output_tokens": thing, "seconds": thing, "observations": [call]}]}
    for places in ([thing], [call], thing):
        trajectory["turns"].append({"observations": places})
    played = read_episode(line, trajectory, find_value_scorers(COLUMNS, [line]))
    assert played is not None
    summary = summarize_loop([played, *ALL])
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    forged = {"measures": {"gain": {"value": thing, "low": thing, "high": thing}}}
    assert all("nan" not in line and "inf" not in line for line in describe_loop(forged))


def test_the_last_whole_line_of_a_sample_counts(tmp_path: Path) -> None:
    path = tmp_path / "trajectories.jsonl"
    old: dict[str, Any] = {**TRAJECTORY, "turns": []}
    lines = [json.dumps(old), json.dumps(TRAJECTORY), '{"sample_id": "s#2", "tur', "[1]"]
    path.write_text("\n".join([*lines, json.dumps({"sample_id": "unknown"})]))
    assert read_episodes(path, {"s#2": LINE}, ("text", "color")) == [READ]
    gone = read_episodes(tmp_path / "none", {"s#2": LINE}, ("text", "color"))
    assert [state.code for state in gone[0].states] == [None, "answer()"]


# ---------------------------------------------------------------------- tables, figure, terminal


def write_played_run(folder: Path) -> Path:
    """Two episodes: 50 and 75, then an answer of 100; a failure, then an answer of 40."""

    def turn(number: int, call: int | None, status: str, text: float) -> dict[str, Any]:
        return {"turn": number, "call": call, "status": status, "scores": {"text": text}}

    played = {
        "a": [turn(1, 1, "ok", 0.5), turn(2, 1, "ok", 0.75), turn(3, None, "ok", 1.0)],
        "b": [turn(1, 1, "code_error", 0.0), turn(2, None, "ok", 0.4)],
    }
    lines = [
        item(name, episode={"stop_reason": "answered", "n_turns": len(turns), "by_turn": turns})
        for name, turns in played.items()
    ]
    return write_run(folder, lines, summary(2))


def test_tables_hold_the_measures_of_runs_in_every_format(tmp_path: Path) -> None:
    folder = write_played_run(tmp_path / "run")
    rows = list(csv.DictReader(io.StringIO(render_tables("chartmimic", "csv", [folder]))))
    [row] = [row for row in rows if row["kind"] == "loop"]
    assert (row["loop_first"], row["loop_last"]) == ("25.00", "70.00")
    assert (row["loop_recovery"], row["loop_gain"]) == ("100.00", "25.00")
    assert (row["loop_first_low"], row["loop_first_high"]) == ("0.0000", "50.0000")
    assert row["loop_same_code"] == "–", "codes are gone with trajectories.jsonl"
    for form, start in (
        ("markdown", "| run | 25.00"),
        ("latex", "run & 25.00"),
        ("html", "<td>run"),
    ):
        table = render_tables("chartmimic", form, [folder])
        assert "does the loop help?" in table
        assert start in table


def test_runs_without_turns_have_no_such_table(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [item("a")], summary(1))
    assert "does the loop help?" not in render_tables("chartmimic", "markdown", [folder])
    assert not list(describe_loop(summarize_loop([episode("s", answer(1, 50.0, "a"))])))


def test_the_figures_bars_are_the_measures(tmp_path: Path) -> None:
    [run] = read_runs([write_played_run(tmp_path / "run")])
    figure = draw_loop(run.table(), [run])
    points, percent = figure.axes
    assert [bar.get_height() for bar in points.patches] == pytest.approx([25.0, 70.0, 70.0])
    assert [bar.get_height() for bar in percent.patches] == pytest.approx([100.0, 0.0, 0.0])


def test_lines_tell_the_measures() -> None:
    lines = list(describe_loop(summarize_loop(ALL)))
    assert lines[0].startswith("Loop: points by state: first 30.00 [")
    assert "failed drafts fixed 50.00" in lines[1]
    assert lines[2].startswith("Loop: a point cost: tokens 6.67")
    nothing = list(describe_loop(summarize_loop([COPIES, COLLAPSES])))
    assert "tokens: nothing was gained" in nothing[2]
