"""The report: what is written, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import DataError, UserError
from rrvf.report import format_table, write_report
from tests import reports
from tests.reports import (
    HOSTILE,
    LOW_LEVEL,
    Blocks,
    Open,
    add_picture,
    item,
    payload,
    png,
    score,
    summary,
    write_run,
)

browser, open_page = reports.browser, reports.open_page


# --- the text table -----------------------------------------------------------------------------


def test_table_has_the_columns_of_the_paper_and_a_dash_for_null() -> None:
    table = summary(
        600,
        statuses={"timeout": 2, "ok": 590, "code_error": 8, "no_code": 0},
        n_unscored={"text": 3, "layout": 0},
    )
    lines = format_table(table).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:3]]
    assert cells[0] == [
        "Exec rate", "Text", "Layout", "Type", "Color", "Average", "GPT", "Overall",
    ]  # fmt: skip
    assert cells[2] == ["90.98", "70.90", "84.30", "71.82", "61.10", "72.03", "–", "–"]
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[4:] == [
        "ChartMimic · 600 samples (ok 590, code_error 8, timeout 2) · mode official",
        "Not scored and left out of the means: Text 3",
    ]


def test_table_of_another_benchmark_shows_its_own_metrics() -> None:
    table = {
        "benchmark": "plot2code",
        "n_samples": 1,
        "metrics": {"exec_rate": 1.0, "text_pass": 2},
    }
    header, _, row, _, footer = format_table(table).splitlines()
    assert "Text (pass)" in header
    assert "Layout" not in header
    assert "2.00" in row
    assert footer == "Plot2Code · 1 sample"


def test_table_of_a_summary_without_figures_is_all_dashes() -> None:
    assert format_table({"metrics": {"text": float("nan")}}).splitlines()[2].count("–") == 8


# --- mistakes of the user -----------------------------------------------------------------------


def test_no_folder_and_a_missing_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run folder"):
        write_report([], tmp_path)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "absent"))):
        write_report([tmp_path / "absent"], tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither summary\.json nor results\.jsonl"):
        write_report([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_broken_summary_is_named(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run", [item("a")], None)
    (run / "summary.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"summary\.json"):
        write_report([run], tmp_path)


def test_a_page_that_cannot_be_written_is_a_users_error(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [item("a")], summary(1))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        write_report([run], tmp_path / "file" / "below")


# --- what is in the file ------------------------------------------------------------------------


def test_no_string_leaves_the_data_block(tmp_path: Path) -> None:
    items = [item(f"{index} {text}", error=text, code=text) for index, text in enumerate(HOSTILE)]
    page = write_report([write_run(tmp_path / "run", items, summary(len(items)))], tmp_path)
    text = page.read_text(encoding="utf-8")
    blocks = Blocks(text)
    assert [tag for tag, _ in blocks.tags].count("script") == 2
    assert not {"img", "svg", "b"} & {tag for tag, _ in blocks.tags}
    shown = json.loads(blocks.contents["script"][0])["runs"][0]["items"]
    assert [(entry["error"], entry["code"]) for entry in shown] == [(t, t) for t in HOSTILE]
    assert not re.search(r"[<>&]", blocks.contents["script"][0])


def test_a_hostile_benchmark_name_is_escaped_in_the_head(tmp_path: Path) -> None:
    table = summary(1, benchmark="</title><script>window.pwned=1</script>", metrics={"<b>": 1.0})
    page = write_report([write_run(tmp_path / "run", [item("a")], table)], tmp_path)
    tags = [tag for tag, _ in Blocks(page.read_text(encoding="utf-8")).tags]
    assert tags.count("script") == 2
    assert "b" not in tags


def test_policy_allows_this_script_and_this_style_only(tmp_path: Path) -> None:
    page = write_report([write_run(tmp_path / "run", [item("a")], summary(1))], tmp_path)
    blocks = Blocks(page.read_text(encoding="utf-8"))
    rules = dict(rule.strip().split(" ", 1) for rule in blocks.policy.split(";"))
    for kind, content in [
        ("script", blocks.contents["script"][1]),
        *zip(["style"], blocks.contents["style"], strict=True),
    ]:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    addresses = [
        value for _, attributes in blocks.tags for key, value in attributes.items()
        if key in ("src", "href", "action", "data", "poster")
    ]  # fmt: skip
    assert set(addresses) <= {"data:,", "#items"}


@pytest.mark.parametrize(
    "name",
    ["report", "episodes", "blocks", "overview", "panels", "compare", "address", "keys"],
)
def test_the_script_has_no_way_to_parse_a_string(name: str) -> None:
    script = (resources.files("rrvf") / "report_assets" / f"{name}.js").read_text("utf-8")
    sinks = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|ContextualFragment"
    runners = r"\beval\b|Function\(|cssText|srcdoc|import\("
    assert re.search(f"{sinks}|{runners}", script) is None


def test_pictures_are_embedded_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    names = [add_picture(run, png(1)), add_picture(run, png(2))]
    items = [
        item(f"i{n}", pictures={"reference": names[0], "rendering": names[1]}) for n in range(3)
    ]
    page = write_report([write_run(run, items, summary(3))], tmp_path)
    encoded = base64.b64encode(png(1)).decode()
    assert page.read_text(encoding="utf-8").count(encoded) == 1
    assert payload(page)["pictures"] == {
        names[0]: "data:image/png;base64," + encoded,
        names[1]: "data:image/png;base64," + base64.b64encode(png(2)).decode(),
    }


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/hostname", "plain.png", "gone.png", "a b.png"]
)
def test_only_pictures_of_the_run_are_taken(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", [item("a", pictures={"rendering": name})], summary(1))
    (run / "secret.png").write_bytes(png(7))
    (run / "renderings" / "plain.png").write_text("no picture at all")
    (run / "renderings" / "a b.png").write_bytes(png(7))
    shown = payload(write_report([run], tmp_path))
    assert shown["pictures"] == {}
    assert shown["runs"][0]["items"][0]["rendering_lost"] is True
    assert shown["notes"] == ["1 picture not found below renderings/."]


def test_many_bytes_of_pictures_are_linked_and_the_page_says_so(tmp_path: Path) -> None:
    run = tmp_path / "odd:name #1"
    name = add_picture(run, png(1))
    write_run(run, [item("a", pictures={"reference": name})], summary(1))
    page = write_report([run], tmp_path / "out", embed_limit=len(png(1)) - 1)
    shown = payload(page)
    assert shown["pictures"] == {name: f"../odd%3Aname%20%231/renderings/{name}"}
    assert "linked, not embedded" in shown["notes"][0]
    assert payload(write_report([run], tmp_path / "out", embed_limit=len(png(1))))["notes"] == []


def test_numbers_that_json_lacks_become_null_and_long_lists_are_cut(tmp_path: Path) -> None:
    run = tmp_path / "run"
    entry = item("a", seconds=float("inf"))
    entry["scores"]["text"] = score(0.5, missing=[f"t{n}" for n in range(1000)])
    entry["scores"]["color"]["value"] = float("nan")
    entry["scores"]["type"]["f1"] = 10**400
    shown = payload(write_report([write_run(run, [entry], summary(1))], tmp_path))
    first = shown["runs"][0]["items"][0]
    assert first["seconds"] is None
    assert first["scores"]["color"]["value"] is None
    assert first["scores"]["type"]["f1"] is None
    assert len(first["scores"]["text"]["missing"]) == 400
    assert first["shortened"] is True


def test_torn_unreadable_and_repeated_lines_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [item("a"), item("b")], summary(3))
    with (run / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n[1]\n{\n")
        file.write(json.dumps(item("a", "timeout")) + "\n")
        file.write(json.dumps(item("c"))[:-9])
    shown = payload(write_report([run], tmp_path))["runs"][0]
    assert [(entry["id"], entry["status"]) for entry in shown["items"]] == [
        ("a", "timeout"),
        ("b", "ok"),
    ]
    assert shown["notes"] == [
        "The summary counts 3 samples, results.jsonl holds 2.",
        "The last line of results.jsonl is torn and was left out.",
        "Unreadable lines of results.jsonl were left out: 4, 5.",
        "1 repeated line in results.jsonl: the last one counts.",
    ]


def test_a_whole_last_line_without_line_break_counts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], summary(1), tail=json.dumps(item("a")))
    shown = payload(write_report([run], tmp_path))["runs"][0]
    assert len(shown["items"]) == 1
    assert shown["notes"] == []


def test_writing_again_replaces_the_page_and_leaves_nothing_else(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [item("a")], summary(1))
    first = write_report([run], tmp_path / "out").read_bytes()
    assert write_report([run], tmp_path / "out").read_bytes() == first
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


# --- in a browser -------------------------------------------------------------------------------


STATUS_CYCLE = (
    "ok",
    "ok",
    "ok",
    "code_error",
    "ok",
    "timeout",
    "ok",
    "no_code",
    "ok",
    "out_of_memory",
)


def big_items() -> list[dict[str, Any]]:
    """600 items with distinct scores, all statuses, 20 that differ between modes, 10 unscored."""
    items: list[dict[str, Any]] = []
    for number in range(600):
        status = "harness_error" if number % 150 == 77 else STATUS_CYCLE[number % 10]
        entry = item(f"{('bar', 'line', 'pie')[number % 3]}_{number}", status, seconds=number / 100)
        if status == "harness_error":
            entry["scores"] = {name: score(None) for name in entry["scores"]}
        elif status == "ok":
            for place, name in enumerate(LOW_LEVEL):
                # 7 and 600 share no factor: every item gets another value.
                entry["scores"][name] = score(((number * 7 + place * 41) % 600 + 1) / 601)
            if number % 100 == 20:
                entry["scores"]["color"] = score(None)
        if number % 30 == 0:
            entry["other_mode"] = {"color": 0.9}
        items.append(entry)
    return items


def unscored_ids(items: list[dict[str, Any]]) -> list[str]:
    return [
        entry["sample_id"] for entry in items
        if any(part["value"] is None for part in entry["scores"].values())
    ]  # fmt: skip


@pytest.fixture(scope="module")
def big_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    items = big_items()
    for number, entry in enumerate(items):
        reference = add_picture(folder / "run", png(number))
        entry["pictures"] = {"reference": reference}
        if entry["status"] == "ok":
            entry["pictures"]["rendering"] = add_picture(folder / "run", png(number + 1000))
    return write_report([write_run(folder / "run", items, summary(600))], folder)


def test_600_items_are_listed_and_filled_only_near_the_window(
    open_page: Open, big_page: Path
) -> None:
    seen = open_page(big_page, "#sort=order")
    assert seen.ids() == [entry["sample_id"] for entry in big_items()]
    seen.page.wait_for_selector(".card .pictures")
    filled = "document.querySelectorAll('#items .pictures').length"
    assert 0 < seen.page.evaluate(filled) < 60
    card = seen.card("pie_599")
    card.locator("img").first.wait_for()
    seen.wait_until(
        """[...document.querySelectorAll('#items > .card:last-child img')]
          .every((image) => image.naturalWidth === 8)"""
    )
    assert seen.page.evaluate(filled) < 120


def test_filters_show_exactly_the_right_items(open_page: Open, big_page: Path) -> None:
    items = big_items()
    seen = open_page(big_page, "#sort=order")

    def having(*statuses: str) -> list[str]:
        return [entry["sample_id"] for entry in items if entry["status"] in statuses]

    seen.toggle("timeout")
    assert seen.ids() == having("timeout")
    seen.toggle("no_code")
    assert seen.ids() == having("timeout", "no_code")
    assert seen.page.inner_text("#count") == f"{len(having('timeout', 'no_code'))} of 600 items"
    seen.toggle("timeout")
    seen.toggle("no_code")
    seen.toggle("differ")
    assert seen.ids() == [entry["sample_id"] for entry in items if entry["other_mode"]]
    seen.page.fill("#search", "PIE_")
    assert seen.ids() == []  # every thirtieth item is a bar
    assert seen.page.locator("#nothing").is_visible()
    seen.page.click("#reset")
    assert len(seen.ids()) == 600
    seen.page.fill("#search", "pie_5")
    seen.toggle("ok")
    assert seen.ids() == [name for name in having("ok") if "pie_5" in name]
    seen.page.fill("#search", "")
    seen.toggle("ok")
    seen.toggle("unscored")
    assert seen.ids() == unscored_ids(items)


def test_sorting_by_a_score_keeps_the_unscored_last(open_page: Open, big_page: Path) -> None:
    scored = [
        (entry["scores"]["color"]["value"], number, entry["sample_id"])
        for number, entry in enumerate(big_items())
        if entry["scores"]["color"]["value"] is not None
    ]
    unscored = unscored_ids(big_items())
    seen = open_page(big_page)
    seen.page.select_option("#sort", "score:color")
    assert seen.ids() == [name for *_, name in sorted(scored)] + unscored
    seen.page.click("#direction")
    falling = sorted(scored, key=lambda entry: (-entry[0], entry[1]))
    assert seen.ids() == [name for *_, name in falling] + unscored


def test_sorting_by_average_id_and_seconds(open_page: Open, big_page: Path) -> None:
    items = [entry for entry in big_items() if entry["status"] == "ok"]
    scored = [entry for entry in items if entry["scores"]["color"]["value"] is not None]

    def average(entry: dict[str, Any]) -> float:
        return sum(entry["scores"][name]["value"] for name in LOW_LEVEL) / 4

    seen = open_page(big_page)
    seen.toggle("ok")
    seen.page.select_option("#sort", "score:average")
    by_id = {entry["sample_id"]: average(entry) for entry in scored}
    shown = seen.ids()
    averages = [by_id[name] for name in shown[: len(scored)]]
    assert averages == pytest.approx(sorted(by_id.values()))
    assert set(shown[len(scored) :]) == {e["sample_id"] for e in items} - by_id.keys()
    seen.page.select_option("#sort", "id")
    by_number = sorted(items, key=lambda e: (e["sample_id"][:3], int(e["sample_id"].split("_")[1])))
    assert seen.ids() == [entry["sample_id"] for entry in by_number]
    seen.page.select_option("#sort", "seconds")
    seen.page.click("#direction")
    assert seen.ids() == [entry["sample_id"] for entry in reversed(items)]


def test_the_best_items_come_first(open_page: Open, tmp_path: Path) -> None:
    fair, good, better = (
        item(name, scores={key: score(value) for key in ("execution", *LOW_LEVEL)})
        for name, value in (("fair", 0.5), ("good", 0.7), ("better", 0.9))
    )
    good["scores"]["color"] = score(None)
    lost = item("lost", "harness_error", scores={key: score(None) for key in LOW_LEVEL})
    lines = [
        item("late", "timeout"),
        lost,
        fair,
        good,
        better,
        item("alike", scores=fair["scores"]),
    ]
    page = write_report([write_run(tmp_path / "run", lines, summary(len(lines)))], tmp_path)
    seen = open_page(page)
    assert seen.page.input_value("#sort") == "best"
    assert seen.ids() == ["better", "good", "fair", "alike", "late", "lost"]
    assert seen.page.inner_text("#direction") == "⇅ Reverse"
    assert seen.fragment() == ""
    seen.page.click("#direction")
    assert seen.ids() == ["late", "fair", "alike", "good", "better", "lost"]
    assert open_page(page, seen.fragment()).ids() == seen.ids()
    seen.page.select_option("#sort", "order")
    seen.page.click("#direction")
    assert seen.ids() == [line["sample_id"] for line in lines]
    assert open_page(page, seen.fragment()).ids() == seen.ids()


def test_a_figure_that_was_not_measured_is_a_dash_with_its_reason(
    open_page: Open, tmp_path: Path
) -> None:
    entry = item("a")
    entry["scores"]["text"] = score(None)
    table = summary(1, n_unscored={"text": 1})
    table["metrics"]["text"] = None
    seen = open_page(write_report([write_run(tmp_path / "run", [entry], table)], tmp_path))
    cells = seen.page.locator("#metrics td").all_inner_texts()
    assert cells == ["90.98", "–", "84.30", "71.82", "61.10", "72.03", "–", "–"]
    titles = seen.page.evaluate("[...document.querySelectorAll('#metrics abbr')].map(a => a.title)")
    assert titles == [
        "not scored: 1 item, the reference did not run",
        "no judge was named for this run",
        "needs both Average and GPT",
    ]
    assert "Text 1" in seen.page.inner_text("#table-notes")
    panel = seen.card("a").locator('[data-scorer="text"]')
    assert panel.locator(".value").inner_text() == "–"
    assert "the reference did not run" in panel.inner_text()
    assert seen.page.locator(".histogram").first.locator("rect").count() == 0
    assert seen.page.locator(".histogram .mean").all_inner_texts() == [
        "–",
        "50.0",
        "50.0",
        "50.0",
        "–",
    ]


def test_histograms_count_items_by_score(open_page: Open, tmp_path: Path) -> None:
    values = [0.0, 0.04, 0.1, 0.3, 0.95, 1.0]
    items = [item(f"i{n}") for n in range(len(values))] + [item("bad", "code_error")]
    for entry, value in zip(items, values, strict=False):
        entry["scores"]["text"] = score(value)
    seen = open_page(write_report([write_run(tmp_path / "run", items, summary(7))], tmp_path))
    label = seen.page.locator(".histogram svg").first.get_attribute("aria-label")
    assert label == (
        "Text, items by score: 0: 3, 10: 1, 20: 0, 30: 1, 40: 0, 50: 0, 60: 0, 70: 0, 80: 0, 90: 2"
    )
    assert seen.page.locator(".histogram").first.locator("rect.failed").count() == 1
    legend = seen.page.locator("#statuses li").all_inner_texts()
    assert [" ".join(text.split()) for text in legend] == ["ok 6 85.7 %", "code error 1 14.3 %"]


@pytest.mark.parametrize("width", [1280, 360])
def test_few_histograms_keep_the_size_of_their_figures(
    open_page: Open, tmp_path: Path, width: int
) -> None:
    entry = item("a")
    entry["scores"] = {name: score(0.5) for name in ("text", "likeness")}
    run = write_run(tmp_path / "run", [entry], summary(1))
    seen = open_page(write_report([run], tmp_path), viewport={"width": width, "height": 800})
    texts = seen.page.locator(".histogram svg text")
    assert texts.count() == 6
    heights = texts.evaluate_all("all => all.map(t => t.getBoundingClientRect().height)")
    assert max(heights) < 22, "a line of the page's own text is 22.5 pixels high"


def detailed_item() -> dict[str, Any]:
    entry = item("bar_1", other_mode={"text": 0.9}, tags={"category": "bar"})
    entry["scores"] |= {
        "text": score(0.5, matched=["Year", "Year"], missing=["Sales"], extra=["", "Income"]),
        "type": score(0.5, reference={"bar": 3, "plot": 1}, rendering={"bar": 2, "plot": 1}),
        "layout": score(
            0.5,
            reference=[[2, 2, 0, 0, 0, 1], [2, 2, 1, 1, 0, 0]],
            rendering=[[2, 2, 0, 0, 0, 1]] * 2,
        ),
        "color": score(
            0.5,
            pairs=[
                {"role": "bar", "reference": "#1F77B4", "rendering": "#FF7F0E", "similarity": 0.62},
                {
                    "role": "imshow",
                    "reference": "viridis",
                    "rendering": "red",
                    "similarity": 0.0,
                },
            ],
            missing=[{"role": "text", "value": "#00FF00"}],
            extra=[{"role": "legend", "value": "#333333"}],
        ),
        "gpt": {"value": 0.71, "raw": 71, "parts": {"types": 18}},
    }
    return entry


def test_an_item_shows_what_matched_and_what_did_not(open_page: Open, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [detailed_item()], summary(1))
    seen = open_page(write_report([run], tmp_path))
    card = seen.card("bar_1")
    assert card.locator(".chip.missing").all_inner_texts() == ["− Sales"]
    assert card.locator(".chip.extra").all_inner_texts() == ["+ empty", "+ Income"]
    assert card.locator(".chip.matched").all_inner_texts() == ["Year ×2"]
    types = [row.split() for row in card.locator(".types tbody tr").all_inner_texts()]
    assert types == [["bar", "3", "2", "≠"], ["plot", "1", "1"]]
    colors = [row.split() for row in card.locator(".colors tbody tr").all_inner_texts()]
    assert colors == [
        ["bar", "#1F77B4", "#FF7F0E", "62.0"],
        ["imshow", "viridis", "red", "0.0"],
        ["text", "#00FF00", "–", "−", "missing"],
        ["legend", "–", "#333333", "+", "extra"],
    ]
    swatches = card.locator(".swatch").evaluate_all("all => all.map(s => s.style.backgroundColor)")
    assert swatches == [
        "rgb(31, 119, 180)", "rgb(255, 127, 14)", "", "", "rgb(0, 255, 0)", "rgb(51, 51, 51)",
    ]  # fmt: skip
    assert card.locator(".swatch.map").count() == 2  # a colormap named "red" is not the colour
    grids = card.locator(".grid svg")
    assert [grids.nth(n).locator("rect.cell").count() for n in (0, 1)] == [4, 4]
    assert [grids.nth(n).locator("rect.unmatched").count() for n in (0, 1)] == [1, 1]
    assert grids.nth(1).locator("text").inner_html() == "×2"
    assert card.locator('[data-scorer="gpt"] .value').inner_text() == "71.0"
    assert card.locator('[data-scorer="gpt"] .facts').inner_text().split() == [
        "raw", "71", "parts", "types", "18",
    ]  # fmt: skip


def test_details_that_no_panel_knows_are_rounded(open_page: Open, tmp_path: Path) -> None:
    entry = item("a")
    entry["scores"]["mine"] = score(0.5, strokes=0.123456789, tiny=1.23456e-7, n=123456)
    seen = open_page(write_report([write_run(tmp_path / "run", [entry], summary(1))], tmp_path))
    rows = seen.card("a").locator('.panel[data-scorer="mine"] .facts tr').all_inner_texts()
    assert [row.split() for row in rows] == [
        ["strokes", "0.1235"], ["tiny", "1.235e-7"], ["n", "123456"],
    ]  # fmt: skip


def test_modes_that_differ_are_marked_with_both_values(open_page: Open, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [detailed_item(), item("b")], summary(2))
    seen = open_page(write_report([run], tmp_path))
    card = seen.card("bar_1")
    assert card.locator(".badge.differ").inner_text() == "≠ modes differ"
    line = card.locator('[data-scorer="text"] .modes').inner_text()
    assert line == "≠ official 50.0 · fixed 90.0"
    assert card.locator(".modes").count() == 1
    assert seen.card("b").locator(".badge.differ, .modes").count() == 0


def test_a_failed_item_says_why_and_shows_its_reply(open_page: Open, tmp_path: Path) -> None:
    name = add_picture(tmp_path / "run", png(3))
    items = [
        item("crash", "code_error", error="ValueError: no such colour", code="plt.bar('x')  # why"),
        item("partial", "code_error", pictures={"rendering": name}),
        item("empty", "no_code", error="no code in the answer", code=None, completion="I cannot."),
    ]
    seen = open_page(write_report([write_run(tmp_path / "run", items, summary(3))], tmp_path))
    crash, empty = seen.card("crash"), seen.card("empty")
    assert crash.locator(".error").inner_text() == "ValueError: no such colour"
    assert "no picture: code error" in crash.inner_text()
    assert seen.card("partial").locator("figcaption").all_inner_texts() == [
        "Reference", "Rendering, unfinished",
    ]  # fmt: skip
    assert crash.locator(".code pre").count() == 0
    crash.locator(".code summary").press("Enter")
    crash.locator(".code pre").wait_for()
    assert crash.locator(".code pre").inner_text() == "plt.bar('x')  # why"
    empty.locator(".code summary").click()
    assert empty.locator(".code pre").inner_text() == "I cannot."


# --- attacks ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Listener:
    """A server on loopback that counts who calls."""

    address: str
    calls: list[str]


@pytest.fixture
def listener() -> Iterator[Listener]:
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Listener(f"http://127.0.0.1:{server.server_port}/", calls)
    server.shutdown()
    server.server_close()


def hostile_item(text: str, address: str) -> dict[str, Any]:
    """One string in every place that a model's answer or a forged result can reach."""
    bad = f"red;background:url({address}c)"
    entry = item(
        text,
        text,
        error=text,
        code=text,
        tags={text: f"{text} ", "__proto__": f"{text} "},
        other_mode={text: 0.1, "__proto__": 0.2},
        pictures={"reference": text, "rendering": f"{address}p.png"},
    )
    entry["scores"] = {
        "execution": {"value": text, "reason": text},
        "text": score(0.5, matched=[text], missing=[text, {"a": text}], extra=text, note=text),
        "type": score(0.5, reference={text: text, "__proto__": 3}, rendering={"constructor": 1}),
        "layout": score(
            0.5,
            reference=[[10**9, 10**9, 0, 0, 0, 0], [2, 2, -1, 9, 0, 0], [text] * 6, text, None],
            rendering=[["1", 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]],
        ),
        "color": score(
            0.5,
            pairs=[
                {"role": text, "reference": bad, "rendering": text, "similarity": text},
                text,
                None,
            ],
            missing=[{"role": text, "value": f"#url({address}d)"}],
            extra=[{"value": "#12345"}, {"value": "#123456;color:red"}],
        ),
        text: {"value": 0.5, text: text, "address": address},
        "__proto__": {"value": 0.5},
    }
    return entry


def test_hostile_strings_are_text_and_nothing_else(
    open_page: Open, tmp_path: Path, listener: Listener
) -> None:
    texts = [
        *HOSTILE,
        f"<link rel=stylesheet href={listener.address}l>",
        f'<img src="{listener.address}i">',
    ]
    items = [hostile_item(text, listener.address) for text in texts]
    table = summary(
        len(items), benchmark=texts[0], environment={texts[1]: texts[0]}, n_unscored={texts[0]: 1}
    )
    page = write_report([write_run(tmp_path / "run", items, table)], tmp_path)
    seen = open_page(page)
    for text in texts:
        card = seen.card(text)
        card.locator(".code summary").first.click()
        shown = card.evaluate("card => card.textContent")
        # title, badge, tag twice, error, reason, chips, note, type, role ..., code
        types = dict(row.split("\t", 1) for row in card.locator(".types tr").all_inner_texts())
        assert types["constructor"].split() == ["0", "1", "≠"]
        assert types["__proto__"].split() == ["3", "0", "≠"]
        assert shown.count(text.replace("\ud800", "\ufffd")) >= 12 or "\ud800" in text
    assert (
        seen.page.evaluate("document.querySelectorAll('#items img, link[rel=stylesheet]').length")
        == 0
    )
    assert seen.page.evaluate(
        "[...document.querySelectorAll('.swatch')].every(s => !s.style.cssText)"
    )
    assert seen.page.evaluate("typeof window.pwned") == "undefined"
    assert seen.page.inner_text("#title") == texts[0]
    assert listener.calls == []


def test_the_page_cannot_reach_the_network_or_parse_html(
    open_page: Open, tmp_path: Path, listener: Listener
) -> None:
    urllib.request.urlopen(listener.address + "check").close()
    assert listener.calls == ["/check"]  # the listener does hear
    page = write_report([write_run(tmp_path / "run", [item("a")], summary(1))], tmp_path)
    seen = open_page(page)
    tried = seen.page.evaluate(
        """async (address) => {
          const fails = (make) => new Promise((done) => {
            const element = make();
            element.onload = () => done("loaded");
            element.onerror = () => done("blocked");
            document.body.append(element);
          });
          const caught = (act) => { try { act(); return "done"; } catch { return "blocked"; } };
          return {
            fetch: await fetch(address).then(() => "done", () => "blocked"),
            image: await fails(() => Object.assign(new Image(), { src: address + "i.png" })),
            style: await fails(() => Object.assign(document.createElement("link"),
              { rel: "stylesheet", href: address + "s.css" })),
            html: caught(() => { document.body.innerHTML = "<b>x</b>"; }),
            code: caught(() => { (0, eval)("1"); }),
          };
        }""",
        listener.address,
    )
    assert set(tried.values()) == {"blocked"}
    assert listener.calls == ["/check"]
    assert [line for line in seen.trouble if line.startswith(("dialog", "error"))] == []
    seen.trouble.clear()  # the browser told the console about each refusal, as it should


# --- unfinished, several runs, other views ------------------------------------------------------


def test_an_unfinished_run_with_a_torn_line_shows_what_is_there(
    open_page: Open, tmp_path: Path
) -> None:
    torn = json.dumps(item("c"))[:40]
    run = write_run(tmp_path / "half", [item("a"), item("b", "timeout")], None, tail=torn)
    seen = open_page(write_report([run], tmp_path))
    assert seen.ids() == ["a", "b"]
    assert seen.page.locator("#metrics td").all_inner_texts() == ["–"] * 8
    assert seen.page.locator("#table-notes .warning").all_inner_texts() == [
        "This run is unfinished: 2 items on file, no summary yet.",
        "The last line of results.jsonl is torn and was left out.",
    ]
    assert not seen.page.locator("#run-card").is_visible()


def test_an_unfinished_run_with_figures_says_what_they_cover(
    open_page: Open, tmp_path: Path
) -> None:
    table = summary(9, finished=False)
    assert "unfinished" in format_table(table)
    assert "unfinished" not in format_table(table | {"finished": True})
    seen = open_page(write_report([write_run(tmp_path / "run", [item("a")], table)], tmp_path))
    assert seen.page.locator("#table-notes .warning").all_inner_texts() == [
        "This run is unfinished: the figures cover the 1 item on file."
    ]
    assert "unfinished" in seen.page.inner_text("#subtitle")
    assert seen.page.locator("#metrics td").first.inner_text() == "90.98"
    assert seen.page.locator("#run-card").is_visible()


def test_a_run_without_any_item_still_opens(open_page: Open, tmp_path: Path) -> None:
    seen = open_page(write_report([write_run(tmp_path / "run", [], summary(0))], tmp_path))
    assert seen.page.inner_text("#count") == "0 of 0 items"
    assert not seen.page.locator("#distributions").is_visible()


def test_the_run_card_tells_mode_confinement_and_versions(open_page: Open, tmp_path: Path) -> None:
    seen = open_page(write_report([write_run(tmp_path / "run", [item("a")], summary(1))], tmp_path))
    heading = seen.page.inner_text("#run-card summary")
    assert "official mode" in heading
    assert "confinement: landlock + seccomp + rlimits" in heading
    assert not seen.page.locator("#run-card .facts").first.is_visible()
    seen.page.click("#run-card summary")
    assert "matplotlib\t3.9.4" in seen.page.locator("#run-card .facts").nth(1).inner_text()


def test_several_runs_stand_in_one_table_and_can_be_chosen(open_page: Open, tmp_path: Path) -> None:
    name = add_picture(tmp_path / "second", png(5))
    first = write_run(tmp_path / "first", [item("a")], summary(1))
    second = write_run(
        tmp_path / "second",
        [item("b", pictures={"reference": name}), item("c")],
        summary(2, protocol={"mode": "fixed"}),
    )
    seen = open_page(write_report([first, second], tmp_path / "out"))
    assert seen.page.locator("#metrics tbody tr").count() == 2
    assert seen.ids() == ["a"]
    seen.page.fill("#search", "a")
    seen.page.locator(".run-name").nth(1).press("Enter")
    assert seen.ids() == ["b", "c"]
    assert "fixed mode" in seen.page.inner_text("#run-subtitle")
    assert (
        seen.card("b")
        .locator("img")
        .evaluate("image => image.decode().then(() => image.naturalWidth)")
        == 8
    )


def test_the_title_is_that_of_all_runs(open_page: Open, tmp_path: Path) -> None:
    charts = write_run(tmp_path / "charts", [item("bar_1")], summary(1))
    more = write_run(tmp_path / "more", [item("bar_1")], summary(1))
    pages = write_run(
        tmp_path / "pages", [item("home")], summary(1, benchmark="websight", metrics={})
    )

    def titles(*runs: Path) -> list[str]:
        seen = open_page(write_report(runs, tmp_path / "out"))
        return [seen.page.inner_text(name) for name in ("#title", "#subtitle")]

    assert titles(charts, pages, more) == ["3 runs, 2 benchmarks", "ChartMimic · WebSight"]
    assert titles(charts, more) == ["ChartMimic", "2 runs"]
    assert titles(pages) == ["WebSight", "pages · 1 sample · official mode"]


def test_the_name_of_a_run_leads_to_it_and_back(open_page: Open, tmp_path: Path) -> None:
    lines = [item(f"bar_{place}") for place in range(40)]
    runs = [write_run(tmp_path / name, lines, summary(40)) for name in ("first", "second")]
    page = write_report(runs, tmp_path)
    seen = open_page(page)
    top = "document.querySelector('#run-head').getBoundingClientRect().top"
    assert seen.page.inner_text("#run-subtitle").startswith("first · 40 samples")
    assert seen.page.evaluate(top) > 0
    seen.page.click(".run-name:not([aria-pressed=true])")
    assert seen.page.inner_text("#run-subtitle").startswith("second · 40 samples")
    assert seen.page.inner_text("#title") == "ChartMimic"
    assert seen.page.evaluate("scrollY") > 0
    assert 0 <= seen.page.evaluate(top) < 300
    seen.page.click("#to-runs")
    assert seen.page.evaluate("scrollY") == 0
    assert seen.page.evaluate("document.activeElement.textContent") == "second"
    assert seen.fragment() == "#run=second"
    assert open_page(page, "#run=second").page.inner_text("#run-subtitle").startswith("second")
    alone = open_page(write_report(runs[:1], tmp_path / "alone"))
    assert not alone.page.locator("#run-head").is_visible()


def test_the_way_to_the_items_keeps_the_address(open_page: Open, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [item("a")], summary(1)) for name in ("first", "second")]
    seen = open_page(write_report(runs, tmp_path), "#run=second")
    seen.page.focus(".skip")
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "items"
    assert seen.fragment() == "#run=second"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_shows_where_it_scrolls(open_page: Open, tmp_path: Path, scheme: str) -> None:
    from PIL import Image

    runs = [write_run(tmp_path / name, [item("a")], summary(1)) for name in ("first", "second")]
    page = write_report(runs, tmp_path)

    def edges(width: int, left: int) -> list[bool]:
        """Whether the left and the right edge of the table are darker than its middle."""
        seen = open_page(page, viewport={"width": width, "height": 700}, color_scheme=scheme)
        table = seen.page.locator(".scroller").first
        table.evaluate("(box, left) => { box.scrollLeft = left; }", left)
        picture = Image.open(io.BytesIO(table.screenshot())).convert("L")
        # Above the texts, and inside the border; the corners are round.
        tones = [picture.getpixel((x, 16)) for x in (2, picture.width // 2, picture.width - 3)]
        return [tone < tones[1] - 4 for tone in (tones[0], tones[2])]

    assert edges(390, 0) == [False, True]
    assert edges(390, 120) == [True, True]
    assert edges(390, 5000) == [True, False]
    assert edges(1200, 0) == [False, False]


def test_linked_pictures_load_from_beside_the_page(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "a run: #2"
    name = add_picture(run, png(5))
    write_run(run, [item("a", pictures={"reference": name, "rendering": name})], summary(1))
    seen = open_page(write_report([run], tmp_path / "out", embed_limit=0))
    widths = (
        seen.card("a")
        .locator("img")
        .evaluate_all(
            "images => Promise.all(images.map(i => i.decode().then(() => i.naturalWidth)))"
        )
    )
    assert widths == [8, 8]
    assert "linked, not embedded" in seen.page.inner_text("#table-notes")


def test_the_viewer_works_by_keyboard_alone(open_page: Open, big_page: Path) -> None:
    seen = open_page(big_page, "#sort=order")
    seen.toggle("ok")
    frame = seen.card("bar_0").locator("button.frame").first
    frame.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.inner_text("#viewer-title") == "bar_0"
    assert seen.page.locator("#viewer-previous").is_disabled()
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.inner_text("#viewer-title") == "line_1"
    assert seen.page.locator("#viewer img").count() == 2
    seen.page.keyboard.press("Escape")
    seen.page.locator("#viewer").wait_for(state="hidden")
    assert seen.page.evaluate("document.activeElement.closest('.card').dataset.id") == "line_1"


def test_every_control_has_a_name_and_can_be_reached_by_tab(
    open_page: Open, tmp_path: Path
) -> None:
    page = write_report([write_run(tmp_path / "run", [detailed_item()], summary(1))], tmp_path)
    seen = open_page(page)
    seen.card("bar_1")
    seen.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    visited: list[str] = []
    for _ in range(14):
        seen.page.keyboard.press("Tab")
        visited.append(
            seen.page.evaluate(
                "(({id, className, tagName}) => id || className || tagName)(document.activeElement)"
            )
        )
    for control in ("skip", "search", "sort", "direction", "view", "toggle"):
        assert control in visited
    unnamed = seen.page.evaluate(
        """[...document.querySelectorAll('button, input, select, a, summary')].filter((e) =>
          !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"""
    )
    assert unnamed == 0


def test_a_link_to_an_item_leads_to_it(open_page: Open, big_page: Path) -> None:
    seen = open_page(big_page)
    link = seen.page.locator("#items > .card h3 a").nth(400).get_attribute("href")
    seen.page.goto("about:blank")
    seen.page.goto(big_page.resolve().as_uri() + link)
    seen.wait_until(
        """Math.abs(document.querySelectorAll('.card')[400].getBoundingClientRect().top)
          < innerHeight"""
    )


def test_printing_fills_every_item_shown(open_page: Open, big_page: Path) -> None:
    seen = open_page(big_page)
    seen.page.fill("#search", "bar_5")
    shown = len(seen.ids())
    assert shown > 30
    seen.page.pdf()
    assert seen.page.locator("#items .pictures").count() >= shown
    images = "[...document.querySelectorAll('#items img')]"
    assert seen.page.evaluate(f"{images}.every(i => i.loading === 'eager')")


@pytest.mark.parametrize("view", ["full", "gallery"])
def test_a_narrow_window_needs_no_sideways_scrolling(
    open_page: Open, tmp_path: Path, view: str
) -> None:
    long = "x" * 400
    entry = detailed_item() | {"sample_id": "a" * 200, "error": long, "tags": {long: long}}
    entry["scores"]["text"]["missing"] = [long]
    page = write_report([write_run(tmp_path / "run", [entry], summary(1))], tmp_path)
    seen = open_page(page, viewport={"width": 360, "height": 700})
    seen.page.select_option("#view", view)
    card = seen.card("a" * 200)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    rights = card.locator("bdi").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert max(rights) <= 360  # nothing is cut off at the edge of the card


def test_dark_mode_follows_the_system(open_page: Open, tmp_path: Path) -> None:
    page = write_report([write_run(tmp_path / "run", [item("a")], summary(1))], tmp_path)

    def brightness(scheme: str) -> int:
        background = open_page(page, color_scheme=scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        return sum(int(part) for part in re.findall(r"\d+", background)[:3])

    assert brightness("light") > 600
    assert brightness("dark") < 150


def test_without_javascript_the_figures_are_there(open_page: Open, tmp_path: Path) -> None:
    page = write_report([write_run(tmp_path / "run", [item("a")], summary(1))], tmp_path)
    seen = open_page(page, java_script_enabled=False)
    assert "70.90" in seen.page.inner_text("noscript")
