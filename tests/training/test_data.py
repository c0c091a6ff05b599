"""What training is given: sources, the guard against test items, splits, conversations."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.agent import AgentSettings
from rrvf.benchmarks import chartmimic, plot2code
from rrvf.benchmarks.websight_download import HubSlice
from rrvf.chat import Message, Picture
from rrvf.errors import DataError
from rrvf.kinds.kind import Drawn
from rrvf.renderers.chart import Limits
from rrvf.types import Language, Sample
from tests.benches import chart_bench
from tests.chat_server import ChatServer, Reply, Request, answer
from tests.episodes import TARGET, FakeCanvas, call, pixels, png
from tests.episodes import answer as final
from tests.runs import environment, kept_renderer, plot, rrvf_here
from training import data as training_data
from training.conversations import (
    Conversation,
    read_conversations,
    recorded_conversations,
    reference_conversation,
)
from training.data import DataSpec, Split, TrainingData, fingerprints, load, separate, split


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of pictures, some below, with things between them that are none."""
    folder = tmp_path / "pictures"
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "b.png").write_bytes(png("red"))
    (folder / "a.PNG").write_bytes(png("blue"))
    (folder / ".hidden" / "x.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    Image.new("RGB", (9, 9), "green").save(folder / "more" / "deep" / "c.jpg")
    return folder


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder of one's own charts: three scripts, one with a picture."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("bar_1", "bar_2", "bar_10"):
        (folder / f"{name}.py").write_text(f"ok {name}\n")
    (folder / "bar_2.png").write_bytes(png("green"))
    return folder


def refusal(spec: str, **options: Any) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(DataError) as caught:
        load(spec, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ----------------------------------------------------------------------------------------- sources


def test_pictures_are_found_in_a_folder_and_below(pictures: Path) -> None:
    data = load(f"images:{pictures}")
    assert data.ids == ("a.PNG", "b.png", "more/deep/c.jpg")
    assert [sample.image for sample in data] == [pictures / name for name in data.ids]
    assert all(sample.reference_code is None for sample in data)
    assert (data.language, data.benchmark, data.test_items) == ("python", "chartmimic", False)
    assert load(f"images:{pictures}?kind=pages&limit=2").language == "html"
    assert len(load(f"images:{pictures}?limit=2")) == 2


def test_code_goes_away_with_images_only_and_a_picture_comes(scripts: Path) -> None:
    canvas = FakeCanvas()
    data = load(f"charts:{scripts}").with_canvas(canvas)
    assert data.ids == ("bar_1", "bar_2", "bar_10")
    samples = list(data)
    assert [sample.reference_code for sample in samples] == [None] * 3
    assert samples[1].image == scripts / "bar_2.png"
    assert samples[0].image is not None
    assert samples[0].image.read_bytes() == TARGET
    assert data.find("bar_10") == samples[2]
    assert data.find("bar_3") is None


def test_code_stays_with_the_reference_and_nothing_is_drawn(scripts: Path) -> None:
    data = load(f"charts:{scripts}", setting="with_reference")
    assert [sample.reference_code for sample in data] == ["ok bar_1\n", "ok bar_2\n", "ok bar_10\n"]
    assert [sample.image for sample in data] == [None, scripts / "bar_2.png", None]


def test_drawing_needs_a_canvas(scripts: Path) -> None:
    data = load(f"charts:{scripts}")
    assert data[1].image == scripts / "bar_2.png"
    with pytest.raises(ValueError, match="canvas"):
        data[0]


def test_a_chart_is_drawn_for_real_and_once() -> None:
    data = load("synthetic:tiny?n=2&seed=5")
    with kept_renderer(workers=1, limits=Limits(cpu_seconds=30, wall_seconds=120)) as renderer:
        drawn = data.with_canvas(chart_bench(renderer))[0]
        assert drawn.image is not None
        assert drawn.reference_code is None
        before = drawn.image.stat().st_mtime_ns
        assert data.with_canvas(chart_bench(renderer))[0] == drawn
    with Image.open(drawn.image) as image:
        assert image.size == (84, 84)
    assert drawn.image.stat().st_mtime_ns == before


def test_synthetic_levels_rise_from_first_to_last() -> None:
    data = load("synthetic:charts?level=2-4&n=9&seed=3", setting="with_reference")
    levels = [sample.tags["level"] for sample in data]
    assert levels == ["2", "2", "2", "3", "3", "3", "4", "4", "4"]
    assert [name.rpartition("-")[2] for name in data.ids] == [str(3_000_000 + n) for n in range(9)]
    pages = load("synthetic:pages?level=5&n=2", setting="with_reference")
    assert [sample.tags["level"] for sample in pages] == ["5", "5"]
    assert pages.language == "html"
    everything = load("synthetic:charts?n=5", setting="with_reference")
    assert [sample.tags["level"] for sample in everything] == ["1", "2", "3", "4", "5"]


def test_sources_of_other_seeds_share_no_id() -> None:
    first, second = (load(f"synthetic:tiny?n=2000&seed={seed}").ids for seed in (0, 1))
    assert not set(first) & set(second)
    assert len(set(first)) == 2000


def test_synthetic_samples_are_made_when_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(seed: int) -> Sample:
        made.append(seed)
        return Sample(f"tiny-{seed}", "code")

    monkeypatch.setattr(training_data, "synthetic_tiny", counted)
    data = load("synthetic:tiny?n=1000000", setting="with_reference")
    assert (len(data), made) == (1_000_000, [])
    assert data[999_999].id == "tiny-999999"
    assert made == [999_999]


def test_pages_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text("<p>One</p>")
    data = load(f"pages:{tmp_path}", setting="with_reference")
    [sample] = data
    assert (sample.id, sample.reference_code, data.language) == ("one", "<p>One</p>", "html")
    assert load(f"websight:{tmp_path}").ids == ("one",)


def test_the_hub_gives_the_rows_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[HubSlice] = []
    (tmp_path / "rows.jsonl").write_text('{"id": "20007", "text": "<p>x</p>"}\n')

    def fetched(chosen: HubSlice) -> Path:
        asked.append(chosen)
        return tmp_path / "rows.jsonl"

    monkeypatch.setattr(training_data, "fetch", fetched)
    data = load("websight:hub?start=20000&stop=21000&n=5&seed=2&version=v0.1")
    assert data.ids == ("20007",)
    [chosen] = asked
    assert (chosen.config, chosen.start, chosen.stop) == ("v0.1", 20_000, 21_000)
    assert (chosen.count, chosen.seed) == (5, 2)


# ------------------------------------------------------------------------------------ the guard


@pytest.mark.parametrize("name", [*chartmimic.SUBSET_SIZES, *plot2code.SUBSET_SIZES])
@pytest.mark.parametrize("kind", ["charts", "images"])
def test_a_folder_named_as_a_benchmarks_subset_is_refused(
    tmp_path: Path, name: str, kind: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "bar_1.py").write_text("ok 1")
    (folder / "bar_1.png").write_bytes(png("red"))
    message = refusal(f"{kind}:{folder}")
    assert "test items" in message
    assert "allow_test_items: true" in message
    allowed = load(f"{kind}:{folder}", allow_test_items=True)
    assert allowed.card()["test_items"] is True


def test_pictures_below_a_subsets_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v2" / "direct_600").mkdir(parents=True)
    (tmp_path / "v2" / "direct_600" / "bar_1.png").write_bytes(png("red"))
    assert "test items" in refusal(f"images:{tmp_path}")


def test_charts_do_not_lead_on_to_a_subset(tmp_path: Path) -> None:
    (tmp_path / "direct_600").mkdir()
    (tmp_path / "direct_600" / "bar_1.py").write_text("ok 1")
    assert "name the folder itself" in refusal(f"charts:{tmp_path}")


def test_benchmarks_are_refused_by_their_name(tmp_path: Path, scripts: Path) -> None:
    assert "test items" in refusal(f"chartmimic:{scripts}")
    (tmp_path / "metadata.jsonl").write_text('{"code": "ok 1", "file_name": "a.png"}\n')
    assert "test items" in refusal(f"plot2code:{tmp_path}")
    allowed = load(f"plot2code:{tmp_path}", setting="with_reference", allow_test_items=True)
    assert [sample.reference_code for sample in allowed] == ["ok 1"]
    assert (allowed.benchmark, allowed.test_items) == ("plot2code", True)


@pytest.mark.parametrize("name", ["testset_final", "Design2Code", "Design2Code-HARD"])
@pytest.mark.parametrize("kind", ["pages", "websight", "images"])
def test_a_folder_named_as_design2code_s_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "1.html").write_text("<p>One</p>")
    (tmp_path / name / "1.png").write_bytes(png("red"))
    assert "test items" in refusal(f"{kind}:{tmp_path / name}")


def test_design2code_with_references_and_as_pictures(tmp_path: Path) -> None:
    (tmp_path / "7.html").write_text("<h1>Seven</h1><img src=rick.jpg>")
    (tmp_path / "7.png").write_bytes(png("red"))
    (tmp_path / "rick.jpg").write_bytes(b"\xff\xd8\xff")
    spec = f"design2code:{tmp_path}"
    assert "allow_test_items: true" in refusal(spec)
    data = load(spec, setting="with_reference", allow_test_items=True)
    [sample] = data
    assert (data.benchmark, data.language, data.test_items) == ("design2code", "html", True)
    assert (sample.id, sample.reference_code) == ("7", "<h1>Seven</h1><img src=rick.jpg>")
    [picture] = load(spec, setting="images_only", allow_test_items=True)
    assert (picture.reference_code, picture.image) == (None, tmp_path / "7.png")
    [asked] = load(f"{spec}?task=text_augmented", allow_test_items=True)
    assert "\nSeven\n" in asked.prompt
    assert "Seven" not in sample.prompt
    told = refusal(f"{spec}?task=all", allow_test_items=True)
    assert "give one of direct, text_augmented" in told


@pytest.mark.parametrize("rows", ["start=10000&stop=20000", "start=0&stop=10001", "start=19999"])
def test_rows_that_are_scored_by_default_are_refused(rows: str) -> None:
    assert "test items" in refusal(f"websight:hub?{rows}&n=1")


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("/data/pictures", "as in images:FOLDER"),
        ("picture:/data", "images:"),
        ("images:", "name a folder"),
        ("images:/nowhere/at/all", "no such folder"),
        ("images:/nowhere?kind=plots", "give one of charts, pages"),
        ("charts:/nowhere/at/all", "no folder with <id>.py"),
        ("pages:/nowhere/at/all", "no such folder or file"),
        ("synthetic:maps", "one of charts, tiny, pages"),
        ("synthetic:charts?levels=1", 'Did you mean "level"?'),
        ("synthetic:charts?level=0", "one of 1 to 5"),
        ("synthetic:charts?level=3-2", "one of 1 to 5"),
        ("synthetic:charts?n=0", "from 1 on"),
        ("synthetic:charts?n=many", "whole number"),
        ("synthetic:charts?n=1000001", "at most 1000000"),
        ("synthetic:tiny?level=1", 'no option "level"'),
        ("synthetic:charts?n", "OPTION=VALUE"),
        ("websight:hub?version=v9", "v0.2, v0.1"),
        ("websight:hub?start=20000&stop=20010&n=11", "only 10 rows"),
        ("websight:hub?start=20000&stop=20000", "from 20001 on"),
    ],
)
def test_a_mistake_is_told_in_a_line_that_mends_it(spec: str, said: str) -> None:
    assert said in refusal(spec)


def test_more_mistakes(tmp_path: Path, pictures: Path, scripts: Path) -> None:
    assert "images_only" in refusal(f"images:{pictures}", setting="with_reference")
    assert "images_only, with_reference" in refusal("synthetic:tiny", setting="both")
    assert "from 1 on" in refusal(f"charts:{scripts}?limit=0")
    assert "available: limit" in refusal(f"pages:{tmp_path}?n=3").lower()
    assert "available: limit" in refusal(f"websight:{tmp_path}?n=3").lower()
    (pictures / "z.png").write_bytes(b"<svg></svg>")
    assert "z.png: not a PNG or JPEG" in refusal(f"images:{pictures}")
    (tmp_path / "empty").mkdir()
    assert "name another folder" in refusal(f"images:{tmp_path / 'empty'}")


def test_a_question_mark_begins_the_options() -> None:
    spec = DataSpec.parse("synthetic:charts?level=1&n=3")
    assert (spec.kind, spec.place, spec.options) == (
        "synthetic",
        "charts",
        {"level": "1", "n": "3"},
    )


# ------------------------------------------------------------------------------------- the split


def marks(data: TrainingData) -> list[frozenset[str]]:
    return [fingerprints(data.read_sample(number)) for number in range(len(data))]


def assert_apart(parts: Split) -> None:
    learnt = {mark for one in marks(parts.train) for mark in one}
    held = [mark for one in marks(parts.held_out) for mark in one]
    assert not learnt & set(held)
    assert len(held) == len(set(held)), "two held-out samples are the same"


def test_a_split_has_no_id_code_or_picture_on_both_sides() -> None:
    data = load("synthetic:tiny?n=4000")
    # So many that some seeds give the same chart.
    assert len({mark for one in marks(data) for mark in one if mark.startswith("code")}) < 4000
    parts = split(data, held_out=500, seed=1)
    assert len(parts.held_out) == 500
    assert len(parts.train) + parts.n_dropped == 3500
    assert parts.n_dropped > 0
    assert_apart(parts)


def test_the_same_picture_under_two_names_is_on_one_side(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png("red", (40 + number // 3, 30)))
    for seed in range(6):
        parts = split(load(f"images:{tmp_path}"), held_out=2, seed=seed)
        assert (len(parts.held_out), len(parts.train), parts.n_dropped) == (2, 6, 4)
        assert_apart(parts)


def test_a_split_is_that_of_its_seed() -> None:
    data = load("synthetic:charts?n=200")
    first, again, other = (split(data, held_out=20, seed=seed) for seed in (1, 1, 2))
    assert first.held_out.ids == again.held_out.ids
    assert set(first.held_out.ids) != set(other.held_out.ids)
    assert set(first.train.ids) | set(first.held_out.ids) == set(data.ids)


def test_parts_keep_setting_and_canvas(scripts: Path) -> None:
    data = load(f"charts:{scripts}").with_canvas(FakeCanvas())
    parts = split(data, held_out=1)
    for part in (parts.train, parts.held_out):
        assert all(one.reference_code is None and one.image is not None for one in part)
    assert len(parts.held_out) == 1


def test_too_few_samples_for_a_split(scripts: Path, tmp_path: Path) -> None:
    data = load(f"charts:{scripts}", setting="with_reference")
    for number in (3, 4):
        with pytest.raises(DataError, match="hold fewer out"):
            split(data, held_out=number)
    (scripts / "bar_2.py").write_text("ok bar_1")
    (scripts / "bar_10.py").write_text("  ok bar_1  ")
    with pytest.raises(DataError, match="too few different ones"):
        split(load(f"charts:{scripts}"), held_out=1)


def test_other_data_can_be_held_out() -> None:
    data, held_out = load("synthetic:tiny?n=3000"), load("synthetic:tiny?n=3000&seed=1")
    parts = separate(data, held_out)
    learnt = {mark for one in marks(parts.train) for mark in one}
    assert not learnt & {mark for one in marks(held_out) for mark in one}
    assert parts.held_out is held_out
    assert 0 < parts.n_dropped == 3000 - len(parts.train)
    with pytest.raises(DataError, match="name other data"):
        separate(data, data)


def test_the_card_tells_what_was_trained_on(scripts: Path) -> None:
    parts = split(load("synthetic:charts?level=1&n=30&seed=4"), held_out=5, seed=9)
    card = json.loads(json.dumps(parts.card()))
    assert card["split_seed"] == 9
    assert card["train"]["n"] == 25
    assert card["held_out"]["n"] == 5
    for part in (card["train"], card["held_out"]):
        assert part["source"] == "synthetic:charts?level=1&n=30&seed=4"
        assert (part["setting"], part["test_items"], part["seed"]) == ("images_only", False, 4)
        assert part["generator"] >= 1
    assert card["train"]["ids_sha256"] != card["held_out"]["ids_sha256"]
    own = load(f"charts:{scripts}", setting="with_reference").card()
    # printf 'bar_1\nbar_2\nbar_10' | sha256sum
    assert own["ids_sha256"] == "2e41d57f1894104e48023df6fd7727a01759868aadfeab38c569e901c0439ded"
    assert own["setting"] == "with_reference"


# -------------------------------------------------------------------- conversations from a file


def written(folder: Path, *rows: Mapping[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def shape(conversation: Conversation) -> list[tuple[str, list[str]]]:
    """Roles, texts, and the colour in the corner of each picture."""
    return [
        (message.role, [part if isinstance(part, str) else corner(part) for part in message.parts])
        for message in conversation.messages
    ]


def corner(picture: Picture) -> str:
    assert picture.png.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(picture.png)) as image:
        red, green, blue = image.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return f"<{'r' if red > 200 else ''}{'g' if green > 100 else ''}{'b' if blue > 200 else ''}>"


ASKED_AND_ANSWERED = [("user", ["<r>", "Draw it."]), ("assistant", ["done"])]


@pytest.mark.parametrize(
    "row",
    [
        {
            "messages": [
                {"role": "user", "content": "<image>\nDraw it."},
                {"role": "assistant", "content": "done"},
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": "Draw it."}],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
            ]
        },
        {
            "conversations": [
                {"from": "human", "value": "<image>Draw it."},
                {"from": "gpt", "value": "done"},
            ]
        },
        {"prompt": "Draw it.", "completion": "done"},
        {
            "prompt": [{"role": "user", "content": "Draw it."}],
            "completion": [{"role": "assistant", "content": "done"}],
        },
    ],
)
@pytest.mark.parametrize("picture", ["path", "list", "base64", "url", "bytes64"])
def test_rows_of_every_layout_mean_the_same(
    tmp_path: Path, row: dict[str, Any], picture: str
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(png("red"))
    encoded = base64.b64encode(png("red")).decode()
    forms: dict[str, dict[str, Any]] = {
        "path": {"image": "images/1.png"},
        "list": {"images": ["images/1.png"]},
        "base64": {"image": encoded},
        "url": {"images": [f"data:image/png;base64,{encoded}"]},
        "bytes64": {"image": {"bytes": None, "path": "images/1.png"}},
    }
    [conversation] = read_conversations(written(tmp_path, {**row, **forms[picture]}))
    assert shape(conversation) == ASKED_AND_ANSWERED
    assert conversation.id == "0"


def test_pictures_of_several_turns_stand_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png("red"))
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "2.jpg", quality=95)
    turns = [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": "This: <image> please."},
        {"role": "assistant", "content": "<tool_call>{}</tool_call>"},
        {"role": "tool", "content": "---Comments: <image>"},
        {"role": "assistant", "content": "<answer>x</answer>"},
    ]
    row = {"id": "q7", "images": ["1.png", "2.jpg"], "messages": turns}
    [conversation] = read_conversations(written(tmp_path, row))
    assert conversation.id == "q7"
    assert shape(conversation) == [
        ("system", ["Be exact."]),
        ("user", ["This: ", "<r>", " please."]),
        ("assistant", ["<tool_call>{}</tool_call>"]),
        ("tool", ["---Comments: ", "<b>"]),
        ("assistant", ["<answer>x</answer>"]),
    ]


@pytest.mark.skipif(not find_spec("pyarrow"), reason="pyarrow missing: pip install 'rrvf[train]'")
def test_parquet_as_the_hub_has_it(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "images": [{"bytes": png("red"), "path": None}],
        "messages": [
            {"role": "user", "content": "<image>Draw it."},
            {"role": "assistant", "content": "done"},
        ],
    }
    for number in (1, 2):
        pq.write_table(pa.Table.from_pylist([row, row]), tmp_path / f"{number}.parquet")
    found = list(read_conversations(tmp_path))
    assert [shape(one) for one in found] == [ASKED_AND_ANSWERED] * 4
    assert [one.id for one in found] == ["0", "1", "2", "3"]
    assert len(list(read_conversations(tmp_path / "1.parquet"))) == 2
    (tmp_path / "1.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="fetch it again"):
        list(read_conversations(tmp_path))


USER = {"role": "user", "content": "Draw it."}
DONE = {"role": "assistant", "content": "done"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "q", "answer": "a"}, "it has question, answer"),
        ({"prompt": "q"}, "prompt and completion; it has prompt"),
        ({"messages": "hello"}, "is not a list of messages"),
        ({"messages": [USER]}, "one of the assistant's at the end"),
        ({"messages": [DONE]}, "needs a user's message"),
        ({"messages": [{"role": "critic", "content": "x"}, DONE]}, "has none of the known roles"),
        ({"messages": [{"role": "user", "content": None}, DONE]}, "neither text nor picture"),
        ({"messages": [USER, {**DONE, "tool_calls": [{}]}]}, "write <tool_call>"),
        (
            {"messages": [{"role": "user", "content": "<image>"}, DONE]},
            "1 places for 0 pictures",
        ),
        ({"messages": [USER, DONE], "image": "none.png"}, 'no image "none.png"'),
        ({"messages": [USER, DONE], "image": "../secret.png"}, 'no image "../secret.png"'),
        ({"messages": [USER, DONE], "image": "rows.jsonl"}, "image cannot be read"),
        ({"messages": [USER, DONE], "image": 7}, "neither a path nor base64"),
        ({"messages": [USER, DONE], "image": "iVBORw0KGgo?"}, "not valid base64"),
    ],
)
def test_a_row_that_cannot_be_used_is_told(
    tmp_path: Path, row: Mapping[str, Any], said: str
) -> None:
    (tmp_path / "secret.png").write_bytes(png("red"))
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError) as caught:
        list(read_conversations(written(tmp_path / "data", row)))
    assert said in str(caught.value)
    assert "line 1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", b"", "no rows"),
        ("rows.jsonl", b"[1]\n", "not a JSON object"),
        ("rows.jsonl", b"{", "not valid JSON"),
        ("rows.jsonl", b"\xff\xfe{}", "not valid JSON in UTF-8"),
        ("rows.csv", b"a,b", "name such a file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        list(read_conversations(tmp_path / name))
    with pytest.raises(DataError, match="no such file"):
        list(read_conversations(tmp_path / "other.jsonl"))


# ---------------------------------------------------------------------------- from references


def test_code_is_the_answer_to_its_picture() -> None:
    sample = Sample("a", "plt.plot([1])\n")
    looped = AgentSettings.of("python")
    conversation = reference_conversation(sample, png("red"), looped)
    assert conversation is not None
    system, asked, answered = shape(conversation)
    assert system == ("system", [looped.system()])
    assert asked == ("user", [looped.prompt.user, "<r>"])
    expected = "<answer>\n```python\nplt.plot([1])\n```\n</answer>"
    assert answered == ("assistant", [expected])
    plain = reference_conversation(sample, png("red"), AgentSettings.of("python", max_turns=1))
    assert plain is not None
    assert [message.role for message in plain.messages] == ["user", "assistant"]
    assert plain.messages[-1].parts == ("```python\nplt.plot([1])\n```",)
    assert reference_conversation(Sample("a"), png("red"), looped) is None


# ------------------------------------------------------------------------- recorded episodes

GOOD, BAD = plot("the title"), plot("something else")


def policy(request: Request) -> Reply:
    """Draws first; answers well where the picture is wide, else badly."""
    if "<tool_response>" not in request.text:
        return answer("<think>A line.</think>" + call(BAD))
    with Image.open(io.BytesIO(request.pictures[0])) as image:
        return answer(final(GOOD if image.width > 200 else BAD))


@dataclass(frozen=True)
class NoRenderer:
    """Only for samples that have a picture."""

    language: Language = "python"
    asked: list[str] = field(default_factory=list)

    def target(self, sample: Sample) -> bytes:
        self.asked.append(sample.id)
        assert sample.image is not None
        return sample.image.read_bytes()

    def draw(self, sample: Sample, code: str) -> Drawn:
        raise AssertionError("nothing is drawn again")


@pytest.fixture(scope="module")
def recorded(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, Path, Sequence[Request]]]:
    """A run of ``rrvf eval`` over three charts, its data, and what the policy was asked."""
    folder = tmp_path_factory.mktemp("recorded")
    charts = folder / "charts"
    charts.mkdir()
    for number, width in enumerate((300, 100, 400)):
        (charts / f"line_{number}.py").write_text(f"{GOOD}\nplt.savefig('line_{number}.pdf')")
        (charts / f"line_{number}.png").write_bytes(png("red", (width, 50 + number)))
    env = environment(RRVF_CACHE_DIR=str(folder / "cache"), OPENAI_API_KEY="sk-test-1")
    with ChatServer(policy) as server:
        options = ("--policy", "m", "--base-url", server.url, "--concurrency", 1)
        run = ("--data", charts, "--out", folder / "run", "--workers", 1)
        done = rrvf_here("eval", "chartmimic", *run, *options, env=env)
        assert done.returncode == 0, done.stderr
        yield folder / "run", charts, list(server.requests)


def test_good_episodes_are_what_the_policy_saw_and_wrote(
    recorded: tuple[Path, Path, Sequence[Request]],
) -> None:
    run, charts, requests = recorded
    data, canvas = load(f"charts:{charts}"), NoRenderer()
    found = list(recorded_conversations(run, data, canvas, scorer="text", at_least=0.9))
    assert sorted(one.id for one in found) == ["line_0", "line_2"]
    assert sorted(canvas.asked) == ["line_0", "line_2"]
    for conversation in found:
        [last] = [
            request
            for request in requests
            if "<tool_response>" in request.text
            and pixels(request.pictures[0])
            == pixels((charts / f"{conversation.id}.png").read_bytes())
        ]
        *shown, said = conversation.messages
        assert said == Message("assistant", (final(GOOD),))
        assert [message.role for message in shown] == [
            message["role"] for message in last.body["messages"]
        ]
        parts = [part for message in shown for part in message.parts]
        assert "\n".join(part for part in parts if isinstance(part, str)) == last.text
        assert [part.png for part in parts if isinstance(part, Picture)] == last.pictures
        assert len(last.pictures) == 2, "the target and the rendering"
        assert "savefig" not in last.text, "the reference is not shown"


def test_a_run_that_cannot_be_used_is_told(
    recorded: tuple[Path, Path, Sequence[Request]], tmp_path: Path, scripts: Path
) -> None:
    run, charts, _ = recorded
    data = load(f"charts:{charts}")

    def told(folder: Path, named: TrainingData = data, scorer: str = "text") -> str:
        with pytest.raises(DataError) as caught:
            list(recorded_conversations(folder, named, NoRenderer(), scorer=scorer, at_least=0.9))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no trajectories.jsonl in it" in told(tmp_path)
    assert re.search(r'no score "gpt"; it has .*text', told(run, scorer="gpt"))
    assert "name the data that the run was about" in told(run, load(f"charts:{scripts}"))
    with pytest.raises(DataError, match="lower it"):
        recorded_conversations(run, data, NoRenderer(), scorer="text", at_least=1.1)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("trajectories.jsonl", "results.jsonl", "run.json"):
        (copy / name).write_bytes((run / name).read_bytes())
    assert "cannot be read" in told(copy), "its pictures are gone"
    settings = json.loads((run / "run.json").read_text())
    settings["protocol.loop"]["policy_prompt_sha256"] = "0" * 64
    (copy / "run.json").write_text(json.dumps(settings))
    assert "another prompt" in told(copy)
    (copy / "run.json").write_text("{}")
    assert "no record of episodes" in told(copy)
