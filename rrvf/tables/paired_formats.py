"""A comparison of runs as text, in Markdown, LaTeX, CSV or HTML.

Names of runs, samples, labels and metrics are untrusted: every format escapes them.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rrvf.bootstrap import LEVEL, RESAMPLES, SEED
from rrvf.errors import DataError
from rrvf.report.values import count_of
from rrvf.tables.aligned import Line, Text, align, wrap_note, wrap_title
from rrvf.tables.formats import (
    csv_cell,
    html_document,
    html_text,
    latex_row,
    latex_text,
    markdown_line,
)
from rrvf.tables.paired import Change, Comparison, Difference, Group, Pair, compare_runs
from rrvf.tables.sheet import MISSING

_MARKUP = "\\`|<>*_[]~#"
"""What Markdown could take for itself."""

_LEAST = 0.001
"""P-values below it are not told more exactly."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark below the tables.

    Attributes:
        warning: What a reader must not miss; it stands before the text.
    """

    text: str
    warning: str = ""


def render_comparison(*folders: Path, form: str = "markdown", tag: str | None = None) -> str:
    """The comparison of run folders.

    Args:
        folders: Of two runs or more.
        form: ``text``, ``markdown``, ``latex``, ``csv`` or ``html``.
        tag: Of the samples; they are compared label by label as well.

    Raises:
        DataError: No such format; else see :func:`rrvf.tables.paired.compare_runs`.
    """
    if form not in FORMATS:
        raise DataError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    return FORMATS[form](compare_runs(folders, tag))


# ------------------------------------------------------------------------ what all of them say


def _title(comparison: Comparison, pair: Pair) -> str:
    by_tag = "" if comparison.tag is None else f", by {comparison.tag}"
    samples = count_of(comparison.n, "sample")
    return f"{_name(pair)}{by_tag}: {samples} of {comparison.benchmark}"


def _name(pair: Pair) -> str:
    return f"{pair.second.name} against {pair.first.name}"


def _heads(pair: Pair) -> list[str]:
    interval = f"{LEVEL:.0%} interval"
    return ["Metric", pair.first.name, pair.second.name, "Difference", interval, "p", "p (Holm)"]


def _heading(group: Group) -> str:
    label = "All" if group.label is None else group.label
    return f"{label}: {count_of(group.n, 'sample')}"


def _figures(entry: Difference) -> list[str]:
    bounds = entry.interval
    return [
        f"{entry.first:.2f}",
        f"{entry.second:.2f}",
        f"{entry.value:+.2f}",
        f"[{bounds.low:+.2f}, {bounds.high:+.2f}]" if bounds else MISSING,
        _probability(entry.p),
        _probability(entry.holm),
    ]


def _probability(p: float | None) -> str:
    if p is None:
        return MISSING
    return f"<{_LEAST}" if p < _LEAST else f"{p:.3f}"


def _remarks(comparison: Comparison) -> Iterator[Remark]:
    yield Remark(f"Paired bootstrap over samples, {RESAMPLES} resamples, seed {SEED}.")
    yield Remark(
        "p: two-sided, from swapping both runs' outcomes of samples; every way to swap those that "
        f"differ, or {comparison.n_swaps} at random where there are more (seed {SEED})."
    )
    groups = "" if comparison.tag is None else ", all samples and every group"
    yield Remark(
        f"p (Holm): corrected for {count_of(comparison.n_tests, 'p-value')}, all of this "
        f"comparison: every pair of runs and every metric{groups}."
    )
    for run, n in zip(comparison.runs, comparison.alone, strict=True):
        if n:
            yield Remark(
                f"{count_of(n, 'sample')} of {run.name} {'is' if n == 1 else 'are'} not in every "
                f"run, and left out."
            )
        if not run.finished:
            yield Remark(f"{run.name} is unfinished.")
    if comparison.n_untagged:
        yield Remark(f"{count_of(comparison.n_untagged, 'sample')} without {comparison.tag}.")
    for pair in comparison.pairs:
        yield from _remarks_on(pair, "" if len(comparison.pairs) == 1 else f"{_name(pair)}: ")


def _remarks_on(pair: Pair, prefix: str = "") -> Iterator[Remark]:
    if pair.n_other_pictures:
        yield Remark(
            f"{prefix}{pair.n_other_pictures} of these samples have another picture of the "
            "reference in each run.",
            "Perhaps not the same data",
        )
    if pair.unlike:
        yield Remark(f"{prefix}{'; '.join(pair.unlike)}.", "Not the same setting")


def _tell_changes(comparison: Comparison, pair: Pair) -> str:
    """What stands before the samples that changed most."""
    names = f" from {pair.first.name} to {pair.second.name}"
    names = "" if len(comparison.pairs) == 1 else names
    if not pair.changes:
        return f"No sample changed{names}."
    return f"Samples that changed most{names}, of {pair.n_changed} that changed:"


def _tell_change(change: Change) -> str:
    values = ", ".join(f"{n} {a:.2f} → {b:.2f}" for n, (a, b) in change.values.items())
    return f"{change.sample_id}: {change.mean:+.2f} ({values})"


# --------------------------------------------------------------------------------------- text


def _text(comparison: Comparison) -> str:
    width = shutil.get_terminal_size().columns
    lines: list[str] = []
    for pair in comparison.pairs:
        lines += [wrap_title(_title(comparison, pair), width), ""]
        lines += [*align(_heads(pair), list(_text_rows(comparison, pair)), width), ""]
    for remark in _remarks(comparison):
        warning = f"{remark.warning}: " if remark.warning else ""
        lines.append(wrap_note(warning + remark.text, width))
    for pair in comparison.pairs:
        changes = [wrap_note(_tell_change(change), width) for change in pair.changes]
        lines += ["", wrap_title(_tell_changes(comparison, pair), width), *changes]
    return "\n".join(lines) + "\n"


def _text_rows(comparison: Comparison, pair: Pair) -> Iterator[Line]:
    for group in pair.groups:
        if comparison.tag is not None:
            yield [Text(_heading(group), bold=True)]
        for entry in group.differences:
            yield [Text(comparison.labels[entry.metric]), *map(Text, _figures(entry))]


# ----------------------------------------------------------------------------------- Markdown


def _markdown(comparison: Comparison) -> str:
    lines: list[str] = []
    for pair in comparison.pairs:
        lines += [*_markdown_pair(comparison, pair), ""]
    for remark in _remarks(comparison):
        warning = f"**{remark.warning}**: " if remark.warning else ""
        lines.append(f"* {warning}{_markdown_text(remark.text)}")
    for pair in comparison.pairs:
        lines += ["", _markdown_text(_tell_changes(comparison, pair))]
        changes = [f"* {_markdown_text(_tell_change(change))}" for change in pair.changes]
        lines += ["", *changes] if changes else []
    return "\n".join(lines) + "\n"


def _markdown_pair(comparison: Comparison, pair: Pair) -> Iterator[str]:
    heads = [_markdown_text(head) for head in _heads(pair)]
    yield f"#### {_markdown_text(_title(comparison, pair))}"
    yield ""
    yield markdown_line(heads)
    yield markdown_line([":---", "---:", "---:", "---:", ":---:", "---:", "---:"])
    for group in pair.groups:
        if comparison.tag is not None:
            heading = f"***{_markdown_text(_heading(group))}***"
            yield markdown_line([heading, *[""] * (len(heads) - 1)])
        for entry in group.differences:
            label = _markdown_text(comparison.labels[entry.metric])
            yield markdown_line([label, *_figures(entry)])


def _markdown_text(text: str) -> str:
    return "".join(f"\\{c}" if c in _MARKUP else c if c.isprintable() else " " for c in text)


# -------------------------------------------------------------------------------------- LaTeX


def _latex(comparison: Comparison) -> str:
    tables = [_latex_pair(comparison, pair) for pair in comparison.pairs]
    notes = [
        rf"\par\footnotesize {_latex_warning(remark)}{latex_text(remark.text)}"
        for remark in _remarks(comparison)
    ]
    tables[-1] += notes
    tables += [_latex_changes(comparison, pair) for pair in comparison.pairs if pair.changes]
    return "\n".join(
        "\n".join([r"\begin{table}", r"\centering", *table, r"\end{table}"]) + "\n"
        for table in tables
    )


def _latex_warning(remark: Remark) -> str:
    return rf"\textbf{{{latex_text(remark.warning)}}}: " if remark.warning else ""


def _latex_pair(comparison: Comparison, pair: Pair) -> list[str]:
    heads = [rf"\textbf{{{latex_text(head)}}}" for head in _heads(pair)]
    lines = [
        rf"\caption{{{latex_text(_title(comparison, pair))}}}",
        r"\begin{tabular}{lrrrcrr}",
        r"\toprule",
        latex_row(heads),
    ]
    for group in pair.groups:
        lines.append(r"\midrule")
        if comparison.tag is not None:
            heading = rf"\textbf{{\textit{{{latex_text(_heading(group))}}}}}"
            lines.append(rf"\multicolumn{{{len(heads)}}}{{l}}{{{heading}}} \\")
        for entry in group.differences:
            cells = [comparison.labels[entry.metric], *_figures(entry)]
            lines.append(latex_row([latex_text(cell) for cell in cells]))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _latex_changes(comparison: Comparison, pair: Pair) -> list[str]:
    return [
        rf"\caption{{{latex_text(_tell_changes(comparison, pair))}}}",
        r"\begin{itemize}",
        *(rf"\item {{}}{latex_text(_tell_change(change))}" for change in pair.changes),
        r"\end{itemize}",
    ]


# ------------------------------------------------------------------------------------ CSV, HTML


def _csv(comparison: Comparison) -> str:
    """One line a pair, group and metric, in plain numbers; empty is what could not be had."""
    heads = [
        *("benchmark", "first", "second", "tag", "group", "n", "metric"),
        *("first_figure", "second_figure", "difference", "low", "high", "p", "p_holm", "note"),
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for pair in comparison.pairs:
        for group in pair.groups:
            for entry in group.differences:
                writer.writerow(map(csv_cell, _csv_cells(comparison, pair, group, entry)))
    return stream.getvalue()


def _csv_cells(
    comparison: Comparison, pair: Pair, group: Group, entry: Difference
) -> Iterator[str]:
    yield from (comparison.benchmark, pair.first.name, pair.second.name)
    yield from (comparison.tag or "", group.label or "", str(group.n), entry.metric)
    bounds = (entry.interval.low, entry.interval.high) if entry.interval else (None, None)
    for number in (entry.first, entry.second, entry.value, *bounds):
        yield "" if number is None else f"{number:.4f}"
    for p in (entry.p, entry.holm):
        yield "" if p is None else f"{p:.6g}"
    yield " ".join(f"{remark.warning}: {remark.text}" for remark in _remarks_on(pair))


def _html(comparison: Comparison) -> str:
    tables = [_html_pair(comparison, pair) for pair in comparison.pairs]
    notes = "\n".join(
        f"<li>{_html_warning(remark)}{html_text(remark.text)}</li>"
        for remark in _remarks(comparison)
    )
    changes = [_html_changes(comparison, pair) for pair in comparison.pairs]
    return html_document("Comparison", "\n".join([*tables, f"<ul>\n{notes}\n</ul>", *changes]))


def _html_warning(remark: Remark) -> str:
    return f"<b>{html_text(remark.warning)}</b>: " if remark.warning else ""


def _html_pair(comparison: Comparison, pair: Pair) -> str:
    heads = "".join(f'<th scope="col">{html_text(head)}</th>' for head in _heads(pair))
    rows: list[str] = []
    for group in pair.groups:
        if comparison.tag is not None:
            heading = html_text(_heading(group))
            rows.append(f'<tr class="heading"><th colspan="7" scope="rowgroup">{heading}</th></tr>')
        for entry in group.differences:
            cells = [comparison.labels[entry.metric], *_figures(entry)]
            rows.append(f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>")
    lines = "\n".join(rows)
    return (
        f"<figure><figcaption>{html_text(_title(comparison, pair))}</figcaption>\n"
        f'<table class="pair">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></figure>"
    )


def _html_changes(comparison: Comparison, pair: Pair) -> str:
    items = "\n".join(f"<li>{html_text(_tell_change(change))}</li>" for change in pair.changes)
    heading = html_text(_tell_changes(comparison, pair))
    caption = f'<figure class="changes"><figcaption>{heading}</figcaption>'
    return f"{caption}\n<ul>\n{items}\n</ul></figure>" if items else f"{caption}</figure>"


FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "html": _html,
}
