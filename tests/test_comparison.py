"""Runs compared with one another: every pair, every format, all samples and those of a tag."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import DataError, UserError
from rrvf.tables import render_comparison
from rrvf.tables.paired import compare_runs
from tests import reports
from tests.reports import HOSTILE, Open, item, score, summary, write_run
from tests.test_tables import FORMULAS, Cells, called, make_run

browser, open_page = reports.browser, reports.open_page

FORMS = ("markdown", "latex", "csv", "html")


def change_lines(run: Path, **changes: list[Any]) -> Path:
    """The run, with other fields in the lines of its results."""
    lines = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    for name, values in changes.items():
        for line, value in zip(lines, values, strict=True):
            line[name] = value
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "results.jsonl").write_text(text, encoding="utf-8")
    return run


def three_runs(folder: Path) -> list[Path]:
    """Means 0.5, 0.6 and 0.8; each better than the one before on every sample but the first."""
    return [
        make_run(folder / "base", [0.5, 0.5, 0.5, 0.5]),
        make_run(folder / "sft", [0.5, 0.6, 0.6, 0.7]),
        make_run(folder / "loop", [0.5, 0.9, 0.9, 0.9]),
    ]


def two_kinds(folder: Path, kind: str = "kind") -> list[Path]:
    """Two runs of five samples: two of label 10, one of label 9, two without a label."""
    tags = [{kind: "10"}, {kind: "10"}, {kind: "9"}, {}, {}]
    runs = [
        make_run(folder / "a", [0.5, 0.5, 0.5, 0.5, 0.5]),
        make_run(folder / "b", [0.6, 0.8, 0.1, 0.5, 0.5]),
    ]
    return [change_lines(run, tags=tags) for run in runs]


def rows_of(*runs: Path, tag: str | None = None) -> list[dict[str, str]]:
    text = render_comparison(*runs, form="csv", tag=tag)
    return list(csv.DictReader(io.StringIO(text, newline="")))


# ------------------------------------------------------------------------------- every pair


def test_every_run_is_compared_to_each_before_it(tmp_path: Path) -> None:
    rows = [row for row in rows_of(*three_runs(tmp_path)) if row["metric"] == "text"]
    told = [(row["first"], row["second"], float(row["difference"])) for row in rows]
    assert told == [
        ("base", "sft", pytest.approx(10)),
        ("base", "loop", pytest.approx(30)),
        ("sft", "loop", pytest.approx(20)),
    ]
    assert [float(row["first_figure"]) for row in rows] == [50, 50, 60]
    assert [float(row["second_figure"]) for row in rows] == [60, 80, 80]
    # Three samples differ, all in one direction: 2 of 8 ways are as extreme.
    assert [float(row["p"]) for row in rows] == [0.25, 0.25, 0.25]


def test_holm_is_for_every_pair_and_metric(tmp_path: Path) -> None:
    """Ten samples change, all for the better: p is 2 of 1024 for the six metrics of each pair."""
    runs = [make_run(tmp_path / str(i), [0.1 * i] * 10) for i in range(1, 4)]
    rows = rows_of(*runs)
    assert len(rows) == 18
    for row in rows:
        assert float(row["p"]) == pytest.approx(2 / 1024, rel=1e-5)
        assert float(row["p_holm"]) == pytest.approx(18 * 2 / 1024, rel=1e-5)
    for form in ("markdown", "html", "latex"):
        told = render_comparison(*runs, form=form)
        assert "corrected for 18 p-values" in told
        assert "0.002" in told
        assert "0.035" in told
    assert float(rows_of(*runs[:2])[0]["p_holm"]) == pytest.approx(6 * 2 / 1024, rel=1e-5)


def test_small_p_values_are_bounded_in_print_and_whole_in_csv(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, [value] * 20) for name, value in (("a", 0.1), ("b", 0.4))]
    assert "| <0.001 | <0.001 |" in render_comparison(*runs)
    assert r"\textless{}0.001" in render_comparison(*runs, form="latex")
    assert "&lt;0.001" in render_comparison(*runs, form="html")
    assert {row["p"] for row in rows_of(*runs)} == {"9.999e-05"}  # 1 of 10001


def test_samples_are_those_that_all_runs_hold(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "long", [0.1, 0.2, 0.3, 0.4]),
        make_run(tmp_path / "longer", [0.1, 0.2, 0.3, 0.4, 0.5]),
        make_run(tmp_path / "short", [0.3, 0.4]),
    ]
    told = render_comparison(*runs)
    assert "#### longer against long: 2 samples of chartmimic" in told
    assert "2 samples of long are not in every run" in told
    assert "3 samples of longer are not in every run" in told
    assert "samples of short" not in told
    assert {row["n"] for row in rows_of(*runs)} == {"2"}
    # Of the two that all hold: 0.15 in the first run, 0.35 in the last.
    assert "| Text | 15.00 | 35.00 | +20.00 |" in told


def test_warnings_name_their_pair(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "a", [0.5, 0.6]),
        make_run(tmp_path / "b", [0.5, 0.7]),
        make_run(tmp_path / "c", [0.5, 0.8], mode="fixed"),
    ]
    told = render_comparison(*runs)
    assert "**Not the same setting**: c against a: " in told
    assert "**Not the same setting**: c against b: " in told
    assert "**Not the same setting**: b against a" not in told
    notes = {(row["first"], row["second"]): row["note"] for row in rows_of(*runs)}
    assert notes["a", "b"] == ""
    assert notes["a", "c"].startswith('Not the same setting: mode "official" there, "fixed" here')


def test_each_pair_lists_what_changed_most(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    runs.append(make_run(tmp_path / "same", [0.5, 0.5, 0.5, 0.5]))
    told = render_comparison(*runs)
    assert "Samples that changed most from base to sft, of 3 that changed:" in told
    assert "No sample changed from base to same." in told
    lines = told[told.index("most from sft to loop") :].splitlines()[2:5]
    assert lines[0].startswith("* bar\\_1: +0.30 (execution 0.60 → 0.90")
    assert lines[2].startswith("* bar\\_3: +0.20")


def test_one_common_sample_has_dashes(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, [value]) for name, value in (("a", 0.1), ("b", 0.4))]
    assert "| Text | 10.00 | 40.00 | +30.00 | – | – | – |" in render_comparison(*runs)
    assert "1 sample of chartmimic" in render_comparison(*runs)
    [row] = [row for row in rows_of(*runs) if row["metric"] == "text"]
    assert [row[name] for name in ("low", "high", "p", "p_holm")] == ["", "", "", ""]


def test_episodes_count_as_their_sample(tmp_path: Path) -> None:
    """Two samples of three episodes: 2 of 4 ways to swap are as extreme, not 2 of 64."""
    ids = [f"bar_{i}#{k}" for i in range(2) for k in range(1, 4)]
    tags = [
        {"sample": name.partition("#")[0], "repeat": name[-1], "category": "bar"} for name in ids
    ]
    runs = [
        change_lines(make_run(tmp_path / name, [value] * 6), sample_id=ids, tags=tags)
        for name, value in (("a", 0.2), ("b", 0.5))
    ]
    rows = rows_of(*runs, tag="category")
    assert {(row["group"], row["n"]) for row in rows} == {("", "2"), ("bar", "2")}
    assert {float(row["p"]) for row in rows} == {0.5}
    with pytest.raises(DataError, match=r"the tags there are: 'category'$"):
        compare_runs(runs, "repeat")


# ----------------------------------------------------------------------------------- by tag


def test_groups_have_their_own_figures(tmp_path: Path) -> None:
    rows = [row for row in rows_of(*two_kinds(tmp_path), tag="kind") if row["metric"] == "text"]
    assert [(row["tag"], row["group"], row["n"]) for row in rows] == [
        ("kind", "", "5"),
        ("kind", "9", "1"),
        ("kind", "10", "2"),
    ]
    everything, nine, ten = rows
    # (0.1 + 0.3 - 0.4) / 5, then -0.4 alone, then (0.1 + 0.3) / 2
    assert float(everything["difference"]) == pytest.approx(0)
    assert float(nine["difference"]) == pytest.approx(-40)
    assert float(ten["difference"]) == pytest.approx(20)
    assert (float(ten["low"]), float(ten["high"])) == (10, 30)
    assert [row["p"] for row in rows] == ["1", "", "0.5"]


def test_holm_counts_all_samples_and_every_group(tmp_path: Path) -> None:
    tags = [{"kind": "x"}] * 10 + [{"kind": "y"}] * 10
    runs = [
        change_lines(make_run(tmp_path / name, [value] * 20), tags=tags)
        for name, value in (("a", 0.1), ("b", 0.4))
    ]
    rows = rows_of(*runs, tag="kind")
    by_group = {row["group"]: float(row["p_holm"]) for row in rows}
    # The six metrics of all samples first, 1 of 10001 each; then twelve of 2 of 1024.
    assert by_group[""] == pytest.approx(18 / 10_001, rel=1e-4)
    assert by_group["x"] == by_group["y"] == pytest.approx(12 * 2 / 1024, rel=1e-4)
    assert "corrected for 18 p-values" in render_comparison(*runs, tag="kind")
    assert "all samples and every group" in render_comparison(*runs, tag="kind")


def test_groups_are_shown_with_how_many_they_are(tmp_path: Path) -> None:
    runs = two_kinds(tmp_path)
    markdown = render_comparison(*runs, tag="kind")
    for form in ("markdown", "latex", "html"):
        told = render_comparison(*runs, form=form, tag="kind")
        places = [told.index(text) for text in ("All: 5 samples", "9: 1 sample", "10: 2 samples")]
        assert all(a < b for a, b in pairwise(places))
        assert "2 samples without kind" in told
    assert "#### b against a, by kind: 5 samples of chartmimic" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_a_run_from_before_tags_borrows_them(tmp_path: Path) -> None:
    first, second = two_kinds(tmp_path)
    change_lines(first, tags=[{}, None, "text", 3, {"kind": ["no label"]}])
    groups = [(row["group"], row["n"]) for row in rows_of(first, second, tag="kind")]
    assert set(groups) == {("", "5"), ("9", "1"), ("10", "2")}


def test_numbers_are_labels(tmp_path: Path) -> None:
    runs = [change_lines(run, tags=[{"level": 2}] * 5) for run in two_kinds(tmp_path)]
    assert {row["group"] for row in rows_of(*runs, tag="level")} == {"", "2"}


def test_a_tag_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    runs = two_kinds(tmp_path, "color\nmap")
    with pytest.raises(DataError) as told:
        render_comparison(*runs, tag="category")
    assert str(told.value) == (
        "no sample of these runs has the tag 'category'; the tags there are: 'color\\nmap'"
    )
    bare = [make_run(tmp_path / name, [0.1, 0.2]) for name in ("c", "d")]
    with pytest.raises(DataError, match="they have no tags"):
        render_comparison(*bare, tag="category")


# ------------------------------------------------------------------------------- the formats


def test_every_format_tells_the_same_figures(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    row = rows_of(*runs)[-1]
    low, high = float(row["low"]), float(row["high"])
    figures = ["60.00", "80.00", "+20.00", f"[{low:+.2f}, {high:+.2f}]", "0.250", "1.000"]
    assert row["metric"] == "average"
    assert f"| Average | {' | '.join(figures)} |" in render_comparison(*runs)
    assert f"Average & {' & '.join(figures)} \\\\" in render_comparison(*runs, form="latex")
    cells = "".join(f"<td>{figure}</td>" for figure in ["Average", *figures])
    assert f"<tr>{cells}</tr>" in render_comparison(*runs, form="html")


def test_latex_is_for_booktabs(tmp_path: Path) -> None:
    told = render_comparison(*two_kinds(tmp_path), form="latex", tag="kind")
    assert told.count(r"\begin{table}") == told.count(r"\end{table}") == 2
    assert r"\begin{tabular}{lrrrcrr}" in told
    assert told.count(r"\toprule") == told.count(r"\bottomrule") == 1
    assert told.count(r"\midrule") == 3
    assert r"\multicolumn{7}{l}{\textbf{\textit{10: 2 samples}}} \\" in told
    rows = [line for line in told.splitlines() if " & " in line]
    assert {line.count(" & ") for line in rows} == {6}


@pytest.mark.parametrize("text", [*HOSTILE, "a|b", "*x*", "[x](http://y)", "{\\input{x}}", "%#_$"])
def test_texts_of_runs_stay_text(tmp_path: Path, text: str) -> None:
    """Names of runs, samples, labels, tags, scores and metrics."""
    values = (0.1, 0.3)
    runs = [
        write_run(
            tmp_path / str(i),
            [item(text, tags={text: text}, scores={"execution": score(1), text: score(value)})],
            summary(1, benchmark=text, protocol={"policy": {"policy": text}, text: i},
                    columns=[{"key": text, "title": text, "scorer": text, "scale": 100}]),
        )
        for i, value in enumerate(values)
    ]  # fmt: skip
    html = render_comparison(*runs, form="html", tag=text)
    html.encode()
    assert Cells(html).tags <= {
        *("html", "head", "meta", "title", "style", "body", "figure", "figcaption", "table"),
        *("thead", "tbody", "tr", "th", "td", "b", "ul", "li"),
    }
    markdown = render_comparison(*runs, form="markdown", tag=text)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert not re.search(r"(?<!\\)<(?!0.001)|(?<!\\)\[[^-+]", markdown)
    latex = render_comparison(*runs, form="latex", tag=text)
    assert "\\input" not in latex
    assert not re.search(r"(?<!\\)[%#_$](?!\\(?:Delta|rightarrow))", latex.replace(ARROW, ""))
    cells = rows_of(*runs, tag=text)
    assert {row["n"] for row in cells} == {"1"}
    assert {float(row["difference"]) for row in cells if row["metric"]} == {20.0}


ARROW = r"$\rightarrow$"


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, name: str) -> None:
    first = make_run(tmp_path / "a", [0.1, 0.3], policy={"policy": name})
    second = make_run(tmp_path / "b", [0.1, 0.4], policy={"policy": "b"})
    for row in rows_of(first, second):
        assert row["first"] == "'" + re.sub(r"\s", " ", name)
        assert float(row["difference"]) == pytest.approx(5)


def test_a_browser_shows_the_page_as_it_is_meant(tmp_path: Path, open_page: Open) -> None:
    names = [HOSTILE[0], HOSTILE[1], "w" * 200]
    runs = [
        make_run(tmp_path / str(i), [0.1 * i, 0.3], policy={"policy": name}, finished=False)
        for i, name in enumerate(names)
    ]
    for run in runs:
        change_lines(run, tags=[{"kind": text} for text in HOSTILE[2:4]])
    page = tmp_path / "page.html"
    page.write_text(render_comparison(*runs, form="html", tag="kind"), encoding="utf-8")
    shown = open_page(page).page
    assert shown.evaluate("window.pwned") is None
    assert shown.locator("table").count() == 3
    heads = shown.locator("table").first.locator("thead th").all_inner_texts()
    assert heads[:4] == ["Metric", names[0], names[1], "Difference"]
    groups = shown.locator("table").first.locator("tr.heading").all_inner_texts()
    assert {text.strip() for text in groups} == {
        "All: 2 samples", *(f"{text}: 1 sample" for text in HOSTILE[2:4])
    }  # fmt: skip
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no name is wider"


# --------------------------------------------------------------------------- the command line


def test_compare_takes_several_folders_and_a_format(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    for form in FORMS:
        wanted = render_comparison(*runs, form=form)
        assert called("--compare", *runs, "--format", form)[1] == wanted
        assert called("--format", form, *(w for r in runs for w in ("--compare", r)))[1] == wanted
    assert called("--compare")[0] == 2


def test_by_groups_the_samples(tmp_path: Path) -> None:
    runs = two_kinds(tmp_path)
    wanted = render_comparison(*runs, form="html", tag="kind")
    place = tmp_path / "page.html"
    told = called("--compare", *runs, "--by", "kind", "--format", "html", "--out", place)
    assert told == (0, "")
    assert place.read_text("utf-8") == wanted


def test_by_needs_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"add --compare RUN RUN"):
        called("--runs", make_run(tmp_path / "a", [0.1]), "--by", "kind")


def test_one_run_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name two or more"):
        called("--compare", make_run(tmp_path / "a", [0.1]))


def test_runs_of_episodes_and_of_samples_are_not_compared(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, [0.1, 0.2]) for name in ("a", "b", "c")]
    change_lines(runs[2], tags=[{"sample": "bar_0", "repeat": str(i)} for i in range(2)])
    with pytest.raises(DataError, match="several episodes a sample"):
        called("--compare", *runs)


def test_the_command_as_users_run_it(tmp_path: Path) -> None:
    runs = [str(run) for run in two_kinds(tmp_path)]

    def run_command(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rrvf", "tables", *words]
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", env=environment, cwd=tmp_path
        )

    done = run_command("--compare", *runs, "--by", "kind", "--format", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(csv.DictReader(done.stdout.splitlines()))) == 18
    wrong = run_command("--compare", *runs, "--by", "color")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert len(wrong.stderr.splitlines()) == 1
    assert "'kind'" in wrong.stderr
