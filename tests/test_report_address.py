"""Addresses of items and views in the report, and its keys: in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from rrvf.report import write_report
from tests import reports
from tests.reports import HOSTILE, Open, Seen, item, summary, write_run

browser, open_page = reports.browser, reports.open_page

FAILED = (3, 4, 9, 130, 290)
"""Places of the items that fail, in both runs."""

IS_NEAR_TOP = """(() => { const box = document.activeElement.closest('.card')
  .getBoundingClientRect(); return box.top >= 0 && box.top < innerHeight / 2; })()"""


def name_of(place: int) -> str:
    return f"{('bar', 'line')[place % 2]}_{place}"


def many(**changes: Any) -> list[dict[str, Any]]:
    return [
        item(name_of(place), "timeout" if place in FAILED else "ok", seconds=place / 100, **changes)
        for place in range(300)
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of 300 items, ``second`` without the last one."""
    folder = tmp_path_factory.mktemp("both")
    runs = [
        write_run(folder / name, lines, summary(len(lines)))
        for name, lines in (("first", many()), ("second", many()[:-1]))
    ]
    return write_report(runs, folder)


def is_at(seen: Seen, sample_id: str) -> None:
    """The item is marked, has the focus, and lies before the reader."""
    seen.wait_until(f"document.activeElement.closest('.card')?.dataset.id === '{sample_id}'")
    seen.wait_until(IS_NEAR_TOP)
    marked = seen.page.locator("#items > [aria-current=true]")
    assert [card.get_attribute("data-id") for card in marked.all()] == [sample_id]


def pressed_run(seen: Seen) -> str:
    return seen.page.inner_text("#metrics .run-name[aria-pressed=true]")


# --- addresses ----------------------------------------------------------------------------------


def test_an_address_leads_to_an_item_of_a_run(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=second&item=bar_280")
    is_at(seen, "bar_280")
    assert pressed_run(seen) == "second"
    assert len(seen.ids()) == 299
    assert seen.told() == ""


def test_an_address_leads_to_an_item_of_two_runs(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&with=second&item=bar_280")
    is_at(seen, "bar_280")
    assert seen.page.input_value("#second") == "second"
    assert seen.page.inner_text("#count") == "299 of 299 shared items"


def test_an_item_that_the_filters_hide_is_shown_without_them(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&show=status%3Atimeout&q=9&item=bar_20")
    is_at(seen, "bar_20")
    assert seen.told() == "The filters are cleared: they hid this item."
    assert len(seen.ids()) == 300
    assert seen.page.input_value("#search") == ""


def test_an_address_from_before_names_the_place(open_page: Open, page: Path) -> None:
    is_at(open_page(page, "#item-282"), "line_281")


def test_the_view_is_in_the_address(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    assert seen.fragment() == ""
    seen.page.get_by_role("button", name="second", exact=True).click()
    seen.toggle("timeout")
    seen.page.select_option("#sort", "seconds")
    seen.page.click("#direction")
    seen.page.select_option("#view", "gallery")
    seen.page.fill("#search", "bar_")
    left = [name_of(place) for place in reversed(FAILED) if place % 2 == 0]
    assert seen.ids() == left
    seen.wait_until("location.hash.includes('q=bar_')")
    again = open_page(page, seen.fragment())
    assert again.ids() == left
    assert pressed_run(again) == "second"
    assert again.page.input_value("#search") == "bar_"
    assert again.page.input_value("#sort") == "seconds"
    assert again.page.input_value("#view") == "gallery"
    assert again.page.inner_text("#direction") == "↓ Descending"
    pressed = again.page.locator("#filters [aria-pressed=true]")
    assert pressed.get_attribute("data-status") == "timeout"
    assert again.page.locator("#items").get_attribute("data-view") == "gallery"


def test_the_view_of_two_runs_is_in_the_address(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.page.select_option("#second", "second")
    seen.page.select_option("#by", "color")
    seen.page.select_option("#sort", "gain")
    seen.toggle("same")
    again = open_page(page, seen.fragment())
    assert again.page.input_value("#second") == "second"
    assert again.page.input_value("#by") == "color"
    assert again.page.input_value("#sort") == "gain"
    assert again.page.locator("#filters [aria-pressed=true]").inner_text() == "same 299"


def test_back_and_forward_go_through_what_was_chosen(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.toggle("timeout")
    seen.page.select_option("#second", "second")
    seen.page.locator("#items h3 a").nth(5).click()
    is_at(seen, "line_5")
    seen.page.go_back()
    seen.wait_until("!location.hash.includes('item=')")
    assert seen.page.input_value("#second") == "second"
    seen.page.go_back()
    seen.wait_until("document.querySelectorAll('#items > .card').length === 5")
    assert seen.page.input_value("#second") == ""
    seen.page.go_back()
    seen.wait_until("document.querySelectorAll('#items > .card').length === 300")
    assert seen.fragment() == ""
    for _ in range(3):
        seen.page.go_forward()
    is_at(seen, "line_5")
    assert seen.page.input_value("#second") == "second"


def test_a_click_on_a_title_keeps_the_filters(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.toggle("timeout")
    seen.page.locator("#items h3 a").nth(1).click()
    assert seen.ids() == [name_of(place) for place in FAILED]
    assert seen.focused() == "bar_4"
    again = open_page(page, seen.fragment())
    is_at(again, "bar_4")
    assert len(again.ids()) == 5


def test_the_address_can_change_without_a_new_page(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.page.evaluate("location.hash = 'run=second&item=bar_222'")
    is_at(seen, "bar_222")
    seen.page.evaluate("location.hash = ''")
    seen.wait_until("document.querySelectorAll('#items > .card').length === 300")
    assert pressed_run(seen) == "first"


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        ("#run=first&item=nobody", "The item nobody is not in this run."),
        ("#run=nobody&item=bar_2", "The run nobody is not in this report."),
        ("#run=first&with=nobody", "There is no run nobody here to compare first with."),
        ("#run=first&with=second&item=line_299", "The item line_299 is not in both of these runs."),
        ("#item=%E0%A4%A&run=first", "The item \ufffd%A is not in this run."),
        ("#item=%zz%", "The item %zz% is not in this run."),
        ("#item=__proto__", "The item __proto__ is not in this run."),
        ("#run=constructor", "The run constructor is not in this report."),
        ("#elsewhere", "elsewhere is not in this report."),
        ("#item-99999999999999999999", "item-99999999999999999999 is not in this report."),
        ("#item=" + "x" * 5000, f"The item {'x' * 80}… is not in this run."),
        ("#show=nothing&sort=nothing&view=nothing&by=nothing&down=", ""),
        ("#", ""),
        ("#items", ""),
        *(
            (f"#item={quote_plus(text, errors='replace')}&run=first", None)
            for text in HOSTILE
        ),
        ("#<img src=x onerror=window.pwned=1>", None),
        ("#run=</script><script>window.pwned=2</script>", None),
        ("#q=<svg onload=window.pwned=3>", ""),
    ],
)  # fmt: skip
def test_strange_addresses_do_nothing(
    open_page: Open, page: Path, fragment: str, told: str | None
) -> None:
    seen = open_page(page, fragment)
    n_items = 0 if fragment.startswith("#q=") else 299 if "with=second" in fragment else 300
    assert len(seen.ids()) == n_items
    if told is None:
        assert seen.told().endswith((" is not in this run.", " is not in this report."))
    else:
        assert seen.told() == told
    assert seen.page.locator("#told *:not(span, bdi)").count() == 0
    assert seen.page.evaluate("typeof window.pwned") == "undefined"
    box = seen.page.locator("#told").bounding_box()
    assert box is None or box["height"] < 100


def test_every_id_and_name_has_an_address(open_page: Open, tmp_path: Path) -> None:
    ids = [*HOSTILE, "100 %", "a+b", "a b", "a&item=b", "#run", "ä/ö", "..", "0", "%41"]
    lines = [item(name) for name in ids]
    runs = [
        write_run(tmp_path / name, lines, summary(len(lines))) for name in ("a & b=c", "%20 + <i>")
    ]
    page = write_report(runs, tmp_path)
    seen = open_page(page)
    seen.page.locator(".run-name").nth(1).click()
    links = seen.page.locator("#items h3 a").evaluate_all(
        "all => all.map(a => a.getAttribute('href'))"
    )
    for name, link in zip(ids, links, strict=True):
        seen.page.goto("about:blank")
        seen.page.goto(page.resolve().as_uri() + link)
        assert seen.focused() == seen.page.evaluate("id => id", name)
        assert pressed_run(seen) == "%20 + <i>"


def test_a_link_is_copied(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=second&show=status%3Atimeout",
                     permissions=["clipboard-read", "clipboard-write"])  # fmt: skip
    button = seen.card("line_3").locator(".copy")
    assert button.get_attribute("aria-label") == "Copy a link to line_3"
    button.click()
    seen.wait_until("document.querySelector('#told').textContent === 'The link is copied.'")
    copied = seen.page.evaluate("navigator.clipboard.readText()")
    assert copied == page.resolve().as_uri() + "#run=second&item=line_3"
    assert "show=" in seen.fragment()


def test_a_browser_that_copies_nothing_shows_the_link(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&with=second")
    seen.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    seen.card("line_3").locator(".copy").click()
    seen.wait_until("document.querySelector('#told').textContent.includes('address bar')")
    assert seen.fragment() == "#run=first&with=second&item=line_3"


# --- keys ---------------------------------------------------------------------------------------


def test_keys_go_from_item_to_item(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#sort=order")
    steps = seen.page.evaluate("history.length")
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("n", 3), ("n", 4), ("n", 9),
                       ("n", 130), ("p", 9), ("k", 8), ("p", 4)):  # fmt: skip
        seen.page.keyboard.press(key)
        is_at(seen, name_of(place))
    seen.wait_until("location.hash === '#run=first&sort=order&item=bar_4'")
    assert seen.page.evaluate("history.length") == steps
    assert seen.page.evaluate("document.activeElement.matches(':focus-visible')")


def test_keys_keep_to_what_is_shown_and_stop_at_the_ends(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&show=status%3Atimeout&sort=id&down=1")
    order = ["line_9", "line_3", "bar_290", "bar_130", "bar_4"]
    assert seen.ids() == order
    for name in [*order, order[-1]]:
        seen.page.keyboard.press("j")
        is_at(seen, name)
    for name in [*reversed(order[:-1]), order[0]]:
        seen.page.keyboard.press("k")
        is_at(seen, name)


def test_keys_go_on_from_where_the_reader_has_scrolled(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&sort=order&item=bar_2")
    is_at(seen, "bar_2")
    seen.page.mouse.wheel(0, 1)
    seen.page.evaluate("document.querySelectorAll('.card')[200].scrollIntoView()")
    seen.wait_until("document.querySelectorAll('.card')[200].getBoundingClientRect().top < 400")
    seen.page.keyboard.press("n")
    is_at(seen, "bar_290")


def test_comparing_stays_at_the_item(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#run=first&item=bar_222")
    is_at(seen, "bar_222")
    seen.page.keyboard.press("c")
    assert seen.page.input_value("#second") == "second"
    is_at(seen, "bar_222")
    seen.page.keyboard.press("n")
    is_at(seen, "bar_290")
    seen.page.keyboard.press("c")
    assert seen.page.input_value("#second") == ""
    is_at(seen, "bar_290")


def test_keys_are_the_readers_own_while_he_types(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.page.keyboard.press("/")
    assert seen.page.evaluate("document.activeElement.id") == "search"
    seen.page.keyboard.type("jknpc?/")
    assert seen.page.input_value("#search") == "jknpc?/"
    assert seen.page.locator("#nothing").is_visible()
    assert not seen.page.locator("#keys").is_visible()
    seen.page.fill("#search", "")
    seen.page.focus("#sort")
    seen.page.keyboard.press("j")
    assert seen.focused() is None


@pytest.mark.parametrize("chord", ["Control+j", "Alt+j", "Meta+j", "Control+c", "Control+/"])
def test_chords_are_the_browsers(open_page: Open, page: Path, chord: str) -> None:
    seen = open_page(page)
    seen.page.evaluate(
        "addEventListener('keydown', (event) => { window.taken = event.defaultPrevented; })"
    )
    seen.page.keyboard.press(chord)
    assert seen.page.evaluate("window.taken") is False
    assert seen.focused() is None
    assert seen.page.input_value("#second") == ""
    assert seen.page.evaluate("document.activeElement.id") != "search"


def test_help_tells_the_keys_and_turns_them_off(open_page: Open, page: Path) -> None:
    seen = open_page(page)
    seen.page.keyboard.press("?")
    dialog = seen.page.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    keys = [" ".join(text.split()) for text in dialog.locator("dt").all_inner_texts()]
    assert keys == ["j", "k", "n", "p", "/", "c", "?", "Escape", "← →"]
    seen.page.keyboard.press("j")
    assert seen.focused() is None
    seen.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    seen.page.click("#show-keys")
    dialog.get_by_role("checkbox").uncheck()
    seen.page.click("#keys-close")
    seen.page.keyboard.press("j")
    seen.page.keyboard.press("?")
    assert seen.focused() is None
    assert not dialog.is_visible()
    seen.page.click("#show-keys")
    assert dialog.is_visible()


def test_escape_takes_away_what_was_told(open_page: Open, page: Path) -> None:
    seen = open_page(page, "#item=nobody")
    assert seen.told() != ""
    seen.page.keyboard.press("Escape")
    assert seen.told() == ""
    assert len(seen.ids()) == 300


def test_j_and_k_work_in_the_viewer(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "run"
    names = {"reference": reports.add_picture(run, reports.png(1))}
    lines = [item(name, pictures=names) for name in "abc"]
    seen = open_page(write_report([write_run(run, lines, summary(3))], tmp_path))
    seen.card("a").locator("button.frame").first.click()
    for key, title in (("j", "b"), ("j", "c"), ("k", "b")):
        seen.page.keyboard.press(key)
        assert seen.page.inner_text("#viewer-title") == title
    seen.page.keyboard.press("Escape")
    seen.page.locator("#viewer").wait_for(state="hidden")
    assert seen.focused() == "b"
    seen.wait_until("location.hash === '#run=run&item=b'")
