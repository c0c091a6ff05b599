"""What other systems' authors print: as printed, ranked in one protocol, with conflicts."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rrvf import cli
from rrvf.errors import DataError
from rrvf.tables import printed
from rrvf.tables.conflicts import list_conflicts
from rrvf.tables.leaderboard import write_leaderboard
from rrvf.tables.printed import Protocol, make_printed_sheets, read_protocols
from rrvf.tables.published import BENCHMARKS, read_published
from tests import reports
from tests.reports import Open, Seen, payload

browser, open_page = reports.browser, reports.open_page

ROWS = Path(__file__).with_name("published_rows.csv")
"""Figures noted from the sources before the tables were made; some are a third party's notes."""

HEAD = ("benchmark", "group", "kind", "date", "model", "best", "second", "note")
Printed = tuple[str, frozenset[tuple[str, str]]]


def rows_of(kind: str) -> Counter[Printed]:
    with ROWS.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind]
    return Counter(
        (row["system"], frozenset(_cell(cell) for cell in row["columns"].split("; ")))
        for row in rows
    )


def _cell(text: str) -> tuple[str, str]:
    label, _, figure = text.partition("=")
    return label.replace("_", " "), figure


@pytest.fixture(scope="module")
def shown_rows() -> list[dict[str, str]]:
    """What the command prints as CSV."""
    done = CliRunner().invoke(cli.app, ["tables", "--others", "--format", "csv"])
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.output)))


@pytest.fixture(scope="module")
def protocols() -> dict[str, Protocol]:
    return {protocol.id: protocol for protocol in read_protocols()}


def figures_in(row: dict[str, str]) -> frozenset[tuple[str, str]]:
    cells = {key.replace("_", " "): text for key, text in row.items() if key not in HEAD}
    return frozenset((key, text) for key, text in cells.items() if text not in ("", "–"))


def test_every_primary_row_comes_out_as_printed(shown_rows: list[dict[str, str]]) -> None:
    primary = rows_of("primary")
    assert sum(primary.values()) == 142
    assert Counter((row["model"], figures_in(row)) for row in shown_rows) == primary


def test_no_row_of_a_third_party_is_among_them(shown_rows: list[dict[str, str]]) -> None:
    secondary = rows_of("secondary")
    assert sum(secondary.values()) == 18
    assert not {(row["model"], figures_in(row)) for row in shown_rows} & set(secondary)


@pytest.mark.parametrize("form", ["markdown", "latex", "html"])
def test_every_other_format_holds_every_figure(form: str) -> None:
    done = CliRunner().invoke(cli.app, ["tables", "--others", "--format", form])
    texts = [text for _, cells in rows_of("primary") for _, text in cells]
    assert done.exit_code == 0
    assert [text for text in texts if text not in done.output] == []


# --- ranks ---------------------------------------------------------------------------------------


def test_marks_are_those_of_one_table_alone(shown_rows: list[dict[str, str]]) -> None:
    marked = {row["group"] for row in shown_rows if row["best"] or row["second"]}
    assert marked == {
        "chartide-plot2code",
        "visual-erm-chartmimic-direct",
        "visual-erm-chartmimic-customized",
        "visual-erm-chartmimic-direct-reflection",
        "waffle-websight-test",
    }
    for group in marked:
        rows = [row for row in shown_rows if row["group"] == group]
        for key in {key for row in rows for key in row["best"].split(" ") if key in row}:
            best = {row[key] for row in rows if key in row["best"].split(" ")}
            assert best == {max((row[key] for row in rows), key=Decimal)}, (group, key)


def test_a_judge_who_is_not_named_ranks_nothing(protocols: dict[str, Protocol]) -> None:
    direct = protocols["visual-erm-chartmimic-direct"]
    assert [c.label for c in direct.columns if direct.is_ranked(c)] == ["Exec_rate", "Low"]
    plot2code = protocols["chartide-plot2code"]
    assert all(plot2code.is_ranked(column) for column in plot2code.columns)
    unstated = ("chartide-chartmimic", "prismacoder-chartmimic", "chartcoder-issue-8",
                "waffle-design2code", "rubse-design2code", "rubse-design2code-hard")  # fmt: skip
    for name in unstated:
        assert not any(map(protocols[name].is_ranked, protocols[name].columns)), name


def test_what_was_reported_and_what_was_reproduced_are_two_protocols(
    protocols: dict[str, Protocol],
) -> None:
    pair = [protocols[f"chartcoder-issue-11-{how}"] for how in ("reported", "reproduced")]
    assert [row.cells["Layout"] for protocol in pair for row in protocol.rows] == ["95.0", "79.7"]
    assert all(mark == {} for protocol in pair for mark in protocol.rank())


def test_a_field_that_no_one_knows_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models.toml").write_text("")
    (tmp_path / "protocols.toml").write_text(
        '[[protocol]]\nid = "x"\ncolumns = []\nstated = {jugde = "me"}\n'
    )
    monkeypatch.setattr(printed, "_folder", lambda: tmp_path)
    with pytest.raises(DataError, match="x: no field 'jugde'; there are version, subset"):
        read_protocols()


def test_a_benchmark_is_chosen_by_its_name() -> None:
    names = {sheet.benchmark for sheet in make_printed_sheets("design2code")}
    assert names == {"Design2Code", "Design2Code-HARD"}
    assert len(make_printed_sheets("design2code-hard")) < len(make_printed_sheets("design2code"))
    for name in ("chess", "chartmimi", "design", "design2code har"):
        with pytest.raises(DataError, match=f"'{name}'; there are ChartMimic, Plot2Code"):
            make_printed_sheets(name)


# --- conflicts -----------------------------------------------------------------------------------


def test_values_of_one_model_stand_side_by_side(protocols: dict[str, Protocol]) -> None:
    conflicts = list_conflicts(list(protocols.values()), [read_published(b) for b in BENCHMARKS])
    values = {
        (c.benchmark, c.model, c.metric): [(v.text, v.source.split(",")[0]) for v in c.values]
        for c in conflicts
    }
    # (30.01 + 55.79 + 36.50 + 26.91) / 4 = 37.3025; a third party's 56.2 is not among them.
    assert values["ChartMimic", "Qwen2.5-VL-7B-Instruct", "average"] == [
        ("37.30", "RRVF README (arXiv 2507.20766)"),
        ("49.0", "CharTide README"),
    ]
    # (66.55 + 79.31 + 71.83 + 60.84) / 4 = 69.6325
    assert [text for text, _ in values["ChartMimic", "GPT-4o", "average"]] == [
        "69.63", "76.38", "80.0",
    ]  # fmt: skip
    assert [text for text, _ in values["ChartMimic", "ChartCoder-7B", "layout"]] == ["79.7", "95.0"]
    spreads = [conflict.spread for conflict in conflicts]
    assert spreads == sorted(spreads, reverse=True)
    # Ratings of 10: 5.79 - 3.61 is 21.8 of a hundred.
    [rating] = [c for c in conflicts if c.metric == "gpt" and c.model == "Qwen2.5-VL-72B-Instruct"
                and c.benchmark == "Plot2Code"]  # fmt: skip
    assert rating.spread == Decimal("21.8")


def test_one_source_alone_is_no_conflict(protocols: dict[str, Protocol]) -> None:
    for name in ("visual-erm-chartmimic-direct", "chartcoder-issue-8"):
        assert list_conflicts([protocols[name]]) == []


# --- the page ------------------------------------------------------------------------------------


@pytest.fixture
def page(open_page: Open, tmp_path: Path) -> Seen:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "chartmimic.csv").write_text("")
    return open_page(write_leaderboard(tmp_path))


def bodies(seen: Seen, table: str) -> dict[str, list[tuple[str, str, str]]]:
    """Protocol -> rank, system and first figure of its rows, as they stand."""
    rows = seen.page.evaluate(
        """id => [...document.querySelectorAll(`#table-${id} tbody`)].map(body => [
          body.querySelector('.group bdi').innerText,
          [...body.querySelectorAll('tr:not(.group)')].map(row => [
            row.querySelector('.rank').innerText, row.querySelector('th a').innerText,
            row.querySelector('td:not(.rank) a').children[0].innerText])])""",
        table,
    )
    return {name: [tuple(row) for row in body] for name, body in rows}


def test_sorting_ranks_nothing_across_protocols(page: Seen, protocols: dict[str, Protocol]) -> None:
    page.page.click('[data-view="printed"]')
    head = page.page.locator('#table-chartmimic-printed th[data-key="exec_rate"] button')
    for _ in range(2):
        head.click()
        for title, rows in bodies(page, "chartmimic-printed").items():
            [protocol] = [p for p in protocols.values() if title == f"{p.source}, {p.place}"
                          and p.benchmark == "ChartMimic"]  # fmt: skip
            ranks = {rank for rank, _, _ in rows}
            if "visual-erm" in protocol.id:
                values = [Decimal(text) for _, _, text in rows]
                expected = [str(1 + sum(other > value for other in values)) for value in values]
                assert [rank for rank, _, _ in rows] == expected
            else:
                assert ranks == {""}, title
                assert [name for _, name, _ in rows] == [row.system for row in protocol.rows]


def test_the_card_of_a_printed_row_says_what_is_not_stated(page: Seen) -> None:
    page.page.click('[data-view="printed"]')
    page.page.locator("#table-plot2code-printed th a", has_text="CharTide-8B").last.click()
    facts = page.page.locator("#viewer .how").inner_text()
    assert "GPT-4o in place of GPT-4V" in facts
    lines = [line.strip().lower() for line in facts.splitlines()]
    assert lines[lines.index("matplotlib") + 1] == "not stated"
    page.page.keyboard.press("Escape")
    page.wait_until("location.hash === '#printed'")


def test_conflicts_are_a_view_that_can_be_linked_to(page: Seen) -> None:
    page.page.evaluate("location.hash = 'conflicts'")
    page.page.locator("#several tbody tr").first.wait_for()
    assert page.page.locator("#tables").is_hidden()
    assert page.page.inner_text("#count") == "43 of 43 figures"
    page.page.fill("#search", "qwen2.5-vl-7b low level")
    [row] = page.page.locator("#several tbody tr").all()
    assert [text.split("\n")[0] for text in row.locator("li b").all_inner_texts()] == [
        "37.30", "49.0",
    ]  # fmt: skip
    assert "mean of the four printed" in row.inner_text()
    page.page.fill("#search", "")
    page.page.select_option("#benchmark", "Plot2Code")
    assert set(page.page.locator("#several th .told").all_inner_texts()) == {"Plot2Code"}


def test_every_printed_figure_stands_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "x.csv").write_text("")
    tables = [t for t in payload(write_leaderboard(tmp_path))["tables"] if t["view"] == "printed"]
    texts = Counter(
        cell["text"]
        for row in itertools.chain(*(t["rows"] for t in tables))
        for cell in row["cells"]
    )
    del texts["–"]
    assert texts == Counter(text for _, cells in rows_of("primary").elements() for _, text in cells)
