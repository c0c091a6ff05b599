"""The demo's recorded episodes: what they show, and the server that says the teacher's part."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rrvf.bench import Scoring
from rrvf.demo import PAGE_SCORERS, demo_items, demo_pages, play_episode
from rrvf.demo_teacher import serve_comments
from rrvf.renderers.page import PageRenderer
from rrvf.replies import parse_reply
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scoring import Item
from tests.benches import chart_bench, page_bench
from tests.runs import kept_renderer, lines_of, summary_of, values

NAMES = ("charts", "pages")


def recorded(project: Path, name: str) -> dict[str, Any]:
    path = project / "rrvf" / "demo_data" / "episodes" / f"{name}.jsonl"
    [line] = path.read_text(encoding="utf-8").splitlines()
    return json.loads(line)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_what_a_model_would_say(project: Path, name: str) -> None:
    entry = recorded(project, name)
    assert entry.keys() == {"id", "turns", "comments"}
    replies = [parse_reply(turn) for turn in entry["turns"]]
    assert all(reply.think for reply in replies)
    assert [len(reply.tool_calls) for reply in replies] == [1] * (len(replies) - 1) + [0]
    assert [reply.answer is not None for reply in replies] == [False] * (len(replies) - 1) + [True]
    # As the teacher's prompt asks for them, and no code in them.
    for line in "\n".join(entry["comments"]).splitlines():
        assert re.match(r"-\*\*(Layout|Elements|Text|Data|Color|Style)\*\*- \S", line), line
        assert "plt." not in line
        assert "</" not in line


def test_the_readme_lists_every_recording(project: Path) -> None:
    folder = project / "rrvf" / "demo_data" / "episodes"
    text = (folder / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)\.jsonl` \| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [(name, recorded(project, name)["id"]) for name in NAMES]
    assert sorted(path.stem for path in folder.glob("*.jsonl")) == sorted(NAMES)


# ------------------------------------------------------------------------------------- played


class Played:
    """An episode that was played once, and then asked for again."""

    def __init__(self, name: str, items: Sequence[Item], scoring: Scoring, out: Path) -> None:
        self.said = play_episode(name, items, scoring, out)
        self.written = (out / "trajectories.jsonl").read_bytes()
        self.again = play_episode(name, items, scoring, out)
        self.out = out

    @property
    def observations(self) -> list[dict[str, Any]]:
        [line] = (self.out / "trajectories.jsonl").read_text().splitlines()
        return [seen for turn in json.loads(line)["turns"] for seen in turn["observations"]]


@pytest.fixture(scope="module")
def no_keys() -> Iterator[None]:
    """A key that any client would refuse to send: nobody may read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "clé\x07")
        yield


@pytest.fixture(scope="module")
def chart(no_keys: None, tmp_path_factory: pytest.TempPathFactory) -> Played:
    with kept_renderer(workers=1) as renderer:
        scoring = chart_bench(renderer, judge=LikenessJudge())
        return Played("charts", demo_items(), scoring, tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="module")
def page(no_keys: None, web_browser: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    with PageRenderer(web_browser, workers=1) as renderer:
        scoring = page_bench(renderer, PAGE_SCORERS, judge=LikenessJudge())
        return Played("pages", demo_pages(), scoring, tmp_path_factory.mktemp("page"))


def means(said: str) -> tuple[float, float]:
    first, last = re.findall(r"(\d+\.\d\d) at (?:first|last)", said)
    return float(first), float(last)


def test_the_chart_has_an_error_that_is_mended(project: Path, chart: Played) -> None:
    seen = chart.observations
    assert [one["status"] for one in seen] == ["code_error", "ok", "ok"]
    assert "names" in seen[0]["text"]
    comments = recorded(project, "charts")["comments"]
    assert [one["text"] for one in seen if one["status"] == "ok"] == comments
    assert [one["teacher"] for one in seen] == ["not_asked", "asked", "asked"]
    assert "bar_1, policy and teacher recorded: 4 turns, 2 comments, answered" in chart.said


def test_the_chart_ends_as_the_reference_is(chart: Played) -> None:
    # Every text, bar, colour and axes of the reference stands in the answer's code, read by eye.
    line = lines_of(chart.out)["bar_1"]
    assert {values(line)[name] for name in ("text", "layout", "type", "color")} == {1.0}
    assert line["pictures"]["reference"] == line["pictures"]["rendering"], "to the last pixel"
    first, last = means(chart.said)
    assert first < last == 100.0


@pytest.mark.parametrize("name", ["chart", "page"])
def test_every_drawing_is_more_like_the_target(name: str, request: pytest.FixtureRequest) -> None:
    played = request.getfixturevalue(name)
    [line] = lines_of(played.out).values()
    turns = [turn for turn in line["episode"]["by_turn"] if turn["status"] == "ok"]
    likeness = [turn["scores"]["likeness"] for turn in turns]
    assert likeness == sorted(set(likeness)), "each more than the one before"
    assert likeness[-1] == 1.0
    assert played.said.endswith(f"; likeness {100 * likeness[0]:.2f}, then 100.00")


def test_the_page_gets_better_and_ends_as_the_reference(project: Path, page: Played) -> None:
    seen = page.observations
    assert [one["status"] for one in seen] == ["ok", "ok"]
    assert [one["text"] for one in seen] == recorded(project, "pages")["comments"]
    line = lines_of(page.out)["landing"]
    pictures = line["pictures"]
    assert pictures["reference"] == pictures["rendering"], "the same to the last pixel"
    target = (page.out / "renderings" / pictures["reference"]).read_bytes()
    shown = [(page.out / "renderings" / one["picture"]).read_bytes() for one in seen]
    alike = [LikenessJudge()(target, picture).value or 0.0 for picture in shown]
    assert alike[0] < alike[1] < 1.0
    assert "landing, policy and teacher recorded: 3 turns, 2 comments, answered" in page.said


@pytest.mark.parametrize("name", ["chart", "page"])
def test_the_run_card_says_what_was_recorded(name: str, request: pytest.FixtureRequest) -> None:
    protocol = summary_of(request.getfixturevalue(name).out)["protocol"]
    for part in ("policy", "teacher"):
        assert protocol[part][part].startswith("recorded "), part
        assert protocol[part][part].endswith(", no model"), part


@pytest.mark.parametrize("name", ["chart", "page"])
def test_an_episode_is_played_once(name: str, request: pytest.FixtureRequest) -> None:
    played = request.getfixturevalue(name)
    assert played.again == played.said
    assert (played.out / "trajectories.jsonl").read_bytes() == played.written


# --------------------------------------------------------------------------------- the server


def ask(url: str, question: str) -> str:
    body = json.dumps({"messages": [{"role": "user", "content": question}]}).encode()
    with urllib.request.urlopen(f"{url}/chat/completions", body, timeout=20) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def test_new_questions_get_new_comments_and_repeated_ones_the_same() -> None:
    with serve_comments(["first", "second"]) as url:
        assert url.startswith("http://127.0.0.1:")
        assert [ask(url, one) for one in "aabab"] == ["first", "first", "second", "first", "second"]
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(url, "c")
    with pytest.raises(urllib.error.URLError):
        ask(url, "a")
