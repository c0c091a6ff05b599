"""The report of web pages: tables beside those of charts, screenshots, differences, details."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from rrvf.report import format_table, write_report
from rrvf.scorers import blocks
from rrvf.types import PageRendering, Score, TextBlock
from tests import reports
from tests.reports import Open, add_picture, item, payload, png, score, summary, write_run

browser, open_page = reports.browser, reports.open_page

NO_WEIGHTS = "no CLIP weights; name a file"


def page_item(sample_id: str, status: str = "ok", **changes: Any) -> dict[str, Any]:
    value = 1.0 if status == "ok" else 0.0
    scores = {"execution": score(value), "clip": {"value": value, "cosine": value}}
    return item(sample_id, status, **{"code": "<p>Hi</p>", "scores": scores, **changes})


def page_summary(n_samples: int, **changes: Any) -> dict[str, Any]:
    table = {"render_rate": 97.5, "clip": 81.25, "gpt": None}
    return summary(
        n_samples, **{"benchmark": "websight", "metrics": table, "protocol": {}, **changes}
    )


def page_run(folder: Path, *items: dict[str, Any], **changes: Any) -> Path:
    return write_run(folder, list(items), page_summary(len(items), **changes))


def pictured(run: Path, reference: bytes, rendering: bytes | None) -> dict[str, str]:
    names = {"reference": add_picture(run, reference)}
    return names if rendering is None else names | {"rendering": add_picture(run, rendering)}


# --- the tables ---------------------------------------------------------------------------------


def test_each_benchmark_has_a_table_of_its_own(open_page: Open, tmp_path: Path) -> None:
    charts = write_run(tmp_path / "charts", [item("bar_1")], summary(1))
    pages = page_run(tmp_path / "pages", page_item("home"))
    more = page_run(
        tmp_path / "more", page_item("shop"), metrics={"render_rate": 50.0, "block_match": 12.5}
    )
    seen = open_page(write_report([charts, pages, more], tmp_path))
    tables = seen.page.locator("#metrics table")
    assert tables.locator("caption").all_inner_texts() == ["ChartMimic", "WebSight"]
    assert tables.nth(0).locator("thead th").all_inner_texts() == [
        "Run", "Exec rate", "Text", "Layout", "Type", "Color", "Average", "GPT", "Overall",
    ]  # fmt: skip
    assert tables.nth(1).locator("thead th").all_inner_texts() == [
        "Run", "Render rate", "CLIP", "GPT", "Block match",
    ]  # fmt: skip
    rows = [row.split("\t") for row in tables.nth(1).locator("tbody tr").all_inner_texts()]
    assert rows == [["pages", "97.50", "81.25", "–", "–"], ["more", "50.00", "–", "–", "12.50"]]


def test_a_run_is_chosen_across_tables(open_page: Open, tmp_path: Path) -> None:
    charts = write_run(tmp_path / "charts", [item("bar_1")], summary(1))
    pages = page_run(tmp_path / "pages", page_item("home"))
    seen = open_page(write_report([charts, pages], tmp_path))
    pressed = "#metrics .run-name[aria-pressed=true]"
    assert seen.page.locator(pressed).all_inner_texts() == ["charts"]
    assert seen.ids() == ["bar_1"]
    seen.page.get_by_role("button", name="pages", exact=True).click()
    assert seen.page.locator(pressed).all_inner_texts() == ["pages"]
    assert seen.ids() == ["home"]
    assert seen.page.inner_text("#run-title") == "WebSight"
    notes = seen.page.inner_text("#table-notes")
    assert "GPT (no judge was named for this run)" in notes
    assert "Average" not in notes


def test_one_run_has_no_names_of_runs_and_no_caption(open_page: Open, tmp_path: Path) -> None:
    seen = open_page(write_report([page_run(tmp_path / "run", page_item("home"))], tmp_path))
    assert seen.page.locator("#metrics th").all_inner_texts() == ["Render rate", "CLIP", "GPT"]
    assert seen.page.locator(".run-name").count() == 0
    assert seen.page.locator("#metrics caption").get_attribute("class") == "hidden"


def test_text_tables_name_their_columns() -> None:
    metrics = {"render_rate": 1, "clip": 2, "gpt": 3, "clip_design2code": 4, "block_match": 5}
    header = format_table(page_summary(1, metrics=metrics | {"position": 6})).splitlines()[0]
    labels = [cell.strip() for cell in header.strip("|").split("|")]
    assert labels == [
        "Render rate", "CLIP", "GPT", "CLIP (Design2Code)", "Block match", "Position",
    ]  # fmt: skip
    other = summary(1, benchmark="plot2code", metrics={"exec_rate": 1.0, "text": 2.0, "gpt": 7.5})
    header, _, row = format_table(other).splitlines()[:3]
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        *("Exec rate", "Text", "GPT", "Text (pass)", "GPT (pass)"),
    ]
    assert "7.50" in row  # out of ten: as it is
    assert row.count("–") == 2  # not in this summary


def test_missing_figures_of_pages_say_why(tmp_path: Path) -> None:
    unscored = {"value": None, "reason": NO_WEIGHTS}
    items = [page_item(f"i{n}") for n in range(3)]
    for entry in items:
        entry["scores"] = {"execution": {"value": None, "reason": "gone"}, "clip": unscored}
    items[2]["scores"]["clip"] = {"value": None, "reason": "the reference cannot be shown"}
    run = page_run(
        tmp_path / "run",
        *items,
        metrics=dict.fromkeys(("render_rate", "clip", "gpt", "position", "average"), None),
        n_unscored={"execution": 3, "clip": 3},
    )
    assert payload(write_report([run], tmp_path))["runs"][0]["why"] == {
        "render_rate": "not scored: 3 items, gone",
        "clip": f"not scored: 3 items, mostly: {NO_WEIGHTS}",
        "gpt": "no judge was named for this run",
        "position": "not measured in this run",
        "average": "not measured in this run",
    }


def test_an_unfinished_run_of_pages_is_known_by_its_scorers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [page_item("home")], None)
    shown = payload(write_report([run], tmp_path))
    assert shown["tables"][0]["columns"] == ["render_rate", "clip", "gpt"]
    assert shown["runs"][0]["pages"] is True
    chart = write_run(tmp_path / "chart", [item("bar_1")], None)
    shown = payload(write_report([chart], tmp_path))
    assert shown["tables"][0]["columns"][:2] == ["exec_rate", "text"]
    assert shown["runs"][0]["pages"] is False


# --- the screenshots ----------------------------------------------------------------------------


@pytest.fixture
def tall_page(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    tall = pictured(run, png(1, 1280, 8000), png(2, 1280, 300))
    short = pictured(run, png(3, 1280, 300), png(3, 1280, 300))
    cut = pictured(run, png(4, 1280, 720), png(5, 640, 720))
    page_run(
        run,
        page_item("tall", pictures=tall),
        page_item("short", pictures=short),
        page_item("narrow", pictures=cut),
        page_item("refused", "no_code", pictures=pictured(run, png(6, 1280, 720), None)),
    )
    return write_report([run], tmp_path)


def box(locator: Any) -> dict[str, float]:
    found = locator.bounding_box()
    assert found is not None
    return found


def test_a_high_page_is_cut_and_the_viewer_shows_it_whole(open_page: Open, tall_page: Path) -> None:
    seen = open_page(tall_page)
    tall, short = seen.card("tall"), seen.card("short")
    frame, image = tall.locator(".reference .frame"), tall.locator(".reference img")
    image.evaluate("image => image.decode()")
    assert tall.locator("figcaption").all_inner_texts()[0] == "Reference · 1280 × 8000"
    assert box(frame)["height"] < 600 < 3000 < box(image)["height"]
    assert tall.locator(".reference .fade").get_by_text("Show the whole page").is_visible()
    assert box(tall.locator(".reference .fade"))["height"] > 40
    assert box(tall.locator(".rendering .fade"))["height"] == 0
    assert box(short.locator(".reference .fade"))["height"] == 0

    frame.click()
    pictures = seen.page.locator("#viewer-pictures")
    hidden = "e => e.scrollHeight - e.clientHeight"
    whole = pictures.locator(".reference img")
    assert box(whole)["height"] > 3000
    assert pictures.evaluate(hidden) > 2000
    tops = [box(pictures.locator(f".{side} img"))["y"] for side in ("reference", "rendering")]
    assert tops[0] == tops[1]
    seen.page.keyboard.press("End")  # the box has the focus
    seen.wait_until(
        "(e => e.scrollTop + e.clientHeight >= e.scrollHeight - 2)"
        "(document.getElementById('viewer-pictures'))"
    )
    moved = [box(pictures.locator(f".{side} img"))["y"] for side in ("reference", "rendering")]
    assert moved[0] == moved[1] < tops[0] - 2000  # both together
    end = box(whole)["y"] + box(whole)["height"]
    assert end <= box(pictures)["y"] + box(pictures)["height"] + 2


def test_both_pages_have_one_scale(open_page: Open, tall_page: Path) -> None:
    card = open_page(tall_page).card("narrow")
    reference, rendering = (box(card.locator(f".{side} img")) for side in reports.SIDES)
    assert rendering["width"] * 2 == pytest.approx(reference["width"], rel=0.01)
    assert rendering["height"] == pytest.approx(reference["height"], abs=1)
    assert rendering["y"] == reference["y"]


def test_a_page_that_failed_has_no_difference(open_page: Open, tall_page: Path) -> None:
    seen = open_page(tall_page)
    card = seen.card("refused")
    assert "no picture: no code" in card.text_content()
    assert card.get_by_role("button", name="Difference").count() == 0
    card.locator(".reference button.frame").click()
    assert seen.page.locator("#viewer-difference").is_disabled()


# --- the difference -----------------------------------------------------------------------------


def shot(drawn: Any) -> Any:
    """What is on the screen, in the middle of the window: the toolbar covers its upper edge."""
    from PIL import Image

    drawn.evaluate("element => element.scrollIntoView({ block: 'center' })")
    return Image.open(io.BytesIO(drawn.screenshot())).convert("RGB")


def test_the_difference_is_black_where_equal(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "run"
    # png(shade) is (shade, 0, 90): these differ by 60 in red where both are.
    names = pictured(run, png(200, 400, 200), png(140, 200, 400))
    page_run(run, page_item("a", pictures=names))
    seen = open_page(write_report([run], tmp_path))
    card = seen.card("a")
    assert card.locator(".difference").count() == 0
    button = card.get_by_role("button", name="Difference", exact=True)
    button.click()
    card.locator(".difference canvas:not([aria-busy])").wait_for()
    assert card.locator(".difference figcaption").inner_text() == "Difference, black where equal"
    seen_there = shot(card.locator(".difference canvas"))
    side = seen_there.width
    assert seen_there.height == pytest.approx(side, abs=1)
    colors = [
        seen_there.getpixel((int(x * side), int(y * side)))
        for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
    ]
    # Both; the reference alone; the rendering alone; neither.
    assert colors == [(60, 0, 0), (200, 0, 90), (140, 0, 90), (0, 0, 0)]
    button.click()
    assert card.locator(".difference").count() == 0


def test_equal_parts_of_pages_of_unlike_height_are_black(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "run"
    names = pictured(run, striped(1000), striped(1513))
    page_run(run, page_item("a", pictures=names))
    seen = open_page(write_report([run], tmp_path))
    card = seen.card("a")
    card.get_by_role("button", name="Difference", exact=True).click()
    whole = shot(card.locator(".difference canvas:not([aria-busy])")).convert("L")
    scale, right = whole.width / 1280, whole.width - 12  # the frame has round corners
    assert whole.crop((12, 12, right, int(990 * scale))).getextrema() == (0, 0)
    assert whole.crop((12, int(1010 * scale), right, whole.height - 12)).getextrema()[1] > 200


def striped(height: int) -> bytes:
    """Thin black lines on white, 1280 wide: the least shift shows."""
    from PIL import Image

    image = Image.new("L", (1280, height), 255)
    for y in range(0, height, 7):
        image.paste(0, (0, y, 1280, y + 2))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_charts_have_a_difference_that_names_unlike_sizes(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "run"
    items = [
        item("unlike", pictures=pictured(run, png(1, 40, 30), png(2, 44, 30))),
        item("alike", pictures=pictured(run, png(1, 40, 30), png(2, 40, 30))),
        item("same", pictures=pictured(run, png(1, 40, 30), png(1, 40, 30))),
        item("broken", pictures=pictured(run, png(1, 40, 30), png(2)[:20])),
        item("torn", pictures=pictured(run, png(1, 40, 30), png(2)[:40])),
        item("huge", pictures=pictured(run, png(1, 40, 30), png(2, 1, 32_001))),
    ]
    seen = open_page(write_report([write_run(run, items, summary(6))], tmp_path))
    told: list[str] = []
    for name in ("unlike", "alike", "same"):
        card = seen.card(name)
        card.get_by_role("button", name="Difference", exact=True).click()
        told.append(card.locator(".difference figcaption").inner_text())
    assert told == [
        "Difference, black where equal · 40 × 30 and 44 × 30",
        "Difference, black where equal",
        "Difference: none, the pictures are identical",
    ]
    assert seen.page.get_by_text("Show the whole page").count() == 0
    torn = seen.card("torn")
    torn.get_by_role("button", name="Difference", exact=True).click()
    torn.locator(".difference").get_by_text("cannot be drawn").wait_for()
    for name in ("broken", "huge"):
        card = seen.card(name)
        assert card.get_by_role("button", name="Difference", exact=True).count() == 0


def test_the_viewer_keeps_the_difference_from_item_to_item(
    open_page: Open, tall_page: Path
) -> None:
    seen = open_page(tall_page)
    card = seen.card("tall")
    card.get_by_role("button", name="Difference", exact=True).click()
    card.locator(".difference button.frame").click()
    shown = seen.page.locator("#viewer .difference canvas")
    button = seen.page.locator("#viewer-difference")
    assert shown.count() == 1
    assert button.get_attribute("aria-pressed") == "true"
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.inner_text("#viewer-title") == "short"
    assert "identical" in seen.page.locator("#viewer .difference figcaption").inner_text()
    button.click()
    assert shown.count() == 0
    seen.page.keyboard.press("ArrowRight")
    assert shown.count() == 0


# --- the scorers of pages -----------------------------------------------------------------------


def rendered(*texts: tuple[str, float, float, str], height: int = 1000) -> PageRendering:
    shown = tuple(TextBlock(text, x, y, 100.0, 20.0, color) for text, x, y, color in texts)
    return PageRendering("ok", width=1000, height=height, blocks=shown)


def as_json(value: Score) -> dict[str, Any]:
    return {"value": value.value, **value.details}


def scored_page() -> dict[str, Any]:
    """An item with real scores of two small pages."""
    target = rendered(
        ("Fresh bread", 100, 100, "#000000"),
        ("Open on Mondays", 100, 300, "#102030"),
        ("Our bakers rise early", 100, 700, "#000000"),
    )
    page = rendered(
        ("Fresh bread", 100, 100, "#000000"),
        ("Open on Sundays", 150, 200, "#FF0000"),
        ("Zzz 123 !?", 700, 900, "#000000"),
    )
    scores = {
        "execution": {"value": 1.0},
        "clip": {"value": 0.8765, "cosine": 0.8765},
        "block_match": as_json(blocks.score_block_match(target, page)),
        "text": as_json(blocks.score_text(target, page)),
        "position": as_json(blocks.score_position(target, page)),
        "color": as_json(blocks.score_color(target, page)),
    }
    return page_item("bakery", scores=scores)


def rows_of(card: Any, scorer: str) -> list[list[str]]:
    rows = card.locator(f'[data-scorer="{scorer}"] .pairs tbody tr')
    cells = "row => [...row.cells].map((cell) => cell.textContent.trim())"
    return [rows.nth(n).evaluate(cells) for n in range(rows.count())]


def test_details_of_the_scorers_of_pages(open_page: Open, tmp_path: Path) -> None:
    seen = open_page(write_report([page_run(tmp_path / "run", scored_page())], tmp_path))
    card = seen.card("bakery")
    assert "cosine 0.8765" in card.locator('[data-scorer="clip"]').inner_text()
    block_match = card.locator('[data-scorer="block_match"]')
    assert block_match.locator(".chip.missing").all_inner_texts() == ["− our bakers rise early"]
    assert block_match.locator(".chip.extra").all_inner_texts() == ["+ zzz 123 !?"]
    # Six blocks of one size: four matched, one missing, one extra.
    assert "2 text blocks matched" in block_match.inner_text()
    assert "matched 66.7 %, missing 16.7 %, extra 16.7 %" in block_match.inner_text()

    assert [row[:2] for row in rows_of(card, "text")] == [["open on mondays", "open on sundays"]]
    assert card.locator('[data-scorer="text"] mark').all_inner_texts() == ["mo", "su"]
    assert rows_of(card, "position") == [["open on mondays", "→ 5.0 % ↑ 10.0 %", "90.0"]]
    colors = rows_of(card, "color")
    assert [row[:3] for row in colors] == [["open on mondays", "#102030", "#FF0000"]]
    swatches = card.locator('[data-scorer="color"] .swatch')
    assert swatches.evaluate_all("all => all.map(s => s.style.backgroundColor)") == [
        "rgb(16, 32, 48)", "rgb(255, 0, 0)",
    ]  # fmt: skip
    assert card.locator(".facts").count() == 0  # nothing is left over
    card.locator('[data-scorer="text"]').get_by_role("button", name="1 more").click()
    assert rows_of(card, "text")[1] == ["fresh bread", "fresh bread", "100.0"]


def test_pairs_that_are_all_the_same_are_shown_on_demand(open_page: Open, tmp_path: Path) -> None:
    page = rendered(*((f"line number {n}", 10, 40 * n, "#000000") for n in range(3)))
    entry = page_item("same", scores={"text": as_json(blocks.score_text(page, page))})
    none = page_item("none", scores={"text": as_json(blocks.score_text(page, rendered()))})
    seen = open_page(write_report([page_run(tmp_path / "run", entry, none)], tmp_path))
    panel = seen.card("same").locator('[data-scorer="text"]')
    assert "3 matched, all the same" in panel.inner_text()
    assert not panel.locator("table").is_visible()
    panel.get_by_role("button", name="Show them").click()
    assert panel.locator("tbody tr").count() == 3
    assert panel.locator("table").is_visible()
    assert "no matched texts" in seen.card("none").inner_text()


def test_pages_have_no_average_and_keep_the_order_of_their_scorers(
    open_page: Open, tmp_path: Path
) -> None:
    seen = open_page(write_report([page_run(tmp_path / "run", scored_page())], tmp_path))
    card = seen.card("bakery")
    order = ["CLIP", "Block match", "Text", "Position", "Color"]
    assert [text.split("\n")[0] for text in card.locator(".panel h4").all_inner_texts()] == order
    assert seen.page.locator(".histogram figcaption b").all_inner_texts() == order
    assert "Average" not in seen.page.inner_text("main")
    options = seen.page.locator("#sort option").all_inner_texts()
    assert options == ["Best first", "Order of the run", "Id", "Seconds", *order]


def test_failed_and_unscored_pages(open_page: Open, tmp_path: Path) -> None:
    failed = page_item("failed", "timeout")
    failed["scores"] |= {
        name: score(0.0) for name in ("block_match", "text", "position", "color")
    } | {"clip": {"value": 0.4, "cosine": 0.4, "failure": "black"}}
    zero = page_item("zero", "timeout")
    zero["scores"]["clip"] = {"value": 0.0, "failure": "zero"}
    unscored = page_item("unscored")
    unscored["scores"]["clip"] = {"value": None, "reason": NO_WEIGHTS}
    run = page_run(tmp_path / "run", failed, zero, unscored, n_unscored={"clip": 1})
    seen = open_page(write_report([run], tmp_path))
    card = seen.card("failed")
    assert "counted as a black picture" in card.locator('[data-scorer="clip"]').inner_text()
    for name in ("block_match", "text", "position", "color"):
        assert card.locator(f'[data-scorer="{name}"] .details').inner_text() == ""
    assert "counted as 0" in seen.card("zero").inner_text()
    panel = seen.card("unscored").locator('[data-scorer="clip"]')
    assert panel.locator(".value").inner_text() == "–"
    assert NO_WEIGHTS in panel.inner_text()


@pytest.mark.parametrize("forged", ["<img src=x onerror=window.pwned=1>", None, 5, [[]], {"a": 1}])
def test_forged_details_of_pages_are_text(open_page: Open, tmp_path: Path, forged: Any) -> None:
    block = {"text": forged, "center": forged, "color": forged}
    pair = {"reference": block, "rendering": block, "similarity": forged}
    paired = {"value": 0.5, "n_matched": 3, "pairs": [pair, forged, {"reference": forged}]}
    counts = {f"n_{kind}": 2 for kind in ("matched", "missing", "extra")}
    entry = page_item("a")
    entry["scores"] |= {name: dict(paired) for name in ("text", "position", "color")}
    entry["scores"]["block_match"] = {"value": 0.5, **counts, "missing": forged, "extra": [forged]}
    entry["scores"]["clip"] = {"value": 0.5, "cosine": forged, "failure": forged}
    seen = open_page(write_report([page_run(tmp_path / "run", entry)], tmp_path))
    card = seen.card("a")
    assert card.locator(".panel").count() == 5
    assert card.locator("img").count() == 0
    assert seen.page.evaluate("typeof window.pwned") == "undefined"
    assert card.locator(".swatch").evaluate_all("all => all.every(s => !s.style.cssText)")


@pytest.mark.parametrize("view", ["full", "gallery"])
def test_pages_need_no_sideways_scrolling(open_page: Open, tmp_path: Path, view: str) -> None:
    run = tmp_path / "run"
    entry = scored_page() | {"pictures": pictured(run, png(1, 1280, 9000), png(2, 1280, 300))}
    pair = entry["scores"]["text"]["pairs"][0]
    pair["reference"]["text"] = pair["rendering"]["text"] = "x" * 120
    seen = open_page(
        write_report([page_run(run, entry)], tmp_path), viewport={"width": 360, "height": 700}
    )
    seen.page.select_option("#view", view)
    card = seen.card("bakery")
    if view == "full":
        card.get_by_role("button", name="Difference", exact=True).click()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    rights = card.locator("bdi, .frame").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert max(rights) <= 360
