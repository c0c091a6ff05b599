"""The leaderboard: published and measured rows on one page, ranked within their protocol only."""

from __future__ import annotations

import csv
import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rrvf import cli
from rrvf.errors import DataError, UserError
from rrvf.tables.leaderboard import write_leaderboard
from tests import reports
from tests.reports import HOSTILE, Open, Seen, payload
from tests.test_tables import GPT_4O, make_run

browser, open_page = reports.browser, reports.open_page

PAPER = Path(__file__).parents[1] / "results" / "paper"
ONES = [1.0, 0.5, None, 0.5]
README = "RRVF README (arXiv 2507.20766)"


def keep(results: Path, name: str, values: list[float | None], **how: Any) -> Path:
    """A run where the results folder has them."""
    folder = results / "chartmimic" / "mine" / name
    folder.mkdir(parents=True)
    config = {"policy": name, "made": f"Answers of {name}, by hand."}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return make_run(folder, values, **how)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs of one setting, one of another, an unfinished one."""
    folder = tmp_path / "results"
    keep(folder, "low", [0.25, 0.5, None, 0.25])
    keep(folder, "high", ONES)
    keep(folder, "mended", ONES, mode="fixed", judge=GPT_4O, loop={"max_turns": 5})
    keep(folder, "under way", ONES[:2], finished=False)
    return folder


@pytest.fixture
def shown(open_page: Open, results: Path) -> Seen:
    return open_page(write_leaderboard(results))


def board(seen: Seen, benchmark: str = "chartmimic") -> list[tuple[str, list[list[str]]]]:
    """As shown: for each body of the table its name, and its rows: rank, name, figures."""
    return seen.page.evaluate(
        """benchmark => [...document.querySelectorAll(`#table-${benchmark} tbody`)].map(body => [
          body.querySelector('.group bdi').innerText,
          [...body.querySelectorAll('tr:not(.group)')].map(row => [
            row.querySelector('.rank').innerText, row.querySelector('th a').innerText,
            ...[...row.querySelectorAll('td a')].map(a => a.children[0].innerText)])])""",
        benchmark,
    )


def names(seen: Seen, benchmark: str = "chartmimic") -> dict[str, list[str]]:
    return {group: [row[1] for row in rows] for group, rows in board(seen, benchmark)}


def shown_tables(seen: Seen) -> list[str]:
    return [title.inner_text() for title in seen.page.locator("#tables h2:visible").all()]


def sort(seen: Seen, key: str, benchmark: str = "chartmimic") -> Any:
    head = seen.page.locator(f'#table-{benchmark} th[data-key="{key}"]')
    head.locator("button").press("Enter")
    return head


def facts(seen: Seen) -> dict[str, str]:
    texts = [seen.page.locator(f"#viewer .how {tag}").all_inner_texts() for tag in ("dt", "dd")]
    return dict(zip(*texts, strict=True))


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("benchmark", ["chartmimic", "plot2code", "websight"])
def test_every_published_figure_stands_there_as_printed(shown: Seen, benchmark: str) -> None:
    with (PAPER / f"{benchmark}.csv").open(encoding="utf-8") as file:
        published = [row for row in csv.DictReader(file) if row["kind"] == "model"]
    keys = [key for key in published[0] if key in
            ("exec_rate", "text", "layout", "type", "color", "clip", "gpt", "overall",
             "text_pass", "gpt_pass")]  # fmt: skip
    expected = {(row["model"], *(row[key] for key in keys)) for row in published}
    groups = dict(board(shown, benchmark))
    found = {
        tuple(row[1:])
        for name, rows in groups.items()
        if not name.startswith("Measured")
        for row in rows
    }
    assert found == expected
    starred = {row[1] for row in groups.get("Reported by the original benchmark *", [])}
    assert starred == {row["model"] for row in published if row[keys[0]].endswith("*")}


def test_best_and_second_are_marked_as_printed(shown: Seen) -> None:
    with (PAPER / "chartmimic.csv").open(encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    for tag, mark in (("b", "printed_bold"), ("u", "printed_underline")):
        marked = shown.page.locator(f'#table-chartmimic tr[data-kind="open"] td {tag}')
        printed = [row[key] for row in published for key in row[mark].split()]
        assert sorted(marked.all_inner_texts()) == sorted(printed)


def test_rows_are_ranked_within_their_protocol_only(shown: Seen) -> None:
    sort(shown, "text")
    groups = dict(board(shown))
    assert list(groups) == [
        README,
        "Reported by the original benchmark *",
        "Measured, setting A",
        "Measured, setting B",
        "Measured, setting C, unfinished",
    ]
    for name, rows in groups.items():
        values = [float(row[3].removesuffix("*")) for row in rows]
        assert values == sorted(values, reverse=True), name
        ranks = [row[0] for row in rows]
        assert ranks == ([str(1 + i) for i in range(len(rows))] if len(rows) > 1 else [""])
    assert names(shown)["Measured, setting A"] == ["high", "low"]


def test_a_setting_says_in_what_it_is_another(shown: Seen) -> None:
    told = shown.page.locator("#table-chartmimic .group", has_text="setting B").inner_text()
    assert "fixed · gpt-4o-2024-08-06" in told
    assert "loop of at most 5 turns" in told
    assert re.search(r"differs from setting A in .*mode.*judge, turns", told)
    daggers = shown.page.locator("#table-chartmimic tr:has(.dagger) th a").all_inner_texts()
    assert daggers == ["high", "low", "mended", "under way"]


def test_measured_figures_carry_their_interval(shown: Seen) -> None:
    cell = shown.page.locator('tr[data-id="chartmimic-high"] td').nth(2)
    figure, bounds = cell.inner_text().split("\n")
    low, high = (float(end) for end in bounds.split(" – "))
    assert figure == "50.00"
    assert 0 <= low < 50 < high <= 100
    gpt = shown.page.locator('tr[data-id="chartmimic-high"] td').nth(6)
    assert (gpt.inner_text(), gpt.locator("a").get_attribute("title")) == (
        "–", "no judge was named for this run",
    )  # fmt: skip


# --- sorting, filters ----------------------------------------------------------------------------


def test_heads_sort_by_keyboard_and_say_so(shown: Seen) -> None:
    head = sort(shown, "exec_rate")
    assert head.get_attribute("aria-sort") == "descending"
    sorted_ = shown.page.locator('#table-chartmimic th[aria-sort$="ending"]')
    assert sorted_.count() == 1, "only one column at a time"
    assert shown.page.inner_text("#count") == "ChartMimic by Exec rate, highest first"
    assert names(shown)[README][0] == "RRVF (Ours) [without text labels]"
    sort(shown, "exec_rate")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(shown)[README][0] == "LLaVA-OneVision-7B"
    assert board(shown)[0][1][0][0] == "10", "the rank stays what it is"
    sort(shown, "name")
    assert names(shown)[README][:2] == ["Claude-4-Sonnet", "Gemini-2.5-Pro"]
    assert {row[0] for _, rows in board(shown) for row in rows} == {""}
    assert names(shown, "plot2code")[README][0] == "Gemini-2.5-Pro", "other tables stay"


def test_a_figure_that_is_missing_stands_last(open_page: Open, tmp_path: Path) -> None:
    keep(tmp_path, "none", [None, None])
    keep(tmp_path, "some", [0.5, 0.5])
    table = tmp_path / "chartmimic" / "mine" / "none" / "summary.json"
    summary = json.loads(table.read_text())
    summary["metrics"]["text"] = None
    table.write_text(json.dumps(summary))
    seen = open_page(write_leaderboard(tmp_path))
    for _ in range(2):
        sort(seen, "text")
        assert [row[:2] for row in dict(board(seen))["Measured"]] == [["", "some"], ["", "none"]]


def test_rows_are_filtered(shown: Seen) -> None:
    page = shown.page
    assert page.inner_text("#count") == "38 of 38 rows"
    for kind in ("closed", "open"):
        page.locator(f'#kinds [data-kind="{kind}"]').press("Space")
    assert page.inner_text("#count") == "4 of 38 rows"
    assert shown_tables(shown) == ["ChartMimic"]
    page.select_option("#protocol", "Measured, setting A")
    assert names(shown) == {"Measured, setting A": ["high", "low"]}
    page.click('#kinds [data-kind="open"]')
    page.select_option("#protocol", "")
    page.select_option("#benchmark", "websight")
    assert set(names(shown, "websight")) == {README}
    assert shown_tables(shown) == ["WebSight"]
    assert page.inner_text("#count") == "4 of 38 rows"


def test_words_of_the_card_are_found(shown: Seen) -> None:
    page = shown.page
    page.fill("#search", "GPT-4O-2024-08 fixed")
    assert names(shown) == {"Measured, setting B": ["mended"]}
    page.fill("#search", "qwen 72b")
    assert page.inner_text("#count") == "2 of 38 rows"
    assert {row[0] for _, rows in board(shown) for row in rows} == {"8"}, "not 1: others are hidden"
    page.fill("#search", "no such thing")
    assert page.is_visible("#nothing")
    page.click("#reset")
    assert page.inner_text("#count") == "38 of 38 rows"
    assert page.input_value("#search") == ""


# --- run cards -----------------------------------------------------------------------------------


def test_each_cell_leads_to_its_card(shown: Seen) -> None:
    cells = shown.page.locator("#tables td a")
    links = [cell.get_attribute("href") for cell in cells.all()]
    assert len(links) == len(set(links)) == (12 + 4) * 7 + 14 * 5 + 8 * 2
    cell = shown.page.locator('tr[data-id="chartmimic-mended"] td a').nth(2)
    cell.click()
    viewer = shown.page.locator("#viewer")
    viewer.locator("h2", has_text="mended").wait_for()
    assert viewer.locator("h2").inner_text() == "mended"
    chosen = viewer.locator("tr.chosen")
    assert chosen.locator("th").inner_text() == "Layout"
    assert re.fullmatch(
        r"50\.00 \d+\.\d\d – \d+\.\d\d –", " ".join(chosen.inner_text().split()[1:])
    )
    told = facts(shown)
    assert told["Made"] == "Answers of mended, by hand."
    assert told["Folder"] == "chartmimic/mine/mended"
    assert told["Mode"] == "fixed"
    assert told["Judge"].startswith("gpt-4o-2024-08-06, rubric chartmimic")
    assert told["Turns"].startswith("loop of at most 5 turns")
    assert told["Drawn by"] == "matplotlib 3.9.4"
    assert told["Samples"].startswith("4 samples")
    assert 'mode "official" there, "fixed" here' in told["Unlike setting A"]
    assert "4 samples, published on 600; mode fixed" in viewer.locator(".warning").inner_text()
    environment = viewer.locator("section", has_text="Environment").inner_text()
    assert re.search(r"matplotlib\s+3\.9\.4", environment)


def test_a_card_is_opened_and_closed_by_keyboard(shown: Seen) -> None:
    name = shown.page.locator("#table-plot2code tbody th a").first
    name.press("Enter")
    shown.page.locator("#viewer").wait_for()
    assert shown.page.url.endswith("#plot2code-gemini-2.5-pro")
    shown.page.keyboard.press("Escape")
    shown.wait_until("!document.getElementById('viewer').open")
    shown.wait_until("location.hash === ''")
    assert name.evaluate("link => link === document.activeElement")
    name.press("Enter")
    shown.page.locator("#viewer").wait_for()  # a second time, too
    shown.page.go_back()
    shown.wait_until("!document.getElementById('viewer').open")


def test_the_card_of_a_published_row(open_page: Open, results: Path) -> None:
    page = write_leaderboard(results)
    seen = open_page(page)
    seen.page.goto(f"{page.resolve().as_uri()}#chartmimic-rrvf-ours-without-text-labels/type")
    seen.page.reload()
    chosen = seen.page.locator("#viewer tr.chosen")
    assert chosen.inner_text().split() == ["Type", "53.56", "+17.06", "6", "of", "10"]
    told = facts(seen)
    assert told["Source"] == f"{README}, table of ChartMimic"
    assert told["Samples"] == "600, as the exec rates imply"
    assert told["Intervals"] == "none published"
    assert told["Drawn by"] == told["Turns"] == "not told by the source"
    seen.page.keyboard.press("Escape")
    seen.page.locator('tr[data-id="chartmimic-gpt-4o-2024-11-20"] th a').click()
    assert "76.06" in seen.page.inner_text("#viewer .warning")
    assert "gives 76.07" in seen.page.inner_text("#viewer .warning")


# --- folders -------------------------------------------------------------------------------------


def test_the_command_writes_into_the_folder_or_another(results: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(cli.app, ["report", "--leaderboard", str(results)])
    assert done.output.strip() == str(results / "leaderboard.html")
    done = runner.invoke(
        cli.app, ["report", "--leaderboard", str(results), "--out", str(tmp_path / "page")]
    )
    assert done.output.strip() == str(tmp_path / "page" / "leaderboard.html")
    assert (tmp_path / "page" / "leaderboard.html").read_text() == (
        results / "leaderboard.html"
    ).read_text()
    several = runner.invoke(cli.app, ["report", "--leaderboard", str(results), str(tmp_path)])
    assert isinstance(several.exception, UserError)


def test_a_folder_without_results_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        monkeypatch.setattr("sys.argv", ["rrvf", "report", "--leaderboard", str(folder)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "holds neither paper/*.csv nor runs as <benchmark>/<policy>/<run>/" in line
    assert list(tmp_path.iterdir()) == []


def test_published_rows_need_no_run(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    with pytest.raises(DataError):
        write_leaderboard(tmp_path)
    (tmp_path / "paper" / "chartmimic.csv").write_text("")
    tables = payload(write_leaderboard(tmp_path))["tables"]
    kinds = {row["kind"] for table in tables for row in table["rows"]}
    assert kinds == {"open", "closed", "printed"}


def test_a_torn_run_hides_no_other(open_page: Open, results: Path) -> None:
    (results / "chartmimic" / "mine" / "low" / "summary.json").write_text("{")
    seen = open_page(write_leaderboard(results))
    assert re.search(r"Left out: .*low.summary\.json", seen.page.inner_text("#notes .warning"))
    assert names(seen)["Measured, setting A"] == ["high"]


def test_the_project_s_own_results(open_page: Open, tmp_path: Path) -> None:
    kept = json.loads((PAPER.parent / "chartmimic/gpt-4v/v1-91/summary.json").read_text())
    seen = open_page(write_leaderboard(PAPER.parent, tmp_path))
    row = dict(board(seen))["Measured"][0]
    figures = [kept["metrics"][k] for k in ("exec_rate", "text", "layout", "type", "color")]
    assert row == ["", "GPT-4V", *(f"{value:.2f}" for value in figures), "–", "–"]


# --- a stranger's run ----------------------------------------------------------------------------


def test_what_a_run_says_is_only_shown(open_page: Open, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        protocol = {text: text, "scorers": [text], "hash": text, "loop": {"max_turns": text}}
        judge = {"name": "gpt", "judge": text, "rubric": text, "prompt": text}
        run = keep(tmp_path, f"run-{number}", [0.5, 0.5], judge=judge, mode=text, **protocol)
        table = json.loads((run / "summary.json").read_text())
        table |= {
            "environment": {text: {text: text}, "chart_versions": {"matplotlib": text}},
            "statuses": {"ok": text, text: text},
            "n_unscored": {text: 1, "text": text},
        }
        (run / "summary.json").write_text(json.dumps(table))
        config = {"policy": text, "made": text, "official": {text: [text]}, text: text}
        (run / "config.json").write_text(json.dumps(config))
    seen = open_page(write_leaderboard(tmp_path))
    measured = seen.page.locator('tr[data-kind="measured"] th a')
    assert measured.count() == len(HOSTILE)
    shown = measured.all_inner_texts()
    for index, text in enumerate(HOSTILE[:9]):
        assert text in shown
        measured.nth(index).click()
        seen.page.locator("#viewer").wait_for()
        assert seen.page.locator("#viewer :is(script, svg, img)").count() == 0
        seen.page.keyboard.press("Escape")
        seen.wait_until("!document.getElementById('viewer').open")
    assert seen.page.evaluate("window.pwned") is None
    assert seen.page.locator("#tables :is(script, svg, img)").count() == 0


@pytest.mark.parametrize("told", ['"x"', "[1]", "null", "{", '{"policy": 3, "made": ["x"]}'])
def test_a_record_that_says_nothing_is_no_hindrance(tmp_path: Path, told: str) -> None:
    run = keep(tmp_path, "run", [0.5, 0.5])
    (run / "config.json").write_text(told)
    rows = payload(write_leaderboard(tmp_path))["tables"][0]["rows"]
    assert [row["name"] for row in rows if row["kind"] == "measured"] == ["run"]


def test_the_script_has_no_way_to_parse_a_string() -> None:
    assets = resources.files("rrvf") / "report_assets"
    script = (assets / "leaderboard.js").read_text(encoding="utf-8")
    sinks = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|ContextualFragment"
    runners = r"\beval\b|Function\(|cssText|srcdoc|import\("
    assert re.search(f"{sinks}|{runners}", script) is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(open_page: Open, results: Path, scheme: str) -> None:
    seen = open_page(
        write_leaderboard(results), viewport={"width": 360, "height": 800}, color_scheme=scheme
    )
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    head = seen.page.locator('#table-chartmimic th[data-key="overall"]')
    right = seen.page.locator("#table-chartmimic .scroller").bounding_box()
    box = head.bounding_box()
    assert box["x"] + box["width"] <= right["x"] + right["width"] + 1, "what is sorted is in sight"
    seen.page.locator("#table-chartmimic tbody th a").first.click()
    viewer = seen.page.locator("#viewer")
    assert viewer.evaluate("v => v.scrollWidth <= v.clientWidth && v.clientWidth <= 360")
    colors = viewer.evaluate(
        "v => [getComputedStyle(v).color, getComputedStyle(v).backgroundColor]"
    )
    assert len(set(colors)) == 2


@pytest.mark.parametrize("width", [360, 1200])
def test_what_is_said_of_a_model_is_below_its_name(
    open_page: Open, results: Path, width: int
) -> None:
    seen = open_page(write_leaderboard(results), viewport={"width": width, "height": 800})
    row = seen.page.locator("#table-chartmimic th[scope=row]").first
    name, told = (row.locator(part).bounding_box() for part in ("a", ".told"))
    assert told["y"] >= name["y"] + name["height"] - 1
    assert told["y"] + told["height"] <= row.bounding_box()["y"] + row.bounding_box()["height"]


def test_a_scrolled_table_shows_it_beside_the_names(open_page: Open, results: Path) -> None:
    from PIL import Image

    seen = open_page(write_leaderboard(results), viewport={"width": 360, "height": 800})
    table = seen.page.locator("#table-chartmimic .scroller")
    name = table.locator("thead [data-key=name]")

    def tones(left: int) -> tuple[int, int]:
        """Of the head's background: beside the names, and in the middle of what scrolls."""
        table.evaluate("(box, left) => { box.scrollLeft = left; }", left)
        picture = Image.open(io.BytesIO(table.screenshot())).convert("L")
        edge = int(name.bounding_box()["x"] + name.bounding_box()["width"])
        edge -= int(table.bounding_box()["x"])
        return picture.getpixel((edge + 4, 8)), picture.getpixel(((edge + picture.width) // 2, 8))

    near, far = tones(0)
    assert near == far
    near, far = tones(60)
    assert near < far - 4


def test_without_a_script_the_tables_stand_there(open_page: Open, results: Path) -> None:
    seen = open_page(write_leaderboard(results), java_script_enabled=False)
    told = seen.page.inner_text("noscript pre")
    assert "| RRVF (Ours) [without text labels] | **97.83** |" in told
    assert "| high † |" in told


def test_on_paper_the_tables_are_whole(shown: Seen) -> None:
    shown.page.emulate_media(media="print")
    assert not shown.page.is_visible("#toolbar")
    assert shown.page.is_visible("#table-websight")
    cut = "b => { const s = b.closest('.scroller'); return getComputedStyle(s).overflowX; }"
    assert shown.page.locator("#table-chartmimic table").evaluate(cut) == "visible"
