"""Tables as text on a terminal: aligned, as wide as it is, nothing cut; Markdown where piped."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.tables import render_comparison, render_others, render_tables
from rrvf.tables.aligned import Text, align
from rrvf.tables.published import read_published
from tests.runs import RRVF, environment
from tests.test_tables import make_run

STYLE = re.compile(r"\x1b\[\d+m")
CELLS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)


def plain(text: str) -> str:
    return STYLE.sub("", text)


def table(width: int) -> list[str]:
    rows = [
        [Text("one"), Text("1.00"), Text("2.00", bold=True)],
        [Text("a long name"), Text("10.00 [9.00, 11.00]"), Text("-")],
    ]
    return align(["Model", "First", "Second score"], rows, width)


def test_names_stand_left_and_figures_right() -> None:
    assert [plain(line) for line in table(80)] == [
        "Model                      First  Second score",
        "──────────────────────────────────────────────",
        "one                         1.00          2.00",
        "a long name  10.00 [9.00, 11.00]             -",
    ]


def test_a_narrow_terminal_gets_the_same_words_in_more_lines() -> None:
    lines = [plain(line) for line in table(27)]
    assert lines == [
        "Model         First  Second",
        "                      score",
        "───────────────────────────",
        "one            1.00    2.00",
        "a long name   10.00       -",
        "             [9.00,",
        "             11.00]",
    ]


def test_words_stay_whole_where_there_is_no_room() -> None:
    assert all("Second" in line or "score" in line for line in map(plain, table(5)[:2]))
    assert "[9.00," in plain("\n".join(table(5)))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), st.integers(1, 60))
def test_every_word_is_there_at_any_width(rows: list[tuple[str, ...]], width: int) -> None:
    lines = align(["A", "B", "C"], [list(map(Text, row)) for row in rows], width)
    words = " ".join(map(plain, lines)).split()
    assert sorted(words) == sorted(["A", "B", "C", words[3], *(x for row in rows for x in row)])


def test_the_best_figure_is_bold_and_the_second_underlined(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = render_tables("chartmimic", "text")
    assert "\x1b[1m97.83\x1b[0m" in text
    assert "\x1b[4m71.67\x1b[0m" in text


@pytest.mark.parametrize("columns", [100, 140])
def test_a_published_table_fits_and_says_all(monkeypatch: Any, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = plain(render_tables("chartmimic", "text"))
    assert max(map(len, text.splitlines())) <= columns
    for row in read_published("chartmimic").rows:
        assert re.search(
            r"\s+".join(map(re.escape, [*row.label.split(), *row.cells.values()])), text
        )
    assert "by the authors from the benchmark's own publication." in " ".join(text.split())


def test_names_from_outside_do_not_steer_the_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\r\x9b1m"
    runs = [make_run(tmp_path / f"{name}{hostile}", [0.5, 0.9]) for name in ("a", "b")]
    for text in (
        render_tables("chartmimic", "text", runs),
        render_comparison(*runs, form="text"),
    ):
        assert "[2J" in text
        assert all(line.isprintable() for line in plain(text).split("\n"))


def test_the_tables_of_others_are_there(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert re.search(r"^PrismaCoder-9B +70\.51 +91\.54$", render_others(form="text"), re.MULTILINE)


def test_a_comparison_has_its_figures_remarks_and_changes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    runs = [make_run(tmp_path / "a", [0.5, 0.5]), make_run(tmp_path / "b", [0.5, 0.9])]
    text = plain(render_comparison(*runs, form="text"))
    assert "b against a: 2 samples of chartmimic" in text
    assert re.search(r"^Text +50\.00 +70\.00 +\+20\.00 ", text, re.MULTILINE)
    assert "* bar_1: " in text
    assert "Paired bootstrap over samples" in text


# ---------------------------------------------------------------------------- the command


def run_on_terminal(*words: str) -> str:
    """What the command writes where its output is a terminal."""
    reader, writer = pty.openpty()
    env = environment(COLUMNS="120", TERM="xterm")
    with subprocess.Popen([RRVF, *words], stdout=writer, env=env) as process:
        os.close(writer)
        parts: list[bytes] = []
        try:
            while part := os.read(reader, 65536):
                parts.append(part)
        except OSError:  # how a terminal whose other end is closed says so
            pass
        os.close(reader)
    assert process.returncode == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


def run_piped(*words: str) -> str:
    return subprocess.run([RRVF, *words], capture_output=True, text=True, check=True).stdout


def test_a_terminal_gets_text_and_a_pipe_markdown(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run_on_terminal("tables", "websight") == render_tables("websight", "text")
    assert run_piped("tables", "websight") == render_tables("websight", "markdown")


def test_the_format_that_is_asked_for_is_written(tmp_path: Path) -> None:
    markdown = render_tables("websight", "markdown")
    assert run_on_terminal("tables", "websight", "--format", "markdown") == markdown
    assert plain(run_piped("tables", "websight", "--format", "text")).startswith("Results on")
    out = tmp_path / "table.md"
    assert run_on_terminal("tables", "websight", "--out", str(out)) == ""
    assert out.read_text() == markdown
