"""Figures of runs: what is drawn from what, by looking into the figures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrvf.errors import DataError
from rrvf.figures import (
    COLORS,
    MOST_SERIES,
    count_failures,
    draw_by_failure,
    draw_by_metric,
    draw_by_tag,
    draw_by_turn,
    write_figures,
)
from rrvf.tables import read_runs
from rrvf.tables.published import read_published
from tests.reports import item, summary, write_run

CHARTMIMIC = read_published("chartmimic")


def turns(*text: float | None) -> dict[str, Any]:
    rows = [
        {"turn": i, "n": 2, "n_carried": 2, "metrics": {},
         "carried": {} if value is None else {"text": value}}
        for i, value in enumerate(text, start=1)
    ]  # fmt: skip
    return {"n": 2, "by_turn": rows}


def full_run(folder: Path, **changes: Any) -> Path:
    lines = [
        item("bar_1", tags={"category": "bar", "difficulty": "10"}),
        item("bar_2", "code_error", error="NameError: name 'x' is not defined (line 3)",
             tags={"category": "bar", "difficulty": "9"}),
        item("pie_1", "timeout", error="took longer than 60 s", tags={"category": "pie"}),
    ]  # fmt: skip
    return write_run(folder, lines, summary(3, **({"episodes": turns(20.0, 30.0)} | changes)))


def test_every_figure_comes_as_svg_and_png(tmp_path: Path) -> None:
    paths = write_figures([full_run(tmp_path / "run")], tmp_path / "out")
    names = {f"chartmimic-{name}" for name in
             ("metrics", "turns", "category", "difficulty", "failures")}  # fmt: skip
    assert {path.stem for path in paths} == names
    assert {path.suffix for path in paths} == {".svg", ".png"}
    for path in paths:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag.endswith("svg")
        else:
            with Image.open(path) as picture:
                assert min(picture.size) > 100
                assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 3


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    run = full_run(tmp_path / "run")
    first, second = (write_figures([run], tmp_path / name) for name in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_a_run_does_not_hold_is_not_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [item("a")], summary(1))
    assert {path.stem for path in write_figures([run], tmp_path / "out")} == {"chartmimic-metrics"}


def test_bars_are_the_figures_of_the_table(tmp_path: Path) -> None:
    runs = read_runs([full_run(tmp_path / "a"), full_run(tmp_path / "b")])
    figure = draw_by_metric(CHARTMIMIC, runs)
    bars = [bar for bar in figure.axes[0].patches if bar.get_height() > 0]
    heights = [round(bar.get_height(), 2) for bar in bars]
    assert heights == [90.98, 70.9, 84.3, 71.82, 61.1] * 2
    # The judge's columns were not measured.
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["Exec rate", "Text", "Layout", "Type", "Color"]


def test_a_rating_is_drawn_on_the_scale_of_the_others(tmp_path: Path) -> None:
    metrics = {"exec_rate": 90.0, "text": 40.0, "gpt": 4.5, "text_pass": 50.0, "gpt_pass": 5.0}
    table = summary(1, benchmark="plot2code", metrics=metrics)
    runs = read_runs([write_run(tmp_path / "run", [item("a")], table)])
    figure = draw_by_metric(read_published("plot2code"), runs)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [90, 40, 45, 50, 50]
    assert "GPT-4o Score ×10" in [x.get_text() for x in figure.axes[0].get_xticklabels()]


def test_lines_are_what_all_episodes_had_after_a_turn(tmp_path: Path) -> None:
    run = full_run(tmp_path / "run", episodes=turns(20.0, None, 35.0))
    figure = draw_by_turn(CHARTMIMIC, read_runs([run]))
    [axes] = figure.axes
    [line] = axes.get_lines()
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(1, 20), (3, 35)]
    assert axes.get_title() == "Text"


def test_points_are_means_by_label(tmp_path: Path) -> None:
    figure = draw_by_tag(CHARTMIMIC, read_runs([full_run(tmp_path / "run")]), "category")
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bar (2)", "pie (1)"]
    [points] = axes.get_lines()
    # bar: one answer scored 0.5 everywhere, one failed; pie: failed.
    assert list(points.get_xdata()) == [25.0, 0.0]
    by_level = draw_by_tag(CHARTMIMIC, read_runs([tmp_path / "run"]), "difficulty")
    assert [x.get_text() for x in by_level.axes[0].get_yticklabels()] == ["9 (1)", "10 (1)"]


def test_failures_are_counted_by_kind(tmp_path: Path) -> None:
    [run] = read_runs([full_run(tmp_path / "run")])
    assert count_failures(run) == {"NameError": 1, "timeout": 1}
    figure = draw_by_failure([run])
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([100 / 3] * 2)


def test_rare_kinds_are_summed_up(tmp_path: Path) -> None:
    lines = [item(f"a{i}", "code_error", error=f"Odd{i}Error: x") for i in range(12)]
    [run] = read_runs([write_run(tmp_path / "run", lines, summary(12))])
    figure = draw_by_failure([run])
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert len(widths) == len(COLORS)
    assert sum(widths) == pytest.approx(100)


def test_runs_of_other_settings_are_marked(tmp_path: Path) -> None:
    runs = read_runs([
        full_run(tmp_path / "a"),
        full_run(tmp_path / "b", protocol={"mode": "fixed", "benchmark": "chartmimic"}),
    ])  # fmt: skip
    assert "not one setting" in draw_by_metric(CHARTMIMIC, runs).axes[0].get_title(loc="left")
    single = draw_by_metric(CHARTMIMIC, runs[:1])
    assert "not one setting" not in single.axes[0].get_title(loc="left")


def test_colours_are_distinct_and_too_many_runs_refused(tmp_path: Path) -> None:
    assert len(set(COLORS)) == MOST_SERIES
    many = [full_run(tmp_path / f"run{i}") for i in range(MOST_SERIES + 1)]
    with pytest.raises(DataError, match="cannot be told apart"):
        write_figures(many, tmp_path / "out")


def test_a_name_with_dollars_is_no_formula(tmp_path: Path) -> None:
    run = full_run(tmp_path / "run")
    table = json.loads((run / "summary.json").read_text())
    table["protocol"]["policy"] = {"policy": r"$\frac{"}
    (run / "summary.json").write_text(json.dumps(table))
    assert write_figures([run], tmp_path / "out")
