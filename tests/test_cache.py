"""The cache of renderings: what was stored comes back whole or not at all."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rrvf.errors import SetupError
from rrvf.renderers import cache
from rrvf.renderers.cache import write_atomically
from rrvf.types import Color, Drawing, Elements, LayoutCell, Rendering
from tests.runs import FakeRenderer

KEY = "ab" + "0" * 62
ELEMENTS = Elements(
    texts=("a", "", "\ud800 é\n"),
    chart_types={"bar": 2, "plot": 1},
    colors=(Color("bar", "#FF0000"), Color("imshow", "viridis")),
    layout=(LayoutCell(1, 2, 0, 0, 1, 1),),
    n_axes=2,
)
RENDERING = Rendering(
    official=Drawing("ok", None, complete=True, elements=ELEMENTS),
    fixed=Drawing("code_error", "line 3: NameError"),
    seconds=0.5,
    cpu_seconds=0.25,
    png=b"\x89PNG\x00\xff",
    judge_png=b"",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry_file(folder: Path) -> Path:
    [file] = folder.rglob("*.json")
    return file


def test_what_was_stored_comes_back() -> None:
    cache.store(KEY, RENDERING)
    assert cache.load(KEY) == RENDERING
    assert cache.load("cd" + KEY[2:]) is None


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_torn_entry_counts_as_absent(folder: Path, length: int) -> None:
    cache.store(KEY, RENDERING)
    file = entry_file(folder)
    file.write_bytes(file.read_bytes()[:length])
    assert cache.load(KEY) is None
    cache.store(KEY, RENDERING)
    assert cache.load(KEY) == RENDERING


@pytest.mark.parametrize(
    "garbage", [b"[]", b"5", b"null", b'"official"', b"{}", b"\xff\x00", b"[" * 100_000]
)
def test_a_file_that_is_no_entry_counts_as_absent(folder: Path, garbage: bytes) -> None:
    cache.store(KEY, RENDERING)
    entry_file(folder).write_bytes(garbage)
    assert cache.load(KEY) is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("png", "not base64!"),
        ("png", 7),
        ("official", None),
        ("official", {"status": "ok"}),
        ("official", {"status": "great", "error": None, "complete": True, "elements": {}}),
    ],
)
def test_an_entry_with_a_wrong_part_counts_as_absent(
    folder: Path, part: str, value: object
) -> None:
    cache.store(KEY, RENDERING)
    file = entry_file(folder)
    file.write_text(json.dumps({**json.loads(file.read_text()), part: value}))
    assert cache.load(KEY) is None


@pytest.mark.parametrize("field", ["texts", "chart_types", "colors", "layout"])
def test_elements_of_a_wrong_kind_count_as_absent(folder: Path, field: str) -> None:
    cache.store(KEY, RENDERING)
    file = entry_file(folder)
    entry = json.loads(file.read_text())
    entry["official"]["elements"][field] = 5
    file.write_text(json.dumps(entry))
    assert cache.load(KEY) is None


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRVF_CACHE_DIR", "/dev/null/below")
    cache.store(KEY, RENDERING)
    assert cache.load(KEY) is None


def test_an_entry_that_is_a_folder_is_no_error(folder: Path) -> None:
    cache.store(KEY, RENDERING)
    file = entry_file(folder)
    file.unlink()
    file.mkdir()
    assert cache.load(KEY) is None
    cache.store(KEY, RENDERING)


def test_readers_never_see_half_an_entry() -> None:
    large = [replace(RENDERING, png=bytes([n]) * 300_000) for n in range(3)]
    cache.store(KEY, large[0])
    done = threading.Event()

    def write(rendering: Rendering) -> None:
        while not done.is_set():
            cache.store(KEY, rendering)

    writers = [threading.Thread(target=write, args=(rendering,)) for rendering in large]
    for writer in writers:
        writer.start()
    try:
        seen = [cache.load(KEY) for _ in range(60)]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert all(rendering in large for rendering in seen)


def test_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write_atomically(folder / "a", b"one")
    write_atomically(folder / "a", b"two")
    (folder / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(folder / "b", b"three")
    assert {path.name for path in folder.iterdir()} == {"a", "b"}
    assert (folder / "a").read_bytes() == b"two"


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RRVF_CACHE_DIR": "/a/b"}, "/a/b"),
        ({"RRVF_CACHE_DIR": "b"}, "{here}/b"),
        ({"RRVF_CACHE_DIR": "~/b"}, "/home/me/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/rrvf"),
        ({}, "/home/me/.cache/rrvf"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("RRVF_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    # Absolute, since the chart server's current folder is another one.
    assert str(cache.folder()) == expected.format(here=Path.cwd())


def test_no_home_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RRVF_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "~no_such_user/cache")
    with pytest.raises(SetupError, match="no home folder to keep a cache in; set RRVF_CACHE_DIR"):
        cache.folder()


# ------------------------------------------------------------------- references and their key


def test_a_reference_is_drawn_once() -> None:
    first, second = FakeRenderer(), FakeRenderer()
    assert first.render_reference("ok a") == second.render_reference("ok a")
    assert (first.drawn, second.drawn) == (["ok a"], [])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("versions", {"matplotlib": "3.9.3"}),
        ("versions", {"matplotlib": "3.9.4", "pandas": "2.0"}),
        ("python", "3.12.0"),
        ("fonts_hash", "g"),
    ],
)
def test_whatever_moves_a_drawing_is_part_of_the_key(setting: str, value: object) -> None:
    FakeRenderer().render_reference("ok a")
    other = FakeRenderer()
    other.environment = {**other.environment, setting: value}
    other.render_reference("ok a")
    assert other.drawn == ["ok a"]


def test_other_code_is_another_reference() -> None:
    renderer = FakeRenderer()
    assert renderer.render_reference("ok a") != renderer.render_reference("ok b")


def test_another_recorder_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRenderer().render_reference("ok a")
    monkeypatch.setattr("rrvf.renderers.chart.source_hash", lambda: "changed")
    other = FakeRenderer()
    other.render_reference("ok a")
    assert other.drawn == ["ok a"]


@pytest.mark.parametrize(
    ("code", "times"), [("ok a", 1), ("code_error", 1), ("timeout", 2), ("out_of_memory", 2)]
)
def test_a_failure_that_may_pass_is_not_kept(code: str, times: int) -> None:
    renderer = FakeRenderer()
    renderer.render_reference(code)
    renderer.render_reference(code)
    assert len(renderer.drawn) == times
