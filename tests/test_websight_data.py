"""WebSight's samples from folders, JSONL, parquet and the hub; HTML out of replies; the demo."""

from __future__ import annotations

import base64
import json
import re
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.benchmarks.page_folders import picture_suffix
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.benchmarks.websight import load_samples, protocol
from rrvf.benchmarks.websight_download import REVISION, HubSlice, fetch, hub_slice
from rrvf.decoding import decode_html
from rrvf.errors import DataError, SetupError, UserError
from rrvf.page_replies import extract_html
from rrvf.renderers import cache
from rrvf.types import Sample

PNG = base64.b64decode(  # one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0 and more"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
PAGE = "<html><body>Hello</body></html>"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def in_cache() -> list[Path]:
    return [path for path in cache.folder().rglob("*") if path.is_file()]


def jsonl(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def fails(match: str, data: Path, **options: Any) -> None:
    with pytest.raises(UserError, match=match) as caught:
        load_samples(data, **options)
    assert "\n" not in str(caught.value)
    assert str(data) in str(caught.value)


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_of_pages_with_and_without_pictures(tmp_path: Path) -> None:
    for stem in ("page_10", "page_9", "b", ".hidden"):
        (tmp_path / f"{stem}.html").write_text(f"<p>{stem}</p>", encoding="utf-8")
    (tmp_path / "page_9.png").write_bytes(PNG)
    (tmp_path / "page_10.jpg").write_bytes(JPEG)
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    samples = load_samples(tmp_path)
    assert [(s.id, s.reference_code, s.image) for s in samples] == [
        ("b", "<p>b</p>", None),
        ("page_9", "<p>page_9</p>", tmp_path / "page_9.png"),
        ("page_10", "<p>page_10</p>", tmp_path / "page_10.jpg"),
    ]
    assert all("```html" in s.prompt for s in samples)
    assert [s.id for s in load_samples(tmp_path, limit=2)] == ["b", "page_9"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbf<p>\xc3\xa4</p>", "<p>ä</p>"),
        ("<p>ä€</p>".encode(), "<p>ä€</p>"),
        (b"\xff\xfe" + "<p>ä</p>".encode("utf-16-le"), "<p>ä</p>"),
        (b"\xfe\xff" + "<p>ä</p>".encode("utf-16-be"), "<p>ä</p>"),
        (b'<meta charset="koi8-r"><p>\xc1', '<meta charset="koi8-r"><p>а'),
        (
            b"<META http-equiv=Content-Type content='text/html; charset=Shift_JIS'>\x82\xa0",
            "<META http-equiv=Content-Type content='text/html; charset=Shift_JIS'>あ",
        ),
        (b"<p>\x80 \x93quoted\x94 \xe4", "<p>€ “quoted” ä"),
        (b"<meta charset=iso-8859-1>\x80", "<meta charset=iso-8859-1>€"),  # as browsers do
        (b"<meta charset=utf-8>\xe4", "<meta charset=utf-8>ä"),  # it lies
        (b"<meta charset=rot13>\xe4", "<meta charset=rot13>ä"),  # Python's own
        (b"<meta charset=no-such>\xe4\x81", "<meta charset=no-such>ä\ufffd"),
        (b"a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_every_encoding_is_read(data: bytes, text: str) -> None:
    assert decode_html(data) == text


@given(st.binary())
def test_no_bytes_fail_to_decode(data: bytes) -> None:
    decode_html(data).encode("utf-8")


def test_unusable_pages_are_named(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_bytes(b" \n")
    fails(r"a\.html: this page is empty; .*remove", tmp_path)
    page.write_bytes(PNG)
    fails(r"a\.html: not HTML but binary data", tmp_path)
    page.write_text(PAGE, encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"<svg/>")
    fails(r"a\.png: not a PNG, JPEG or WebP; remove it", tmp_path)


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": -1}])
def test_a_limit_below_one_is_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(DataError, match="give at least 1"):
        load_samples(tmp_path, **options)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    fails("neither <id>.html nor .parquet", tmp_path)
    fails(r'no such folder or file; "websight" and', tmp_path / "nowhere")
    fails("unknown kind of file; name a folder", jsonl(tmp_path / "a.csv", {"text": PAGE}))


# --- JSONL ----------------------------------------------------------------------------------------


def test_jsonl_rows(tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "0.png").write_bytes(PNG)
    path = jsonl(
        tmp_path / "a.jsonl",
        "\ufeff" + json.dumps({"text": PAGE, "llm_generated_idea": "x"}),
        "",
        {"html": "<p>", "id": "named", "image": "shots/0.png"},
        {"text": "<b>", "id": 7, "image": None},
        {"text": "half \ud83d pair", "id": "odd"},
    )
    samples = load_samples(path)
    assert [(s.id, s.reference_code) for s in samples] == [
        ("0", PAGE),
        ("named", "<p>"),
        ("7", "<b>"),
        ("odd", "half \ufffd pair"),
    ]
    assert [s.image for s in samples] == [None, tmp_path / "shots" / "0.png", None, None]


@pytest.mark.parametrize(
    ("image", "content", "suffix"),
    [
        (base64.b64encode(PNG).decode(), PNG, ".png"),
        ("data:image/jpeg;base64," + base64.b64encode(JPEG).decode(), JPEG, ".jpg"),
        (base64.b64encode(WEBP).decode(), WEBP, ".webp"),
        ({"bytes": base64.b64encode(PNG).decode(), "path": "x.png"}, PNG, ".png"),
    ],
)
def test_base64_pictures_are_written_only_when_asked_for(
    tmp_path: Path, image: object, content: bytes, suffix: str
) -> None:
    row = {"text": PAGE, "image": image}
    path = jsonl(tmp_path / "a.jsonl", {**row, "id": "a"}, {**row, "id": "b"})
    assert [s.image for s in load_samples(path)] == [None, None]
    assert in_cache() == []
    [a, b] = load_samples(path, images=True)
    assert a.image is not None
    assert a.image == b.image
    assert a.image.read_bytes() == content
    assert a.image.suffix == suffix
    assert in_cache() == [a.image]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{broken", "line 2 is not valid JSON"),
        ("[" * 100_000, "line 2 is not valid JSON"),
        ('{"n": ' + "1" * 5000 + "}", "line 2 is not valid JSON"),
        ("[]", 'line 2 is not a JSON object with "text"'),
        ({"id": "x"}, r'line 2 has no "text" \(or "html"\)'),
        ({"text": None}, 'line 2 has no "text"'),
        ({"text": 5}, 'line 2 has no "text"'),
        ({"text": " "}, "line 2: this page is empty"),
        ({"text": "\0\1"}, "line 2: not HTML but binary data"),
        ({"text": "<p>", "id": True}, '"id" that is neither'),
        ({"text": "<p>", "id": ""}, '"id" that is neither'),
        ({"text": "<p>", "id": [1]}, '"id" that is neither'),
        ({"text": "<p>", "id": "0"}, 'more than one row with the id "0"'),
        ({"text": "<p>", "image": 5}, '"image" that is neither a path nor base64'),
        ({"text": "<p>", "image": "gone.png"}, 'names the image "gone.png", which is not in'),
        ({"text": "<p>", "image": "../secret.png"}, "which is not in"),
        ({"text": "<p>", "image": "x" * 5000}, "which is not in"),
        ({"text": "<p>", "image": "a\0b"}, "which is not in"),
        ({"text": "<p>", "image": "a.jsonl"}, r"a\.jsonl: not a PNG, JPEG or WebP"),
        ({"text": "<p>", "image": "iVBORw0KGgo!"}, "line 2: its image is not valid base64"),
        ({"text": "<p>", "image": "data:image/png;base64,AAAA"}, "is not a PNG, JPEG or WebP"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: object, message: str) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "data").mkdir()
    path = jsonl(tmp_path / "data" / "a.jsonl", {"text": PAGE}, row)
    fails(message, path, images=True)
    assert [s.id for s in load_samples(path, limit=1)] == ["0"]


def test_unusable_jsonl_files(tmp_path: Path) -> None:
    fails("no rows in it", jsonl(tmp_path / "a.jsonl", "", " "))
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\xff"}')
    fails("line 1 is not UTF-8 text", tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_bytes(PNG)
    fails("line 1 is not UTF-8 text", tmp_path / "a.jsonl")


@given(st.binary(max_size=40))
def test_only_three_kinds_of_picture_are_known(data: bytes) -> None:
    assert picture_suffix(data) is None or data[:1] in (b"\x89", b"\xff", b"R")


# --- parquet --------------------------------------------------------------------------------------


def parquet(path: Path, rows: Sequence[Mapping[str, object]], group: int = 20) -> Path:
    """A file laid out as the hub's."""
    arrow: Any = pytest.importorskip("pyarrow", reason="needs the web extra")
    import pyarrow.parquet as module

    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    types = {"image": image, "id": arrow.int64()}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in rows[0]])
    path.parent.mkdir(parents=True, exist_ok=True)
    table = arrow.Table.from_pylist(rows, schema=schema)
    module.write_table(table, path, row_group_size=group)  # type: ignore[no-untyped-call]
    return path


def hub_row(number: int, picture: bytes | None = None) -> dict[str, object]:
    packed = {"bytes": PNG + str(number).encode() if picture is None else picture, "path": "x.png"}
    return {"image": packed, "text": f"<p>{number}</p>", "llm_generated_idea": "idea"}


def test_parquet_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    parquet(tmp_path / "train-00001-of-00002.parquet", [hub_row(n) for n in range(50, 70)])
    parquet(tmp_path / "train-00000-of-00002.parquet", [hub_row(n) for n in range(50)])
    samples = load_samples(tmp_path)
    assert [s.id for s in samples] == [str(n) for n in range(70)]
    assert [s.reference_code for s in samples] == [f"<p>{n}</p>" for n in range(70)]
    assert {s.image for s in samples} == {None}
    assert in_cache() == []
    limited = load_samples(tmp_path, images=True, limit=3)
    images = [s.image for s in limited if s.image]
    assert [image.read_bytes() for image in images] == [PNG + str(n).encode() for n in range(3)]
    assert sorted(in_cache()) == sorted(images)


def test_parquet_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [{"html": "<p>", "id": 5}, {"html": "<b>", "id": 6}])
    assert [(s.id, s.reference_code) for s in load_samples(path, images=True)] == [
        ("5", "<p>"),
        ("6", "<b>"),
    ]
    path = parquet(tmp_path / "b.parquet", [{"code": "<p>", "image": None}])
    fails(r'no column "text" \(or "html"\) with the pages; it has code, image', path)
    path = parquet(tmp_path / "c.parquet", [{"text": "<p>"}, {"text": None}])
    fails('row 1 has no "text"', path)
    path = parquet(tmp_path / "d.parquet", [hub_row(0, b"GIF89a")])
    fails("row 0: its image is not a PNG, JPEG or WebP", path, images=True)
    path = parquet(tmp_path / "e.parquet", [{"text": "<p>", "image": None}])
    assert load_samples(path, images=True)[0].image is None


def test_damaged_parquet_files(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [hub_row(n) for n in range(100)])
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", PNG, content[:-20], b"PAR1" + b"\0" * (len(content) - 4)):
        path.write_bytes(damaged)
        fails("not a readable parquet file .* fetch it again", path)


@pytest.mark.slow
def test_pictures_pass_in_small_batches(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow", reason="needs the web extra")
    picture = PNG + bytes(2**20)
    path = parquet(tmp_path / "a.parquet", [hub_row(n, picture) for n in range(64)], group=64)
    arrow.default_memory_pool().release_unused()
    before = arrow.total_allocated_bytes()
    tracemalloc.start()
    samples = load_samples(path, images=True)
    peak = tracemalloc.get_traced_memory()[1] + arrow.total_allocated_bytes() - before
    tracemalloc.stop()
    assert len({s.image for s in samples}) == 1
    assert peak < 48 * 2**20  # of 64 MB


# --- the hub --------------------------------------------------------------------------------------


def test_the_default_slice_is_named_in_full() -> None:
    expected = {
        "data": "hub",
        "dataset": "HuggingFaceM4/WebSight",
        "config": "v0.2",
        "split": "train",
        "revision": REVISION,
        "start": 10_000,
        "stop": 20_000,
        "count": 1000,
        "seed": 0,
    }
    for name in ("websight", "websight:v0.2", "hf:HuggingFaceM4/WebSight", "WebSight"):
        assert protocol(Path(name)) == expected
    assert protocol(Path("websight:v0.1")) == {**expected, "config": "v0.1"}
    assert re.fullmatch(r"[0-9a-f]{40}", REVISION)
    assert hub_slice("websight:v0.3") is None


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "websight").mkdir()
    (tmp_path / "websight" / "a.html").write_text(PAGE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [s.id for s in load_samples(Path("websight"))] == ["a"]
    assert protocol(Path("websight")) == {"data": "folder"}


def test_fewer_rows_are_the_first_of_more() -> None:
    many, few = HubSlice(count=1000).rows(), HubSlice(count=10).rows()
    assert many[:10] == few
    assert len(set(many)) == 1000
    assert all(10_000 <= row < 20_000 for row in many)
    assert HubSlice(count=10, seed=1).rows() != few
    assert abs(sum(many) / 1000 - 15_000) < 400  # over four standard errors of a uniform draw
    # sha256sum of "0:3", "0:2", "0:0" and "0:1" begins 76, 93, ac and ef.
    assert HubSlice(start=0, stop=4, count=4).rows() == [3, 2, 0, 1]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubSlice:
    """A slice of a folder laid out as the repository, which ``datasets`` reads as such."""
    pytest.importorskip("datasets", reason="needs the web extra")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: None)
    root = tmp_path / "WebSight"
    for file in range(3):
        rows = [hub_row(number) for number in range(50 * file, 50 * file + 50)]
        parquet(root / "v0.2" / f"train-0000{file}-of-00003.parquet", rows)
    fields = "".join(
        f"  - name: {name}\n    dtype: {kind}\n"
        for name, kind in (("image", "image"), ("text", "string"), ("llm_generated_idea", "string"))
    )
    (root / "README.md").write_text(
        f"---\ndataset_info:\n- config_name: v0.2\n  features:\n{fields}"
        "configs:\n- config_name: v0.2\n  data_files:\n"
        "  - split: train\n    path: v0.2/train-*\n---\n",
        encoding="utf-8",
    )
    return HubSlice(start=60, stop=140, count=10, dataset=str(root))


def test_a_slice_streams_into_a_file(hub: HubSlice) -> None:
    path = fetch(hub)
    samples = load_samples(path)
    assert [s.id for s in samples] == [str(row) for row in hub.rows()]
    assert [s.reference_code for s in samples] == [f"<p>{row}</p>" for row in hub.rows()]
    assert {s.image for s in samples} == {None}
    assert in_cache() == [path]
    fewer = load_samples(fetch(replace(hub, count=4)))
    assert fewer == samples[:4]


def test_pictures_come_when_they_are_asked_for(hub: HubSlice) -> None:
    samples = load_samples(fetch(hub, images=True))
    for sample, row in zip(samples, hub.rows(), strict=True):
        assert sample.image is not None
        assert sample.image.read_bytes() == PNG + str(row).encode()


def test_a_fetched_slice_needs_no_network(hub: HubSlice, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(hub)

    def away(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", away)
    assert fetch(hub) == path
    with pytest.raises(SetupError, match=r"cannot fetch .*parquet files elsewhere") as caught:
        fetch(replace(hub, seed=1))
    assert "\n" not in str(caught.value)
    assert in_cache() == [path]


def test_a_slice_beyond_the_end(hub: HubSlice) -> None:
    with pytest.raises(DataError, match=r"only \d of the 10 rows .* train\[140:160\]"):
        fetch(replace(hub, start=140, stop=160))
    assert in_cache() == []


def test_without_network_it_is_one_line() -> None:
    pytest.importorskip("huggingface_hub", reason="needs the web extra")
    # The tests' own guard refuses the connection.
    with pytest.raises(SetupError, match=r"cannot fetch HuggingFaceM4/WebSight .*HF_ENDPOINT"):
        load_samples(Path("websight"))


# --- replies --------------------------------------------------------------------------------------

DOCUMENT = "<!DOCTYPE html>\n<html><body>x</body></html>"
BODY = "<body><h1>Welcome</h1><p>Some text.</p></body>"
BARE = f"<head><style>h1{{color:#333366}}</style></head>\n{BODY}"


@pytest.mark.parametrize(
    ("reply", "html"),
    [
        (f"Here:\n```html\n{DOCUMENT}\n```\nDone.", DOCUMENT),
        ("```html\n<div>part</div>\n```", "<div>part</div>"),
        (f"```html\n{DOCUMENT}", DOCUMENT),
        (f"```\n{DOCUMENT}\n```", DOCUMENT),
        (f"```HTML\n{DOCUMENT}\n```\n```css\np {{ color: red }}\n```", DOCUMENT),
        (f"```html\n<p>draft</p>\n```\nBetter:\n```html\n{DOCUMENT}\n```", DOCUMENT),
        (f"```xml\n{DOCUMENT}\n```\n```css\np {{ color: red }}\n```", DOCUMENT),
        (f"Sure.\n\n{DOCUMENT}\n\nIt needs nothing else.", DOCUMENT),
        ("Sure. <html lang='en'><body>cut of", "<html lang='en'><body>cut of"),
        ("<!doctype HTML><p>a</html>b</HTML >c", "<!doctype HTML><p>a</html>b</HTML >"),
        (f"<think>```html\n<p>no</p>\n```</think>\n<answer>{DOCUMENT}</answer>", DOCUMENT),
        (f"<answer>This is it: {DOCUMENT} Good?</answer>", DOCUMENT),
        (f"<answer>```html\n{DOCUMENT}\n```</answer>", DOCUMENT),
        ("A table with <b>six</b> rows.", None),
        ("<answer>A table with <b>six</b> rows.</answer>", None),
        ("```python\nprint('x < y')\n```", None),
        (f"<think>{DOCUMENT}</think>", None),
        (f"<think>{DOCUMENT}", None),
        ("```html\n```", None),
        ("", None),
        # The last block that is a document counts, whatever follows it.
        (f"```html\n{DOCUMENT}\n```\nFor the title:\n```html\n<h1>New</h1>\n```", DOCUMENT),
        (f"```html\n{DOCUMENT}\n```\n```html\n{DOCUMENT}<!---->\n```", f"{DOCUMENT}<!---->"),
        (f"```html\n{DOCUMENT}\n```\n```html\n<html lang='de'>\n```", DOCUMENT),
        (f"```html\n{DOCUMENT}\n```\n```html\n<body class='dark'>\n```", DOCUMENT),
        (f"```html\n{DOCUMENT}\n```\n```python\nprint('<html><body>')\n```", DOCUMENT),
        (f"```\n<!-- a -->\n{DOCUMENT}\n```\n```css\n```", f"<!-- a -->\n{DOCUMENT}"),
        (f"```html\n{BARE}\n```\n```html\n<h1>New</h1>\n```", BARE),
        (f"{DOCUMENT}\nFor the title:\n```html\n<h1>New</h1>\n```", DOCUMENT),
        # The tags html, head and body are optional.
        (BARE, BARE),
        (f"Here it is:\n{BARE}\nDone.", BARE),
        (f"Here it is: {BODY}", BODY),
        (BODY, BODY),
        ("<body>\n<h1>cut", "<body>\n<h1>cut"),
        ("Here:\n<body class='a'><p>cut", "<body class='a'><p>cut"),
        (
            f"<title>T</title>\n<style>p {{}}</style>\n{BODY}",
            f"<title>T</title>\n<style>p {{}}</style>\n{BODY}",
        ),
        ("<h1>Welcome</h1>\n<p>Text</p>", "<h1>Welcome</h1>\n<p>Text</p>"),
        (
            "Sure:\n\n<div class='a'>\n  <p>Text</p>\n</div>\n\nDone.",
            "<div class='a'>\n  <p>Text</p>\n</div>",
        ),
        (f"<answer>{BARE}</answer>", BARE),
        (f"<think>{BARE}</think>{BODY}", BODY),
        # A sentence is no page.
        ("Sorry, I cannot", None),
        ("Sorry, I cannot write a <body> for this.", None),
        ("<p> is the tag of a paragraph.", None),
        ("I would use the tags\n<b>bold</b>", None),
        ("2 <3 and 5> 4", None),
        (f"<think>{BODY}", None),
    ],
)
def test_html_of_a_reply(reply: str, html: str | None) -> None:
    assert extract_html(reply) == html


PIECES = ("```", "html", "\n", "<html>", "</html>", "<answer>", "<think>", "<p>", " ", "x")


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_no_reply_fails(reply: str) -> None:
    html = extract_html(reply)
    assert html is None or "<" in html


# --- the bundled pages ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(project: Path) -> Path:
    return project / "rrvf" / "demo_data" / "pages"


@pytest.fixture(scope="module")
def demo(pages: Path) -> dict[str, tuple[Sample, str]]:
    samples = load_samples(pages / "references")
    items = match(samples, load_predictions(pages / "predictions.jsonl"))
    return {sample.id: (sample, reply or "") for sample, reply in items}


def test_every_page_has_one_answer_and_a_line_in_the_readme(
    pages: Path, demo: dict[str, tuple[Sample, str]]
) -> None:
    assert len(demo) == 8
    assert all(reply for _, reply in demo.values())
    readme = (pages / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == list(demo)


def test_the_answers_are_what_the_readme_says(demo: dict[str, tuple[Sample, str]]) -> None:
    html = {name: extract_html(reply) for name, (_, reply) in demo.items()}
    assert [name for name, code in html.items() if code is None] == ["timetable"]
    bodies = {name: shown(code) for name, code in html.items() if code is not None}
    targets = {name: shown(sample.reference_code or "") for name, (sample, _) in demo.items()}
    assert bodies["dashboard"] == []
    assert "<style" in (demo["signup"][0].reference_code or "")
    assert "style" not in (html["signup"] or "")
    for name in ("article", "landing", "pricing", "recipe", "signup"):
        assert bodies[name] == targets[name], name
    words = zip(bodies["gallery"], targets["gallery"], strict=True)
    assert [pair for pair in words if pair[0] != pair[1]] == [("Rocks", "Rock")]


def shown(html: str) -> list[str]:
    """The words on a page."""
    body = re.sub(r"(?s).*</head>|<!--.*?-->|<[^>]*>", " ", html)
    return body.split()


def test_pages_ask_only_for_what_is_answered_locally(demo: dict[str, tuple[Sample, str]]) -> None:
    from rrvf.renderers.web_assets import read_size

    addresses: set[str] = set()
    for sample, reply in demo.values():
        for html in (sample.reference_code or "", reply):
            addresses |= set(re.findall(r"https?://[^\"' )]+", html))
            assert "<script" not in html
    tailwind = {address for address in addresses if "tailwindcss@2.2.19/dist/" in address}
    assert len(tailwind) == 1
    assert {read_size(address) for address in addresses - tailwind} == {
        (336, 224),
        (900, 260),
        (900, 300),
    }
