"""Episodes in the report: what a reader sees of each turn, and the means by turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.report import write_report
from rrvf.report.episodes import MAX_DIFF_LINES, line_diff
from rrvf.trajectories import Completion, Observation, Trajectory, Turn
from tests import reports
from tests.reports import (
    HOSTILE,
    LOW_LEVEL,
    Open,
    Seen,
    add_episodes,
    add_picture,
    item,
    payload,
    png,
    summary,
    write_run,
)

browser, open_page = reports.browser, reports.open_page

FIRST = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('draft')"
SECOND = FIRST.replace("draft", "Sales") + "\nplt.grid()"
COMMENTS = "-**Text**- The title is wrong.\nIt reads Sales.\n-**Color**- Blue, not red."


def turn(action: str, text: str = "", **more: Any) -> Turn:
    return Turn(Completion(text), action, **more)  # pyright: ignore[reportArgumentType]


def answered(code: str) -> str:
    return f"```python\n{code}\n```"


EPISODE = Trajectory(
    "bar_1",
    (
        turn(
            "call", thought="A bar chart. " * 60,
            observations=(Observation("ok", COMMENTS, FIRST, png(1), True, "asked"),),
        ),
        turn("call", "<tool_call>{oops</tool_call>", thought="Now a mistake.",
             observations=(Observation("no_code", "the call is not valid JSON"),)),
        turn("call", observations=(Observation("code_error", "NameError: plt", "boom"),)),
        turn("answer", thought="Done.", answer=answered(SECOND)),
    ),
    "answered",
    answered(SECOND),
    seconds=12.5,
)  # fmt: skip

WORTH = ((1, 1, 0.4), (3, 1, 0.0), (4, None, 0.9))
"""Turn, call, and what every score is."""


def told(*turns: tuple[int, int | None, float | None], reason: str = "answered") -> dict[str, Any]:
    """The ``episode`` of a line of ``results.jsonl``."""
    by_turn = [
        {"turn": number, "call": call, "status": "ok",
         "scores": dict.fromkeys(("execution", *LOW_LEVEL), value)}
        for number, call, value in turns
    ]  # fmt: skip
    return {"stop_reason": reason, "n_turns": 4, "teacher": {"asked": 1}, "by_turn": by_turn}


def row(number: int, n: int, own: float, carried: float) -> dict[str, Any]:
    return {
        "turn": number,
        "n": n,
        "n_carried": 3,
        "metrics": {"text": own},
        "carried": {"text": carried},
    }


EPISODES = {
    "n": 3,
    "turns": {"2": 1, "4": 2},
    "stop_reasons": {"answered": 2, "max_turns": 1},
    "teacher": {"asked": 5, "failed": 1},
    "by_turn": [row(1, 3, 40.0, 40.0), row(2, 2, 30.0, 45.25), row(3, 1, 90.0, 61.5)],
}


def episode_run(folder: Path, played: Trajectory = EPISODE, **changes: Any) -> Path:
    """A run of one item with an episode."""
    pictures = {
        "reference": add_picture(folder, png(7)),
        "rendering": add_picture(folder, png(8)),
    }
    line = {"episode": told(*WORTH), "code": SECOND, "pictures": pictures, **changes}
    entry = item(played.sample_id, **line)
    write_run(folder, [entry], summary(1, episodes=EPISODES))
    add_episodes(folder, played)
    return folder


@pytest.fixture
def shown(open_page: Open, tmp_path: Path) -> Seen:
    return open_page(write_report([episode_run(tmp_path / "run")], tmp_path))


def words(locator: Any) -> list[str]:
    return [" ".join(text.split()) for text in locator.all_inner_texts()]


# --- one episode --------------------------------------------------------------------------------


def test_turns_stand_in_their_order_between_the_target_and_the_end(shown: Seen) -> None:
    card = shown.card("bar_1")
    assert words(card.locator(".episode h4")) == [
        "Target", "Turn 1", "Turn 2", "Turn 3", "Turn 4 · Answer",
    ]  # fmt: skip
    facts = card.locator(".episode > summary").inner_text()
    assert "4 turns · answered · teacher asked once · 12.5 s" in facts
    assert "Average 40.0 → 0.0 → 90.0" in " ".join(facts.split())
    assert card.locator(".ending").inner_text().startswith("Stopped: answered")
    order = card.locator(".turn").nth(1).evaluate(
        """turn => [".thought", ".code", "img", ".worth", ".comments"].map((part) =>
          [...turn.querySelectorAll("*")].indexOf(turn.querySelector(part)))"""
    )  # fmt: skip
    assert -1 not in order
    assert order == sorted(order), "as it happened: thought, code, rendering, comments"


def test_items_are_sorted_by_what_the_loop_changed(open_page: Open, tmp_path: Path) -> None:
    worth = {
        "falls": ((1, 1, 0.9), (2, None, 0.4)),  # gains -50, 50 below its best
        "rises": ((1, 1, 0.2), (2, 1, 0.8), (3, None, 0.7)),  # gains 50, 10 below
        "once": ((1, None, 0.5),),
        "stays": ((1, 1, 0.5), (2, None, 0.5)),
        "unmeasured": ((1, 1, 0.5), (2, None, None)),
    }
    names = list(worth)
    lines = [item(name, episode=told(*turns)) for name, turns in worth.items()]
    run = write_run(tmp_path / "run", lines, summary(len(lines), episodes=EPISODES))
    add_episodes(run, *(replace(EPISODE, sample_id=name) for name in names))
    seen = open_page(write_report([run], tmp_path))
    seen.page.select_option("#sort", "order")
    badges = seen.page.locator("header .tag").all_text_contents()
    assert badges == [
        "4 turns, −50.0 points, −50.0 points from its best",
        "4 turns, +50.0 points, −10.0 points from its best",
        "4 turns",
        "4 turns, +0.0 points",
        "4 turns",
    ]
    seen.page.select_option("#sort", "loop:gain")
    assert seen.ids() == ["falls", "stays", "rises", "once", "unmeasured"]
    seen.page.select_option("#sort", "loop:collapse")
    seen.page.click("#direction")
    assert seen.ids() == ["falls", "rises", "stays", "once", "unmeasured"]


# --- the way to an episode -----------------------------------------------------------------------


AT_THE_EPISODE = """(() => {
  const episode = document.activeElement.closest('.episode');
  const top = episode?.open ? episode.getBoundingClientRect().top : -1;
  return top >= 0 && top < innerHeight / 2;
})()"""


def many_episodes(folder: Path, names: Sequence[str]) -> Path:
    """A run whose episodes gain more and more, after an item without one."""
    lines = [
        item(name, episode=told((1, 1, 0.1), (2, None, 0.1 + place / 20)))
        for place, name in enumerate(names)
    ]
    run = write_run(folder, [item("alone"), *lines], summary(len(lines) + 1, episodes=EPISODES))
    add_episodes(run, *(replace(EPISODE, sample_id=name) for name in names))
    return run


def test_the_first_page_leads_to_every_runs_episodes(open_page: Open, tmp_path: Path) -> None:
    names = [f"bar_{place}" for place in range(9)]
    plain = write_run(tmp_path / "plain", [item("bar_1")], summary(1))
    runs = [plain, episode_run(tmp_path / "one"), many_episodes(tmp_path / "many", names)]
    page = write_report(runs, tmp_path)
    seen = open_page(page)
    links = seen.page.locator(".episode-link")
    assert links.locator("b:first-child").all_inner_texts() == ["bar_1", "bar_8", "bar_7", "bar_6"]
    told_first = " ".join(links.first.inner_text().split())
    assert told_first == "Target First drawing Answer bar_1 one 4 turns Mean score 40.0 → 50.0"
    loaded = "all => Promise.all(all.map((image) => image.decode()))"
    assert links.first.locator("img").count() == 3
    links.first.locator("img").evaluate_all(loaded)
    links.nth(1).click()
    seen.wait_until(AT_THE_EPISODE)
    assert seen.focused() == "bar_8"
    assert seen.fragment() == "#run=many&item=bar_8&at=episode"
    again = open_page(page, seen.fragment())
    again.wait_until(AT_THE_EPISODE)
    again.page.click("#all-episodes a")
    again.wait_until("document.querySelector('#sort').value === 'loop:gain'")
    assert again.page.inner_text("#all-episodes") == "All 9 episodes of many"
    assert again.ids() == [*reversed(names), "alone"]


def test_one_run_shows_its_best_episodes(open_page: Open, tmp_path: Path) -> None:
    run = many_episodes(tmp_path / "run", [f"bar_{place}" for place in range(9)])
    seen = open_page(write_report([run], tmp_path))
    names = seen.page.locator(".episode-link b:first-child").all_inner_texts()
    assert names == [f"bar_{place}" for place in range(8, 2, -1)]
    assert seen.page.inner_text("#all-episodes") == "All 9 episodes"


def test_an_item_leads_to_its_episode_and_keeps_the_filters(
    open_page: Open, tmp_path: Path
) -> None:
    run = many_episodes(tmp_path / "run", ["bar_1", "bar_2"])
    seen = open_page(write_report([run], tmp_path))
    assert seen.page.locator(".to-episode").count() == 2
    seen.page.fill("#search", "bar")
    seen.card("bar_1").locator(".to-episode").click()
    seen.wait_until(AT_THE_EPISODE)
    assert seen.fragment() == "#run=run&q=bar&item=bar_1&at=episode"
    assert seen.ids() == ["bar_1", "bar_2"]
    seen.page.keyboard.press("j")
    seen.wait_until("location.hash === '#run=run&q=bar&item=bar_2'")


# --- what an episode shows -----------------------------------------------------------------------


def test_a_long_thought_is_cut_and_shown_on_demand(shown: Seen) -> None:
    thoughts = shown.card("bar_1").locator(".thought")
    whole = EPISODE.turns[0].thought
    assert whole is not None
    assert len(thoughts.first.inner_text()) < len(whole) / 1.5
    thoughts.first.locator("button").press("Enter")
    assert whole.strip() in thoughts.first.inner_text()
    assert "Done." in thoughts.last.inner_text()
    assert thoughts.last.locator("button").count() == 0


def test_comments_stand_under_their_headings(shown: Seen) -> None:
    comments = shown.card("bar_1").locator(".comments")
    assert comments.count() == 1
    assert comments.locator("h5").inner_text() == "Comments of the teacher"
    assert comments.locator("dt").all_inner_texts() == ["Text", "Color"]
    assert comments.locator("dd").all_inner_texts() == [
        "The title is wrong.\nIt reads Sales.", "Blue, not red.",
    ]  # fmt: skip


def test_what_changed_is_marked(shown: Seen) -> None:
    turns = shown.card("bar_1").locator(".turn")
    assert turns.nth(1).locator("ins, del").count() == 0
    assert turns.nth(1).locator(".code pre").inner_text().strip() == FIRST
    third = turns.nth(3).locator(".changes")
    assert [text.strip() for text in third.locator("ins").all_inner_texts()] == ["+boom"]
    assert third.locator("del").count() == 3
    assert words(third.locator("summary")) == ["Code +1 −3"]
    assert words(turns.nth(4).locator(".changes summary")) == ["Answer +4 −1"]


def test_scores_rise_and_fall_against_the_code_before(shown: Seen) -> None:
    worth = shown.card("bar_1").locator(".worth")
    assert worth.count() == 3, "the call that held no code has none"
    text = worth.locator('[data-scorer="text"]')
    assert words(text) == [
        "Text 40.0", "Text 0.0 ▼ falls by 40.0", "Text 90.0 ▲ rises by 90.0",
    ]  # fmt: skip
    main = worth.first.locator(".main")
    assert words(main) == ["Average 40.0"]


def test_a_failed_call_says_why(shown: Seen) -> None:
    turns = shown.card("bar_1").locator(".turn")
    broken, failed = turns.nth(2), turns.nth(3)
    assert broken.locator(".written").inner_text() == "<tool_call>{oops</tool_call>"
    assert broken.locator(".error").inner_text() == "the call is not valid JSON"
    assert broken.locator(".code").count() == 0
    assert words(failed.locator(".badge")) == ["code error"]
    assert failed.locator(".error").inner_text() == "NameError: plt"
    assert failed.locator("img, .no-picture, .written").count() == 0


def test_pictures_of_turns_are_there_and_can_be_enlarged(shown: Seen) -> None:
    card = shown.card("bar_1")
    images = card.locator(".episode img")
    assert images.count() == 3, "target, first rendering, answer"
    decode = "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    assert images.evaluate_all(decode) == [8, 8, 8]
    frame = card.locator(".turn").nth(1).locator("button.frame")
    frame.press("Enter")
    assert shown.page.inner_text("#viewer-title") == "bar_1 · turn 1"
    sources = shown.page.locator("#viewer img").evaluate_all("all => all.map(i => i.src)")
    here = images.evaluate_all("all => all.map(i => i.src)")
    assert sources == here[:2], "the target beside the rendering of the turn"
    shown.page.keyboard.press("Escape")
    shown.page.locator("#viewer").wait_for(state="hidden")
    assert frame.evaluate("frame => frame === document.activeElement")


def test_unchanged_stretches_are_folded_and_open(open_page: Open, tmp_path: Path) -> None:
    before = "\n".join(f"line {n}" for n in range(40))
    after = before.replace("line 20\n", "line twenty\n")
    calls = tuple(turn("call", observations=(Observation("ok", "", code),))
                  for code in (before, after, after))  # fmt: skip
    episode = Trajectory("bar_1", calls, "max_turns")
    run = episode_run(tmp_path / "run", episode, status="no_code", code=None)
    card = open_page(write_report([run], tmp_path)).card("bar_1")
    code = card.locator(".changes").first
    folds = code.locator(".fold")
    assert words(folds) == ["⋯ 17 unchanged lines", "⋯ 16 unchanged lines"]
    assert code.locator(".line").count() == 8  # three lines around a line gone and a line come
    folds.first.press("Enter")
    assert code.locator(".line").count() == 8 + 17
    same = card.locator(".changes").nth(1)
    assert "the same code as before" in same.inner_text()
    assert "Stopped: out of turns" in card.locator(".ending").inner_text()
    assert "counts as a failure" in card.locator(".ending").inner_text()
    assert words(card.locator("header .tag"))[0] == "3 turns, out of turns, +50.0 points"


def test_a_value_that_was_not_measured_is_a_dash(open_page: Open, tmp_path: Path) -> None:
    worth = told((1, 1, None), (3, 1, 0.5), (4, None, None))
    run = episode_run(tmp_path / "run", episode=worth)
    card = open_page(write_report([run], tmp_path)).card("bar_1")
    assert words(card.locator('.worth [data-scorer="color"]')) == [
        "Color –", "Color 50.0", "Color –",
    ]  # fmt: skip


# --- the figure ---------------------------------------------------------------------------------


def test_the_figure_shows_the_mean_over_all_episodes(shown: Seen) -> None:
    plots = shown.page.locator("#by-turn-plots figure")
    assert plots.count() == 1
    assert plots.locator("svg").get_attribute("aria-label") == (
        "Text, mean by turn: turn 1: 40.0, turn 2: 45.3, turn 3: 61.5"
    )
    assert words(plots.locator("figcaption")) == ["Text 61.5 ▲ rises by 21.5 since turn 1"]
    heights = plots.locator("circle").evaluate_all("all => all.map(c => c.cy.baseVal.value)")
    assert heights == sorted(heights, reverse=True), "a higher mean stands higher"
    titles = plots.locator("circle title").evaluate_all("all => all.map(t => t.textContent)")
    assert titles[1] == ("turn 2: 45.25 over all episodes, 30.00 over the 2 with code in this turn")
    assert shown.page.inner_text("#by-turn-counts") == (
        "3 episodes of 2 to 4 turns, 3.3 on average · 2 answered, 1 out of turns · "
        "teacher asked 5 times, failed 1 time"
    )
    note = shown.page.inner_text("#by-turn-note")
    assert "Mean over all 3 episodes, each with the last code it had shown by then" in note
    assert "The table counts answers" in note


def test_a_run_without_episodes_shows_nothing_of_them(open_page: Open, tmp_path: Path) -> None:
    plain = write_run(tmp_path / "plain", [item("a")], summary(1))
    looped = episode_run(tmp_path / "looped")
    page = write_report([plain, looped], tmp_path / "out")
    told = payload(page)["runs"][0]
    assert (told["episodes"], told["items"][0]["episode"]) == (None, None)
    seen = open_page(page)
    figure = seen.page.locator("#by-turn")
    assert seen.card("a").locator(".episode, .worth").count() == 0
    assert not figure.is_visible()
    seen.page.locator(".run-name").nth(1).click()
    assert figure.is_visible()
    seen.page.locator(".run-name").first.click()
    assert not figure.is_visible()


# --- bounds -------------------------------------------------------------------------------------

LINES = st.lists(st.sampled_from(["a", "b", "", " a", "-c", "+c"]), max_size=12)


@given(LINES, LINES)
def test_a_diff_holds_both_texts(before: list[str], after: list[str]) -> None:
    diff = line_diff("\n".join(before), "\n".join(after))
    assert diff is not None
    lines = diff.split("\n") if diff else []
    for mark, text in (("-", before), ("+", after)):
        kept = [line[1:] for line in lines if line[0] in (" ", mark)]
        assert kept == "\n".join(text).splitlines()


def test_a_diff_keeps_what_is_the_same() -> None:
    assert line_diff("a\nb\nc", "a\nx\nc") == " a\n-b\n+x\n c"


def test_long_code_is_shown_without_its_changes() -> None:
    most = "\n".join("x" for _ in range(MAX_DIFF_LINES))
    assert line_diff(most, "y") is not None
    assert line_diff(most + "\nx", "y") is None
    assert line_diff("y", most + "\nx") is None


def test_an_episode_is_bounded(tmp_path: Path) -> None:
    seen = Observation("ok", "c" * 10**5, "x\n" * 10**5, png(1))
    long = turn("call", "w" * 10**5, thought="t" * 10**5, observations=(seen,) * 20)
    run = episode_run(tmp_path / "run", Trajectory("bar_1", (long,) * 50, "max_turns"))
    page = write_report([run], tmp_path)
    shown = payload(page)["runs"][0]["items"][0]["episode"]
    assert (shown["n_turns"], len(shown["turns"]), len(shown["turns"][0]["calls"])) == (50, 20, 8)
    first = shown["turns"][0]
    assert len(first["thought"]) == 8001
    assert len(first["calls"][0]["code"]) == 60_000
    assert len(first["calls"][0]["comments"][0]["text"]) == 8000


# --- attacks ------------------------------------------------------------------------------------


def test_hostile_episodes_are_text_and_nothing_else(open_page: Open, tmp_path: Path) -> None:
    items: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(HOSTILE):
        name = f"h{number}"
        scores = {text: 0.5, "__proto__": 0.1, "text": text}
        by_turn = [{"turn": 1, "call": 1, "status": text, "scores": scores}]
        items.append(item(name, episode={"by_turn": by_turn, "stop_reason": text}))
        calls = [
            {"status": "ok", "text": f"**{text}** {text}\n{text}", "code": text, "picture": text,
             "teacher": text},
            {"status": text, "text": text, "code": f"{text}\nx", "picture": "../secret.png"},
        ]  # fmt: skip
        wrote = {"thought": text, "completion": text}
        turns = [{**wrote, "observations": calls}, {**wrote, "observations": []}]
        lines.append({"sample_id": name, "stop_reason": text, "error": text, "turns": turns})
    keys = {text: {"constructor": 1} for text in HOSTILE}
    rows = [{"turn": text, "n": text, "carried": {text: 5.0, "__proto__": 1}} for text in HOSTILE]
    episodes = {"n": HOSTILE[0], "by_turn": rows, "stop_reasons": keys, "turns": keys}
    run = write_run(tmp_path / "run", items, summary(len(items), episodes=episodes))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "trajectories.jsonl").write_text(text)
    (run / "secret.png").write_bytes(png(1))
    seen = open_page(write_report([run], tmp_path))
    for number, text in enumerate(HOSTILE):
        card = seen.card(f"h{number}")
        shown = card.evaluate("card => card.textContent")
        # Thoughts, code, change, error, as written, how it ended ...
        assert shown.count(text.replace("\ud800", "\ufffd").strip()) >= 5 or "\ud800" in text
    markup = "document.querySelectorAll('#items img, #items b > img, link[rel=stylesheet]').length"
    assert seen.page.evaluate(markup) == 0
    assert seen.page.evaluate("typeof window.pwned") == "undefined"


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"turns": None, "stop_reason": None},
        {"turns": {"a": 1}, "stop_reason": 7, "error": 7},
        {"turns": [None, 7, "x", []], "stop_reason": "answered", "seconds": "x"},
        {"turns": [{"observations": [None, 7], "thought": 7, "action": "answer"}],
         "completion": 7},
        {"turns": [{"observations": [{"status": None, "text": [], "code": 7, "picture": {}}]}]},
    ],
)  # fmt: skip
def test_forged_episodes_do_not_break_the_page(
    open_page: Open, tmp_path: Path, forged: dict[str, Any]
) -> None:
    by_turn = [None, 7, {"turn": [], "call": {}, "scores": {"text": 0.5}}, {"scores": 7}]
    entry = item("a", episode={"by_turn": by_turn})
    table = summary(2, episodes={"by_turn": [7, {"carried": 7}], "turns": 7, "teacher": []})
    run = write_run(tmp_path / "run", [entry, item("b", episode=7)], table)
    lines = [{"sample_id": "a", **forged}, {"sample_id": "b", **forged}]
    torn = "".join(json.dumps(line) + "\n" for line in lines) + '{"sample_id": "a", "tur'
    (run / "trajectories.jsonl").write_text(torn)
    seen = open_page(write_report([run], tmp_path))
    assert seen.card("a").locator(".episode").count() == 1
    assert seen.card("b").locator(".ending").is_visible()


# --- other views --------------------------------------------------------------------------------


def test_a_narrow_window_needs_no_sideways_scrolling(open_page: Open, tmp_path: Path) -> None:
    wide = "x" * 400
    seen = Observation("ok", f"**{wide[:80]}** {wide}", wide, png(1))
    calls = (turn("call", thought=wide, observations=(seen,)),) * 2
    worth = told((1, 1, 0.5), (2, 1, 0.25))
    run = episode_run(tmp_path / "run", Trajectory("bar_1", calls, "max_turns"), episode=worth)
    page = open_page(write_report([run], tmp_path), viewport={"width": 360, "height": 700})
    card = page.card("bar_1")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    rights = card.locator(".episode bdi, .worth li").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert rights
    assert max(rights) <= 360
    page.page.select_option("#view", "gallery")
    assert not card.locator(".episode").is_visible()


def test_pages_have_their_pictures_cut(open_page: Open, tmp_path: Path) -> None:
    tall = Observation("ok", "", "<p>x", png(3, 100, 900))
    episode = Trajectory("home", (turn("call", observations=(tall,)),), "max_turns")
    run = episode_run(tmp_path / "run", episode)
    table = summary(1, benchmark="websight", metrics={"render_rate": 100.0, "clip": 1.0})
    write_run(run, [item("home")], table)
    seen = open_page(write_report([run], tmp_path))
    frame = seen.card("home").locator(".turn button.frame").first
    box = frame.bounding_box()
    assert box is not None
    assert box["height"] < 500 < box["width"] * 9
    assert frame.locator(".fade").is_visible()
