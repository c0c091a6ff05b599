"""Measured runs beside the published rows: figures, cards, what is ranked with what."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rrvf.cli import app
from rrvf.errors import DataError
from rrvf.tables import make_sheet, read_runs, render_comparison, render_tables
from rrvf.tables.published import read_published
from rrvf.tables.ranking import marks
from rrvf.tables.sheet import Row
from tests.reports import HOSTILE, item, score, summary, write_run

GPT_4O = {
    "name": "gpt",
    "judge": "gpt-4o-2024-08-06",
    "rubric": "chartmimic",
    "prompt": "shipped",
}
ENVIRONMENT = {"chart_versions": {"matplotlib": "3.9.4"}}
NAMES = ("text", "layout", "type", "color")


def make_run(
    folder: Path,
    values: list[float | None],
    *,
    judge: dict[str, Any] | None = None,
    finished: bool = True,
    **protocol: Any,
) -> Path:
    """A run of ChartMimic: each sample has one value everywhere; ``None``: it did not run."""
    lines = [
        item(f"bar_{i}", "ok" if value is not None else "code_error",
             scores={name: score(value or 0.0) for name in
                     ("execution", *NAMES, *(["gpt"] if judge else []))})
        for i, value in enumerate(values)
    ]  # fmt: skip
    mean = 100 * sum(value or 0.0 for value in values) / max(1, len(values))
    gpt = mean if judge else None
    metrics = dict.fromkeys(("exec_rate", *NAMES, "average"), mean)
    settings = {"benchmark": "chartmimic", "mode": "official", "judge": judge, "hash": "feed"}
    table = summary(
        len(values),
        finished=finished,
        metrics={**metrics, "gpt": gpt, "overall": gpt},
        protocol=settings | protocol,
        environment=ENVIRONMENT,
    )
    return write_run(folder, lines, table)


def rows_of(*folders: Path) -> list[Row]:
    sheet = make_sheet(read_published("chartmimic"), read_runs(folders))
    return [row for row in sheet.rows if row.kind == "measured"]


def notes_of(*folders: Path) -> str:
    return "\n".join(make_sheet(read_published("chartmimic"), read_runs(folders)).notes)


# ------------------------------------------------------------------------------ the ranking


def test_a_run_gets_a_row_with_figures_and_intervals(tmp_path: Path) -> None:
    [row] = rows_of(make_run(tmp_path / "a", [1.0, 0.5, None, 0.5], judge=GPT_4O))
    text = row.cells[1]
    assert text.text == "50.00"
    assert text.interval is not None
    assert 0 <= text.interval.low < 50 < text.interval.high <= 100
    assert row.cells[-1].text == "50.00"


def test_intervals_do_not_depend_on_which_sample_was_finished_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", [0.1, 0.9, 0.4, None, 0.8, 0.3])
    before = rows_of(run)
    lines = (run / "results.jsonl").read_text().splitlines()
    (run / "results.jsonl").write_text("".join(line + "\n" for line in lines[::-1]))
    assert rows_of(run) == before


def test_runs_of_one_setting_are_ranked_among_themselves(tmp_path: Path) -> None:
    low = make_run(tmp_path / "low", [0.2, 0.4])
    high = make_run(tmp_path / "high", [0.9, 0.9])
    rows = {row.model: row for row in rows_of(low, high)}
    assert {cell.mark for cell in rows["high"].cells[:5]} == {"best"}
    assert {cell.mark for cell in rows["low"].cells[:5]} == {"second"}
    assert rows["low"].group == rows["high"].group == "Measured"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"mode": "fixed"}, 'mode "official" there, "fixed" here'),
        ({"judge": GPT_4O}, "judge null there"),
        ({"loop": {"max_turns": 5}}, "turns single turn there, loop of at most 5 turns"),
        ({"cpu_seconds": 5}, "cpu_seconds not told there, 5 here"),
    ],
)
def test_another_protocol_is_marked_and_not_ranked(
    tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    first = make_run(tmp_path / "first", [0.2, 0.4])
    second = make_run(tmp_path / "second", [0.9, 0.9], **other)
    rows = rows_of(first, second)
    assert [row.group for row in rows] == ["Measured, setting A", "Measured, setting B"]
    assert {cell.mark for row in rows for cell in row.cells} == {""}
    assert told in notes_of(first, second)


def test_other_samples_and_another_matplotlib_are_another_setting(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", [0.2, 0.4])
    more = make_run(tmp_path / "more", [0.2, 0.4, 0.6])
    newer = make_run(tmp_path / "newer", [0.2, 0.4])
    table = json.loads((newer / "summary.json").read_text())
    table["environment"] = {"chart_versions": {"matplotlib": "3.11.2"}}
    (newer / "summary.json").write_text(json.dumps(table))
    assert len({row.group for row in rows_of(first, more, newer)}) == 3
    assert "matplotlib 3.9.4 there, matplotlib 3.11.2 here" in notes_of(first, newer)


def test_measured_rows_never_change_published_marks(tmp_path: Path) -> None:
    before = make_sheet(read_published("chartmimic")).rows
    run = make_run(tmp_path / "best", [1.0] * 600, judge=GPT_4O)
    after = make_sheet(read_published("chartmimic"), read_runs([run])).rows
    assert after[: len(before)] == before
    assert {cell.mark for cell in after[-1].cells} == {""}


def test_a_run_without_judge_is_marked(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [0.5, 0.5])
    [row] = rows_of(run)
    assert row.label == "run †"
    assert [cell.text for cell in row.cells[-2:]] == ["–", "–"]
    assert "no judge" in row.note
    assert "2 samples, published on 600" in row.note


def test_a_run_as_published_is_not_marked(tmp_path: Path) -> None:
    [row] = rows_of(make_run(tmp_path / "run", [0.5] * 600, judge=GPT_4O))
    assert row.label == "run"
    [other] = rows_of(make_run(tmp_path / "x", [0.5] * 600, judge={**GPT_4O, "judge": "qwen"}))
    assert "judged by qwen" in other.note


def test_an_embedded_judge_is_no_gpt_score(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", [0.5, 0.5], judge={"name": "pixel", "judge": "pixel"})
    assert "no judge" in rows_of(run)[0].note
    assert rows_of(run, make_run(tmp_path / "b", [0.5, 0.4]))[0].group == "Measured"


def test_an_unfinished_run_stands_alone(tmp_path: Path) -> None:
    done = make_run(tmp_path / "done", [0.2, 0.4])
    part = make_run(tmp_path / "part", [0.9, 0.9], finished=False)
    rows = {row.model: row for row in rows_of(done, part)}
    assert rows["part"].group == "Measured, setting B, unfinished"
    assert {cell.mark for row in rows.values() for cell in row.cells} == {""}
    assert all(cell.interval is None for cell in rows["part"].cells)
    assert rows["part"].note.startswith("unfinished")


def test_a_run_without_summary_is_read_from_its_lines(tmp_path: Path) -> None:
    run = make_run(tmp_path / "killed", [1.0, 0.5])
    (run / "summary.json").unlink()
    (run / "run.json").write_text(
        json.dumps({"protocol.benchmark": "chartmimic", "protocol.mode": "official"})
    )
    [row] = rows_of(run)
    assert row.cells[1].text == "75.00"
    assert "2 samples so far" in row.note


def test_the_card_tells_what_a_reader_must_know(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run",
        [0.5, None],
        judge=GPT_4O,
        policy={"policy": "my/model"},
        loop={"max_turns": 4},
        teacher={"teacher": "big/teacher"},
    )
    [row] = rows_of(run)
    assert row.model == "my/model"
    for told in (
        "samples: 2 samples",
        "mode: official",
        "judge: gpt-4o-2024-08-06, rubric chartmimic (shipped)",
        "loop of at most 4 turns, teacher big/teacher",
        "drawn by: matplotlib 3.9.4",
        "protocol: feed",
    ):
        assert told in row.note
    assert "95% intervals by bootstrap over samples (4000 resamples, seed 0)" in notes_of(run)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one = make_run(tmp_path / "x" / "run", [0.5, 0.5])
    two = make_run(tmp_path / "y" / "run", [0.5, 0.4])
    names = [row.model for row in rows_of(one, two)]
    assert names == [f"run ({one})", f"run ({two})"]


def test_equal_figures_share_a_mark() -> None:
    figures = [Decimal(1), Decimal(2), Decimal("2.0"), None, Decimal("0.5")]
    told = marks([{"a": figure} for figure in figures], ["a"])
    assert told == [{"a": "second"}, {"a": "best"}, {"a": "best"}, {}, {}]
    assert marks([{"a": Decimal(1)}], ["a"]) == [{}]


# ------------------------------------------------------------------------------- the formats


class Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("name", [*HOSTILE[:9], "a|b", "*x*", "{\\input{x}}", "100 % & #1_$"])
def test_names_of_runs_stay_text(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", [0.5, 0.5], policy={"policy": name})
    told = render_tables("chartmimic", "html", [run])
    assert Cells(told).tags <= {
        *("html", "head", "meta", "title", "style", "body", "figure", "figcaption", "table"),
        *("thead", "tbody", "tr", "th", "td", "b", "u", "em", "small", "sub", "ul", "li"),
    }
    markdown = render_tables("chartmimic", "markdown", [run])
    for line in markdown.splitlines():
        assert len(re.findall(r"(?<!\\)\|", line)) in (0, 9)
    tex = render_tables("chartmimic", "latex", [run])
    measured = tex[tex.index("Measured") :]
    assert "\\input" not in measured
    assert not re.search(r"(?<!\\)[%#_]", measured)
    assert all(line.count(" & ") in (0, 7) for line in measured.splitlines() if "\\&" not in line)
    rows = list(csv.DictReader(render_tables("chartmimic", "csv", [run]).splitlines()))
    assert rows[-1]["text"] == "50.00"


def test_csv_holds_intervals_and_marks(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", [0.1, 0.3]), make_run(tmp_path / "b", [0.5, 0.7])]
    rows = list(csv.DictReader(render_tables(None, "csv", runs).splitlines()))
    assert {row["benchmark"] for row in rows} == {"chartmimic", "plot2code", "websight"}
    told = {row["model"]: row for row in rows if row["kind"] == "measured"}
    assert float(told["a"]["text_low"]) == pytest.approx(10)
    assert float(told["a"]["text_high"]) == pytest.approx(30)
    assert "text" in told["b"]["best"].split()
    assert "text" in told["a"]["second"].split()


FORMULAS = [
    "=HYPERLINK(1)",
    "+cmd|' C calc'!A0",
    "-1+cmd|' C calc'!A0",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "＝1+1",
]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / name, [0.1, 0.3])
    text = render_tables("chartmimic", "csv", [run])
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[-1]["model"] == "'" + re.sub(r"\s", " ", name)
    assert float(rows[-1]["text"]) == pytest.approx(20)
    cells = [cell for row in rows for cell in row.values()]
    assert not [c for c in cells if c[:1] in "=@\t\r" and c]


def test_a_cell_of_a_csv_is_one_line(tmp_path: Path) -> None:
    """A carriage return would begin a row, and its first cell may be a formula."""
    run = make_run(tmp_path / "a\r=1\n=2", [0.1, 0.3])
    rows = render_tables("chartmimic", "csv", [run]).splitlines()
    assert not [row for row in rows if row.startswith("=")]
    assert any(",a =1 =2," in row for row in rows)


def test_numbers_of_a_csv_stay_numbers() -> None:
    """Differences have a sign, and a hyphen stands for what was not measured."""
    rows = list(csv.DictReader(render_tables(None, "csv").splitlines()))
    cells = [cell for row in rows for cell in row.values()]
    assert [cell for cell in cells if cell.startswith("+")]
    assert "-" in cells
    assert not [cell for cell in cells if cell.startswith("'")]


# --------------------------------------------------------------------------- the command line


def called(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tables", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_the_command_prints_all_tables_or_one() -> None:
    _, everything = called()
    assert everything == render_tables()
    _, one = called("websight", "--format", "latex")
    assert one == render_tables("websight", "latex")
    assert "Plot2Code" not in one


def test_runs_takes_several_folders(tmp_path: Path) -> None:
    a, b = make_run(tmp_path / "a", [0.5, 0.5]), make_run(tmp_path / "b", [0.5, 0.4])
    wanted = render_tables("chartmimic", "csv", [a, b])
    assert called("chartmimic", "--runs", a, b, "--format", "csv")[1] == wanted
    assert called("chartmimic", "--format", "csv", "--runs", a, "--runs", b)[1] == wanted
    assert called("--runs")[0] == 2


def test_out_is_a_file(tmp_path: Path) -> None:
    code, told = called("plot2code", "--out", tmp_path / "new" / "table.md")
    assert (code, told) == (0, "")
    assert (tmp_path / "new" / "table.md").read_text("utf-8") == render_tables("plot2code")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "no table of 'nope'"),
        (["--runs", "EMPTY"], "holds neither summary.json nor results.jsonl"),
        (["--runs", "MISSING"], "no such run folder"),
        (["plot2code", "--runs", "RUN"], "is a run of chartmimic, not of plot2code"),
        (["--runs", "NAMELESS"], "does not say which benchmark"),
        (["--figures", "FIGURES"], "name some with --runs"),
        (["--compare", "RUN", "RUN"], "was named twice"),
        (["--compare", "RUN", "OTHER"], "no sample in common"),
        (["--compare", "RUN", "PAGES"], "only runs of one benchmark"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    make_run(tmp_path / "RUN", [0.5, 0.5])
    write_run(tmp_path / "NAMELESS", [item("a")], None)
    write_run(tmp_path / "OTHER", [item("elsewhere")], summary(1))
    write_run(tmp_path / "PAGES", [item("bar_0")], summary(1, benchmark="websight"))
    places = [str(tmp_path / word) if word.isupper() else word for word in words]
    with pytest.raises(DataError) as told:
        called(*places)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


# ------------------------------------------------------------------------------- in pairs


def test_comparison_tells_difference_interval_and_what_changed_most(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", [0.5, 0.5, 0.5, 0.5])
    second = make_run(tmp_path / "second", [0.5, 0.6, None, 0.5])
    told = render_comparison(first, second)
    assert "4 samples of chartmimic" in told
    # (0 + 0.1 - 0.5 + 0) / 4 = -0.1
    assert re.search(
        r"\| Text \| 50\.00 \| 40\.00 \| -10\.00 \| \[-\d+\.\d\d, \+\d\.\d\d\] \|", told
    )
    changed = [line for line in told.splitlines() if line.startswith("* bar")]
    assert changed[0].startswith("* bar\\_2: -0.50 (execution 0.50 → 0.00")
    assert changed[1].startswith("* bar\\_1: +0.10")
    assert len(changed) == 2
    assert "GPT-4o" not in told


def test_comparison_says_what_is_not_alike(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", [0.5, 0.5, 0.5])
    second = make_run(tmp_path / "second", [0.5, 0.6], mode="fixed", finished=False)
    told = render_comparison(first, second)
    assert "1 sample of first is not in every run, and left out" in told
    assert "second is unfinished" in told
    assert "**Not the same setting**" in told
    assert 'mode "official" there, "fixed" here' in told
    same = render_comparison(first, make_run(tmp_path / "third", [0.5, 0.6, 0.7]))
    assert "Not the same" not in same


def test_comparison_notices_other_references_of_the_same_name(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, [0.5, 0.5]) for name in ("first", "second")]
    for run in runs:
        lines = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
        for line in lines[1:]:
            line["pictures"] = {"reference": f"{run.name}.png"}
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (run / "results.jsonl").write_text(text)
    assert "1 of these samples have another picture of the reference" in render_comparison(*runs)
    assert "Perhaps not" not in render_comparison(runs[0], make_run(tmp_path / "x", [0.1, 0.2]))


def test_a_name_is_no_link_in_markdown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "![free](weights)", [1.0, 0.5])
    text = render_tables("chartmimic", "markdown", [run])
    assert r"![free]\(weights)" in text
    assert "](" not in text
