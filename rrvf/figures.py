"""Figures of measured runs: by metric, by turn and by label, the loop, and reasons for failures.

The colours are those of Okabe and Ito, which people with any common colour blindness can tell
apart. Every series also has its own marker or hatch. The output is SVG and PNG; the same runs give
the same files.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rrvf.bootstrap import mean_of
from rrvf.errors import DataError, SetupError, UserError
from rrvf.loop_effect import has_turns
from rrvf.report.values import Json, mapping, number
from rrvf.tables.labels import natural_key
from rrvf.tables.measured import Measured, read_runs
from rrvf.tables.published import PublishedTable
from rrvf.types import STATUSES, Column

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++", "oo")
TAGS = ("category", "difficulty")
"""Labels of samples that get a figure where a run has them."""

MOST_SERIES = len(COLORS)
MOST_KINDS = 7
"""Kinds of failure that are told apart; rarer ones are summed up."""

_STYLE: Mapping[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "rrvf",
    "text.parse_math": False,  # names of runs are no formulas
}


def write_figures(folders: Sequence[Path], out: Path) -> list[Path]:
    """Draw the figures of some runs; those for which the runs hold nothing are left out.

    Args:
        folders: Of the runs; those of one benchmark share their figures.
        out: Folder for ``<benchmark>-<figure>.svg`` and ``.png``; made where it is missing.

    Returns:
        The files written.

    Raises:
        DataError: No run, more than can be told apart, or a folder that holds none.
        SetupError: matplotlib is missing.
        UserError: ``out`` cannot be written.
    """
    if not folders:
        raise DataError("figures are drawn of runs; name some with --runs")
    by_benchmark: dict[str, list[Measured]] = {}
    for run in read_runs(folders):
        by_benchmark.setdefault(run.benchmark, []).append(run)
    for benchmark, runs in by_benchmark.items():
        if len(runs) > MOST_SERIES:
            raise DataError(
                f"{len(runs)} runs of {benchmark} cannot be told apart in one figure; "
                f"name {MOST_SERIES} at most"
            )
    try:
        mpl: Any = importlib.import_module("matplotlib")
    except ImportError as error:
        raise SetupError("figures need matplotlib: pip install 'rrvf[chart]'") from error
    paths: list[Path] = []
    with mpl.rc_context(dict(_STYLE)):
        for benchmark, runs in by_benchmark.items():
            for name, figure in _draw_figures(runs[0].table(), runs):
                paths += _save(figure, out, f"{_file_name(benchmark)}-{name}")
    return paths


def _file_name(benchmark: str) -> str:
    return re.sub(r"[^\w.-]+", "-", benchmark)


def _draw_figures(table: PublishedTable, runs: Sequence[Measured]) -> Iterator[tuple[str, Any]]:
    if any(run.metrics.get(column.key) is not None for run in runs for column in table.columns):
        yield "metrics", draw_by_metric(table, runs)
    if any(_read_turns(run) for run in runs):
        yield "turns", draw_by_turn(table, runs)
    if any(has_turns(run.loop) for run in runs):
        yield "loop", draw_loop(table, [run for run in runs if has_turns(run.loop)])
    for tag in TAGS:
        if any(_group_by_tag(run, tag) for run in runs):
            yield tag, draw_by_tag(table, runs, tag)
    if any(count_failures(run) for run in runs):
        yield "failures", draw_by_failure(runs)


def _save(figure: Any, out: Path, name: str) -> list[Path]:
    paths = [out / f"{name}.svg", out / f"{name}.png"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Without a date: the same runs give the same file.
        figure.savefig(paths[0], metadata={"Date": None}, bbox_inches="tight")
        figure.savefig(paths[1], dpi=160, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; name another folder") from error
    return paths


def _create_figure(width: float, height: float, n_axes: int = 1) -> tuple[Any, Any]:
    """A figure without pyplot, which would keep it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, n_axes, squeeze=False)[0]


def _label(run: Measured) -> str:
    name = run.name if len(run.name) <= 40 else run.name[:39] + "…"
    return f"{name} ({len(run.samples.ids)} samples{'' if run.finished else ', unfinished'})"


def _caveat(runs: Sequence[Measured]) -> str:
    """Bars side by side look comparable."""
    is_same = all(run.setting == runs[0].setting for run in runs)
    return "" if is_same else "\nnot one setting: not to be ranked"


# -------------------------------------------------------------------------------- by metric


def draw_by_metric(table: PublishedTable, runs: Sequence[Measured]) -> Any:
    """Grouped bars, with intervals; a rating from 1 to 10 is drawn ten times as high."""
    columns = [c for c in table.columns if any(run.metrics.get(c.key) is not None for run in runs)]
    scales = [_find_scale(table, column.key) for column in columns]
    figure, [axes] = _create_figure(max(5.0, 1.1 * len(columns) + 1), 3.4)
    width = 0.8 / len(runs)
    for i, run in enumerate(runs):
        for j, (column, scale) in enumerate(zip(columns, scales, strict=True)):
            value = run.metrics.get(column.key)
            if value is None:
                continue
            x = j + (i - (len(runs) - 1) / 2) * width
            axes.bar(
                x, value * scale, width * 0.92, color=COLORS[i], hatch=HATCHES[i], edgecolor="white"
            )
            if bounds := run.intervals.get(column.key):
                ends = [
                    [max(0.0, value - bounds.low) * scale],
                    [max(0.0, bounds.high - value) * scale],
                ]
                axes.errorbar(x, value * scale, ends, color="#222222", linewidth=0.9, capsize=2)
    _add_series_legend(axes, runs)
    labels = [f"{c.label} {c.sub}".strip() for c in columns]
    tick_labels = [
        f"{label} ×10" if scale > 1 else label for label, scale in zip(labels, scales, strict=True)
    ]
    axes.set_xticks(range(len(columns)), tick_labels)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 100)
    axes.set_ylabel("score")
    axes.set_title(
        f"{table.benchmark}: scores by metric, 95 % intervals{_caveat(runs)}", loc="left"
    )
    return figure


def _find_scale(table: PublishedTable, key: str) -> float:
    """What brings a figure to 0..100: ratings may go up to 10."""
    return 100 / next(column.most for column in table.columns if column.key == key)


def _add_series_legend(axes: Any, runs: Sequence[Measured]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=COLORS[i], hatch=HATCHES[i], edgecolor="white", label=_label(run))
        for i, run in enumerate(runs)
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -0.12), frameon=False, borderpad=0
    )


# ---------------------------------------------------------------------------------- by turn


def draw_by_turn(table: PublishedTable, runs: Sequence[Measured]) -> Any:
    """Each metric after each turn: what all episodes had by then, one line a run."""
    series = [(i, run, _read_turns(run)) for i, run in enumerate(runs) if _read_turns(run)]
    columns = [
        column
        for column in table.columns
        if any(
            _read_carried(turn, column.key) is not None for _, _, turns in series for turn in turns
        )
    ]
    figure, panels = _create_figure(max(3.2, 2.1 * len(columns)), 2.9, max(1, len(columns)))
    for axes, column in zip(panels, columns, strict=False):
        for i, run, turns in series:
            scores = [(turn["turn"], _read_carried(turn, column.key)) for turn in turns]
            points = [(x, y * _find_scale(table, column.key)) for x, y in scores if y is not None]
            axes.plot(
                *zip(*points, strict=True), color=COLORS[i], marker=MARKERS[i], label=_label(run)
            )
        axes.set_title(f"{column.label} {column.sub}".strip(), fontsize=9)
        axes.set_xlabel("turn")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(0, 102)
        axes.set_yticks(range(0, 101, 20))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False)
    figure.suptitle(
        f"{table.benchmark}: scores after each turn, over all episodes",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    return figure


def _read_turns(run: Measured) -> list[Json]:
    turns = mapping(mapping(run.run.summary).get("episodes")).get("by_turn")
    entries = cast("list[Any]", turns) if isinstance(turns, list) else []
    return [turn for entry in entries if number((turn := mapping(entry)).get("turn")) is not None]


def _read_carried(turn: Json, key: str) -> float | None:
    return number(mapping(turn.get("carried")).get(key))


# ------------------------------------------------------------------------------------- loop

LOOP_PANELS: Mapping[str, Mapping[str, str]] = {
    "points": {"first": "first", "last": "last", "oracle": "best"},
    "percent": {
        "same_code": "same\ncode",
        "same_picture": "same\npicture",
        "recovery": "recovered",
        "breakage": "broken",
        "collapsed": "collapsed",
    },
}
"""Unit -> measures, with their names below the bars; see :mod:`rrvf.loop_effect`."""


def draw_loop(table: PublishedTable, runs: Sequence[Measured]) -> Any:
    """Whether the loop helped: its states in points, and what its turns did in percent."""
    figure, panels = _create_figure(8.4, 3.4, len(LOOP_PANELS))
    width = 0.8 / len(runs)
    for axes, (unit, names) in zip(panels, LOOP_PANELS.items(), strict=True):
        for i, run in enumerate(runs):
            for j, name in enumerate(names):
                measure = mapping(mapping(run.loop.get("measures")).get(name))
                _add_bar(axes, j + (i - (len(runs) - 1) / 2) * width, width, i, measure)
        axes.set_xticks(range(len(names)), names.values(), fontsize=8)
        axes.set_ylim(0, 102)
        axes.set_ylabel(unit)
        axes.grid(visible=False, axis="x")
    panels[0].set_title(f"{table.benchmark}: does the loop help? 95 % intervals", loc="left")
    _add_series_legend(panels[0], runs)
    return figure


def _add_bar(axes: Any, x: float, width: float, series: int, measure: Json) -> None:
    """One measure with its interval, where it has one."""
    value = number(measure.get("value"))
    if value is None:
        return
    style = {"color": COLORS[series], "hatch": HATCHES[series], "edgecolor": "white"}
    axes.bar(x, value, width * 0.92, **style)
    low, high = number(measure.get("low")), number(measure.get("high"))
    if low is not None and high is not None:
        ends = [[max(0.0, value - low)], [max(0.0, high - value)]]
        axes.errorbar(x, value, ends, color="#222222", linewidth=0.9, capsize=2)


# ----------------------------------------------------------------------------------- by tag


def draw_by_tag(table: PublishedTable, runs: Sequence[Measured], tag: str) -> Any:
    """A row a label: the mean of the scores of its samples, failures as 0, one marker a run."""
    scorers = _find_scorers(table, runs)
    means = [_average_by_tag(run, scorers, tag) for run in runs]
    names = sorted({name for by_label in means for name in by_label}, key=natural_key)
    figure, [axes] = _create_figure(6.2, 0.24 * len(names) + 1.2)
    for i, (run, by_label) in enumerate(zip(runs, means, strict=True)):
        rows = [(by_label[name][0], y) for y, name in enumerate(names) if name in by_label]
        if rows:
            style = {"color": COLORS[i], "marker": MARKERS[i], "linestyle": ""}
            axes.plot(*zip(*rows, strict=True), label=_label(run), **style)
    counts = [max(by_label[name][1] for by_label in means if name in by_label) for name in names]
    axes.set_yticks(
        range(len(names)), [f"{n} ({count})" for n, count in zip(names, counts, strict=True)]
    )
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel(f"mean of {', '.join(scorers)}; in brackets: samples")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.set_title(f"{table.benchmark}: scores by {tag}{_caveat(runs)}", loc="left")
    return figure


def _group_by_tag(run: Measured, tag: str) -> dict[str, list[int]]:
    """Label -> places of its samples."""
    places: dict[str, list[int]] = {}
    for place, line in enumerate(run.run.lines):
        label = mapping(line.get("tags")).get(tag)
        if isinstance(label, str):
            places.setdefault(label[:40], []).append(place)
    return places


def _find_scorers(table: PublishedTable, runs: Sequence[Measured]) -> list[str]:
    """Scores that every run has, without the judge's and the mere fact of execution."""
    names = [c.key for c in table.columns if c.primary and c.key not in ("gpt", "exec_rate")]
    return [name for name in names if all(name in run.samples.values for run in runs)]


def _average_by_tag(
    run: Measured, scorers: Sequence[str], tag: str
) -> dict[str, tuple[float, int]]:
    means: dict[str, tuple[float, int]] = {}
    for label, places in _group_by_tag(run, tag).items():
        part = run.samples.at(places)
        values = [mean_of(Column(name, name, name), part) for name in scorers]
        numbers = [value for value in values if value is not None]
        if numbers:
            means[label] = (sum(numbers) / len(numbers), len(places))
    return means


# ------------------------------------------------------------------------------- by failure


def draw_by_failure(runs: Sequence[Measured]) -> Any:
    """A bar a run: the share of its samples that failed, by kind."""
    counts = [count_failures(run) for run in runs]
    total = sum(counts, Counter[str]())
    kinds = [kind for kind, _ in total.most_common(MOST_KINDS)]
    has_rest = len(total) > MOST_KINDS
    figure, [axes] = _create_figure(6.4, 0.45 * len(runs) + 1.6)
    for y, (run, counter) in enumerate(zip(runs, counts, strict=True)):
        bars = {kind: counter[kind] for kind in kinds}
        if has_rest:
            bars["other"] = sum(counter.values()) - sum(bars.values())
        offset = 0.0
        for i, count in enumerate(bars.values()):
            share = 100 * count / max(1, len(run.samples.ids))
            axes.barh(
                y,
                share,
                left=offset,
                height=0.6,
                color=COLORS[i],
                hatch=HATCHES[i],
                edgecolor="white",
            )
            offset += share
    _add_kinds_legend(axes, [*kinds, *(["other"] if has_rest else [])], total)
    axes.set_yticks(range(len(runs)), [_label(run) for run in runs])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("% of samples")
    axes.set_title(f"{runs[0].benchmark}: answers that gave no picture, by kind", loc="left")
    return figure


def count_failures(run: Measured) -> Counter[str]:
    """Kind -> number of samples: the exception where the code raised one, else the status."""
    kinds: Counter[str] = Counter()
    for line in run.run.lines:
        status = line.get("status")
        if status in STATUSES and status != "ok":
            kinds[_classify(status, line.get("error"))] += 1
    return kinds


def _classify(status: str, error: object) -> str:
    match = re.match(r"[A-Za-z_]\w{0,40}(?=:|$)", error) if isinstance(error, str) else None
    if status == "code_error" and match and match[0].endswith(("Error", "Exception", "Exit")):
        return match[0]
    return status.replace("_", " ")


def _add_kinds_legend(axes: Any, kinds: Sequence[str], total: Mapping[str, int]) -> None:
    from matplotlib.patches import Patch

    n_shown = sum(total[kind] for kind in kinds if kind in total)
    counts = {**total, "other": sum(total.values()) - n_shown}
    handles = [
        Patch(
            facecolor=COLORS[i],
            hatch=HATCHES[i],
            edgecolor="white",
            label=f"{kind}: {counts[kind]}",
        )
        for i, kind in enumerate(kinds)
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
