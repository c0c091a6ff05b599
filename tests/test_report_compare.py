"""Two runs in the report, item by item: in a real browser."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from rrvf.report import write_report
from rrvf.trajectories import Observation, Trajectory
from tests import reports
from tests.reports import (
    HOSTILE,
    LOW_LEVEL,
    Open,
    Seen,
    add_episodes,
    add_picture,
    item,
    png,
    score,
    summary,
    write_run,
)
from tests.test_report_episodes import EPISODE, WORTH, answered, told, turn

browser, open_page = reports.browser, reports.open_page

VALUES: dict[str, tuple[float | None, float | None]] = {
    "better": (0.5, 0.8),
    "worse": (0.9, 0.2),
    "same": (0.5, 0.5),
    "broken": (0.6, 0.0),
    "mended": (0.0, 0.4),
    "unmeasured": (None, 0.5),
}
"""Item -> what all its scores are in the first run and in the second."""

STATUSES = {"broken": ("ok", "code_error"), "mended": ("timeout", "ok")}
STATUSES |= {"unmeasured": ("harness_error", "ok")}


def scored(name: str, value: float | None, status: str = "ok", **changes: Any) -> dict[str, Any]:
    worth = {scorer: score(value) for scorer in LOW_LEVEL}
    execution = None if value is None else float(status == "ok")
    return item(name, status, **{"scores": {"execution": score(execution), **worth}} | changes)


def compared_lines(place: int) -> list[dict[str, Any]]:
    return [
        scored(name, values[place], STATUSES.get(name, ("ok", "ok"))[place])
        for name, values in VALUES.items()
    ]


def write_both(
    folder: Path, first: list[dict[str, Any]], second: list[dict[str, Any]], **changes: Any
) -> Path:
    """A report of the runs ``first`` and ``second``."""
    runs = [
        write_run(folder / "first", first, summary(len(first))),
        write_run(folder / "second", second, summary(len(second), **changes)),
    ]
    return write_report(runs, folder)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Six shared items, in another order in the second run; one is alone there, two here."""
    first = [*compared_lines(0), scored("lone_1", 1.0), scored("lone_2", 0.25)]
    second = [scored("lone_3", 0.125), *reversed(compared_lines(1))]
    return write_both(tmp_path, first, second)


@pytest.fixture
def shown(open_page: Open, page: Path) -> Seen:
    seen = open_page(page)
    seen.page.select_option("#second", "second")
    return seen


def cells(rows: Any) -> list[list[str]]:
    """The texts of a table's rows, an arrow as its sign."""
    signs = str.maketrans({"▲": "+", "▼": "-", "\n": " "})
    return [
        ["".join(cell.split()).replace("risesby", "").replace("fallsby", "").translate(signs)
         for cell in row.locator("th, td").all_inner_texts()]
        for row in rows.all()
    ]  # fmt: skip


# --- what is shown ------------------------------------------------------------------------------


def test_each_shared_item_shows_both_renderings_beside_the_reference(
    open_page: Open, tmp_path: Path
) -> None:
    names = {
        run: add_picture(tmp_path / run, png(shade)) for run, shade in (("first", 1), ("second", 2))
    }
    target = add_picture(tmp_path / "first", png(3))
    add_picture(tmp_path / "second", png(3))
    lines = [
        [scored("a", value, pictures={"reference": target, "rendering": names[run]})]
        for run, value in (("first", 0.25), ("second", 0.5))
    ]
    page = write_both(tmp_path, *lines)
    sources = reports.payload(page)["pictures"]
    text = page.read_text(encoding="utf-8")
    assert all(text.count(source.split(",")[1]) == 1 for source in sources.values())
    seen = open_page(page)
    seen.page.select_option("#second", "second")
    card = seen.card("a")
    figures = card.locator("figure")
    assert figures.locator("figcaption bdi").all_inner_texts() == ["Reference", "first", "second"]
    shown = [figure.locator("img").get_attribute("src") for figure in figures.all()]
    assert shown == [sources[target], sources[names["first"]], sources[names["second"]]]
    assert cells(card.locator(".versus-scores tbody tr")) == [
        [name, "25.0", "", "50.0", "+25.0"]
        for name in ("Text", "Layout", "Type", "Color", "Average")
    ]


def test_a_card_tells_both_statuses_and_errors(shown: Seen) -> None:
    card = shown.card("broken")
    assert card.locator("header .badge").all_inner_texts() == ["ok", "code error"]
    assert "60.0→0.0" in "".join(card.locator(".figures").inner_text().split())
    assert shown.card("same").locator("header .badge").all_inner_texts() == ["ok"]
    change = shown.card("unmeasured").locator(".versus-scores tbody td").nth(0)
    assert change.inner_text() == "–"
    assert change.locator("abbr").get_attribute("title") == "the reference did not run"


def test_means_are_those_of_the_items_that_both_scored(shown: Seen) -> None:
    rows = cells(shown.page.locator(".versus-means tbody tr"))
    # Of five: 0.5 0.9 0.5 0.6 0.0 against 0.8 0.2 0.5 0.0 0.4.
    assert rows[0] == ["Averageof5items", "50.0", "38.0", "-12.0"]
    assert [row[0] for row in rows[1:]] == [
        f"{name}of5items" for name in ("Text", "Layout", "Type", "Color", "Execution")
    ]
    assert rows[-1][1:] == ["80.0", "80.0", "=same"]
    heading = shown.page.inner_text(".versus-changes figcaption")
    assert "2 worse, 2 better, 1 same, 1 not measured" in heading
    assert shown.page.locator(".versus-changes rect").count() == 5


def test_items_in_one_run_only_are_counted_and_lead_there(shown: Seen) -> None:
    lone = shown.page.locator("#comparison details")
    assert lone.locator("summary").all_inner_texts() == [
        "2 items only in first", "1 item only in second",
    ]  # fmt: skip
    lone.nth(1).locator("summary").click()
    lone.nth(1).get_by_role("link", name="lone_3").click()
    shown.wait_until("document.querySelectorAll('#items > .card').length === 7")
    assert shown.focused() == "lone_3"
    assert shown.page.input_value("#second") == ""
    pressed = shown.page.locator("#metrics .run-name[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["second"]
    shown.page.go_back()
    shown.wait_until("document.querySelectorAll('#items > .card').length === 6")
    assert shown.page.input_value("#second") == "second"


# --- sorting and filtering ----------------------------------------------------------------------


def test_items_are_sorted_by_loss_and_gain(shown: Seen) -> None:
    assert shown.ids() == list(VALUES)
    shown.page.select_option("#sort", "loss")
    rising = ["worse", "broken", "same", "better", "mended"]  # -70 -60 0 30 40
    assert shown.ids() == [*rising, "unmeasured"]
    shown.page.select_option("#sort", "gain")
    assert shown.ids() == [*reversed(rising), "unmeasured"]
    shown.page.click("#direction")
    assert shown.ids() == [*rising, "unmeasured"]


@pytest.mark.parametrize(
    ("pressed", "left"),
    [
        (["worse"], ["worse", "broken"]),
        (["better"], ["better", "mended"]),
        (["same"], ["same"]),
        (["unmeasured"], ["unmeasured"]),
        (["status-differs"], ["broken", "mended", "unmeasured"]),
        (["only-first"], ["broken"]),
        (["only-second"], ["mended", "unmeasured"]),
        (["same", "better"], ["better", "same", "mended"]),
        (["better", "only-second"], ["mended"]),
        (["same", "only-first"], []),
    ],
)
def test_filters_say_what_changed(shown: Seen, pressed: list[str], left: list[str]) -> None:
    for key in pressed:
        shown.toggle(key)
    assert shown.ids() == left
    assert shown.page.inner_text("#count") == f"{len(left)} of 6 shared items"
    if len(pressed) == 1:
        told = shown.page.inner_text(f'#filters [data-filter="{pressed[0]}"]')
        assert told.endswith(f" {len(left)}")


def test_items_are_compared_by_the_score_that_is_chosen(open_page: Open, tmp_path: Path) -> None:
    first, second = scored("a", 0.5), scored("a", 0.5)
    second["scores"] |= {"text": score(0.1), "color": score(1.0)}  # average 0.525
    seen = open_page(write_both(tmp_path, [first], [second]), "#run=first&with=second")

    def outcome() -> str:
        return seen.page.inner_text(".versus-changes figcaption").partition("·")[2].strip()

    assert outcome() == "0 worse, 1 better, 0 same"
    seen.page.select_option("#by", "text")
    assert outcome() == "1 worse, 0 better, 0 same"
    assert "50.0→10.0" in "".join(seen.page.inner_text("header .figures").split())
    seen.toggle("better")
    assert seen.ids() == []
    seen.page.select_option("#by", "layout")
    assert outcome() == "0 worse, 0 better, 1 same"
    assert seen.ids() == []


def test_scores_that_no_benchmark_averages_are_compared_by_their_mean(
    open_page: Open, tmp_path: Path
) -> None:
    """Without the judge, as the loop's measures do."""
    values = [{"clip": 0.5, "block_match": 0.7, "gpt": 1.0}, {"clip": 0.9, "block_match": 0.1}]
    values[1]["gpt"] = 0.0
    lines = [
        [item("a", scores={name: score(value) for name, value in worth.items()})]
        for worth in values
    ]
    seen = open_page(write_both(tmp_path, *lines), "#run=first&with=second")
    assert cells(seen.page.locator(".versus-means tbody tr"))[0] == [
        "Meanofscores", "60.0", "50.0", "-10.0",
    ]  # fmt: skip


# --- which runs ---------------------------------------------------------------------------------


def test_only_runs_of_the_benchmark_that_share_items_are_offered(
    open_page: Open, tmp_path: Path
) -> None:
    tables = {
        "first": summary(1),
        "other items": summary(1),
        "other benchmark": summary(1, benchmark="plot2code"),
        "unfinished": None,
        "second": summary(1, protocol={"mode": "fixed"}),
    }
    runs = [
        write_run(tmp_path / name, [item("b" if name == "other items" else "a")], table)
        for name, table in tables.items()
    ]
    seen = open_page(write_report(runs, tmp_path))
    offered = seen.page.locator("#second option").all_inner_texts()
    assert offered == ["No other run", "unfinished", "second"]
    seen.page.select_option("#second", "second")
    assert seen.page.locator("#comparison .warning").all_inner_texts() == [
        "first was scored in official mode, second in fixed mode."
    ]
    seen.page.get_by_role("button", name="other items", exact=True).click()
    assert not seen.page.locator("#second").is_visible()
    seen.page.keyboard.press("c")
    assert seen.told() == "No other run in this report shares items with this one."
    assert seen.ids() == ["b"]


def test_another_reference_is_marked(open_page: Open, tmp_path: Path) -> None:
    lines = [
        [scored("a", 0.5, pictures={"reference": add_picture(tmp_path / run, png(shade))})]
        for run, shade in (("first", 1), ("second", 2))
    ]
    seen = open_page(write_both(tmp_path, *lines), "#run=first&with=second")
    assert seen.card("a").locator(".differ").inner_text() == "≠ references"
    warning = seen.page.inner_text("#comparison .warning")
    assert warning == "1 item with another reference in each run."


# --- the code of both ---------------------------------------------------------------------------


def longest_common(before: list[str], after: list[str]) -> int:
    """Length of the longest common subsequence, cell by cell."""
    best = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, k in product(range(len(before)), range(len(after))):
        same = before[i] == after[k]
        best[i + 1][k + 1] = best[i][k] + 1 if same else max(best[i][k + 1], best[i + 1][k])
    return best[-1][-1]


def test_changes_of_the_code_hold_both_texts_and_no_more_than_they_must(
    open_page: Open, tmp_path: Path
) -> None:
    draw = random.Random(7)
    pairs = [
        tuple("\n".join(draw.choices("abcde", k=draw.randint(1, 9))) for _ in range(2))
        for _ in range(12)
    ]
    pairs = [(before, after) for before, after in pairs if before != after]
    lines = [
        [scored(f"i{number}", 0.5, code=pair[place]) for number, pair in enumerate(pairs)]
        for place in range(2)
    ]
    seen = open_page(write_both(tmp_path, *lines), "#run=first&with=second")
    for number, (before, after) in enumerate(pairs):
        card = seen.card(f"i{number}")
        card.locator(".code summary").click()
        card.locator(".code pre").wait_for()
        while card.locator(".fold").count():
            card.locator(".fold").first.click()
        shown = [
            (line[0], line[1:].rstrip("\n"))
            for line in card.locator(".code .line").evaluate_all(
                "all => all.map(l => l.textContent)"
            )
        ]
        assert "\n".join(text for mark, text in shown if mark != "+") == before
        assert "\n".join(text for mark, text in shown if mark != "−") == after
        kept = sum(mark == " " for mark, _ in shown)
        assert kept == longest_common(before.split("\n"), after.split("\n"))


def test_code_of_one_run_alone_stands_by_itself(open_page: Open, tmp_path: Path) -> None:
    lines = [[scored("a", 0.5, code="x = 1"), scored("b", 0.5, code="y")],
             [scored("a", 0.0, "no_code", code=None), scored("b", 0.5, code="y")]]  # fmt: skip
    seen = open_page(write_both(tmp_path, *lines), "#run=first&with=second")
    assert seen.card("a").locator(".code summary").inner_text().startswith("Code of first")
    assert "The code is the same in both." in seen.card("b").inner_text()


# --- episodes, the viewer -----------------------------------------------------------------------


def episode_lines(folder: Path, episode: Trajectory) -> list[dict[str, Any]]:
    pictures = {"reference": add_picture(folder, png(7)), "rendering": add_picture(folder, png(8))}
    add_episodes(folder, episode)
    return [item("bar_1", episode=told(*WORTH), pictures=pictures)]


def test_the_turns_of_both_episodes_are_there(open_page: Open, tmp_path: Path) -> None:
    call = turn("call", observations=(Observation("ok", "Told.", "x = 1", png(9)),))
    short = Trajectory("bar_1", (call, turn("answer", answer=answered("x = 2"))),
                       "answered", answered("x = 2"))  # fmt: skip
    lines = [episode_lines(tmp_path / "first", EPISODE), episode_lines(tmp_path / "second", short)]
    seen = open_page(write_both(tmp_path, *lines), "#run=first&with=second")
    episodes = seen.card("bar_1").locator(".episode")
    assert episodes.locator("summary b:first-child").all_inner_texts() == [
        "Episode of first", "Episode of second",
    ]  # fmt: skip
    assert not episodes.locator("h4").first.is_visible()
    episodes.nth(1).locator("> summary").click()
    titles = episodes.nth(1).locator("h4")
    assert [" ".join(text.split()) for text in titles.all_inner_texts()] == [
        "Target", "Turn 1", "Turn 2 · Answer",
    ]  # fmt: skip
    picture = episodes.nth(1).locator(".step button.frame").first
    picture.click()
    assert seen.page.inner_text("#viewer-title") == "bar_1 · turn 1"
    assert seen.page.locator("#viewer-pictures figure").count() == 2
    seen.page.keyboard.press("Escape")
    links = seen.card("bar_1").locator(".body > p a")
    links.nth(1).click()
    seen.wait_until("document.querySelector('#items').dataset.list === 'items'")
    assert seen.page.locator("#metrics [aria-pressed=true]").inner_text() == "second"
    assert seen.focused() == "bar_1"


def test_the_viewer_shows_three_pictures_and_their_difference(
    open_page: Open, tmp_path: Path
) -> None:
    def lines(run: str, shade: int) -> list[dict[str, Any]]:
        folder = tmp_path / run
        names = {
            "reference": add_picture(folder, png(1)),
            "rendering": add_picture(folder, png(shade)),
        }
        return [scored(name, 0.5, pictures=names) for name in ("a", "b")]

    page = write_both(tmp_path, lines("first", 10), lines("second", 14))
    seen = open_page(page, "#run=first&with=second")
    seen.card("a").locator("button.frame").first.click()
    captions = seen.page.locator("#viewer figcaption bdi")
    assert captions.all_inner_texts() == ["Reference", "first", "second"]
    seen.page.click("#viewer-difference")
    assert captions.all_inner_texts()[3] == "Difference of first and second, black where equal"
    seen.wait_until("!document.querySelector('#viewer canvas').hasAttribute('aria-busy')")
    pixel = seen.page.evaluate(
        """[...document.querySelector('#viewer canvas').getContext('2d')
          .getImageData(1, 1, 1, 1).data]"""
    )
    assert pixel == [4, 0, 0, 255]  # red 10 against 14
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.inner_text("#viewer-title") == "b"
    assert captions.count() == 4
    seen.page.keyboard.press("Escape")
    seen.page.locator("#viewer").wait_for(state="hidden")
    assert seen.focused() == "b"


# --- strangers, narrow windows ------------------------------------------------------------------


def test_hostile_names_stay_text_in_both_runs(open_page: Open, tmp_path: Path) -> None:
    entries = [
        [item(text, text + mark, error=text + mark, code=text + mark,
              scores={text: score(value), "__proto__": score(0.5), "constructor": score(value)})
         for text in HOSTILE]
        for mark, value in (("1", 0.25), ("2", 0.5))
    ]  # fmt: skip
    runs = [
        write_run(tmp_path / name, [*lines, item(f"{name} alone")], summary(len(lines) + 1))
        for name, lines in zip(
            ["<img src=x onerror=window.pwned=8>", "$data"], entries, strict=True
        )
    ]
    seen = open_page(write_report(runs, tmp_path))
    seen.page.select_option("#second", "$data")
    for text in HOSTILE:
        card = seen.card(text)
        card.locator(".code summary").click()
        shown = card.evaluate("card => card.textContent")
        assert shown.count(text) >= 6 or "\ud800" in text  # title, statuses, errors, codes, score
    assert seen.page.locator("#items img, #items link, #comparison img, #told img").count() == 0
    assert seen.page.evaluate("typeof window.pwned") == "undefined"
    assert "<img src=x onerror=window.pwned=8>" in seen.page.inner_text("#filters")


@pytest.mark.parametrize("view", ["full", "gallery"])
def test_a_narrow_window_needs_no_sideways_scrolling(
    open_page: Open, tmp_path: Path, view: str
) -> None:
    long = "x" * 120
    lines = [
        [scored(f"{long}_1", value, error=long, pictures={
            "reference": add_picture(tmp_path / run, png(1, 900, 700)),
            "rendering": add_picture(tmp_path / run, png(2, 900, 500)),
        }, code=f"{long}{run}"), scored(f"{run}{long}", 0.5)]
        for run, value in (("f" * 60, 0.5), ("s" * 60, 0.25))
    ]  # fmt: skip
    runs = [
        write_run(tmp_path / (letter * 60), entries, summary(2))
        for letter, entries in zip("fs", lines, strict=True)
    ]
    seen = open_page(write_report(runs, tmp_path), viewport={"width": 360, "height": 700})
    seen.page.select_option("#second", "s" * 60)
    seen.page.select_option("#view", view)
    seen.page.locator("#comparison summary").first.click()
    card = seen.card(f"{long}_1")
    if view == "full":
        card.get_by_role("button", name="Difference", exact=True).click()
        card.locator(".code summary").click()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    rights = seen.page.locator(
        "#comparison bdi, #filters button, .card bdi, .card td"
    ).evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    assert max(rights) <= 360
