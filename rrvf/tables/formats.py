"""A table as text, in Markdown, LaTeX, CSV or HTML, and runs as the hub's evaluation results.

Names of runs are untrusted: every format escapes them.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence

from rrvf.tables.aligned import Line, Text, align, wrap_note, wrap_title
from rrvf.tables.sheet import MISSING, Cell, Row, Sheet

HUB_DATA = {
    "chartmimic": "ChartMimic/ChartMimic",
    "plot2code": "TencentARC/Plot2Code",
    "websight": "HuggingFaceM4/WebSight",
    "design2code": "SALT-NLP/Design2Code",
    "design2code_hard": "SALT-NLP/Design2Code-HARD",
}
"""Benchmark -> its repository of data on the hub."""

_FORMULA = "=+-@＝＋－＠"  # spreadsheets read the wide ones, too
_NUMBER = re.compile(r"[+-]?(?:\d[\d.,]*(?:[eE][+-]?\d+)?[%*]?)?")
"""As figures are printed; a hyphen alone stands for one that was not measured."""


def markdown(sheets: Sequence[Sheet]) -> str:
    """Tables as GitHub shows them, each with its title and remarks."""
    return "\n".join(map(_markdown, sheets))


def text(sheets: Sequence[Sheet]) -> str:
    """Tables for the terminal that this process has, as wide as it is."""
    width = shutil.get_terminal_size().columns
    return "\n".join(_text(sheet, width) for sheet in sheets)


def latex(sheets: Sequence[Sheet]) -> str:
    r"""Tables for ``\usepackage{booktabs}``."""
    return "\n".join(map(_latex, sheets))


def html_page(sheets: Sequence[Sheet]) -> str:
    """One page that holds its own style and asks for nothing else."""
    return html_document("Tables", "\n".join(map(_html, sheets)))


def html_document(title: str, body: str) -> str:
    """One page around what is to be shown.

    Args:
        title: Plain text.
        body: HTML.
    """
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{html_text(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def csv_rows(sheets: Sequence[Sheet]) -> str:
    """One line a row; all tables share their first columns, a cell that is not theirs is empty."""
    keys = list(dict.fromkeys(column.key for sheet in sheets for column in sheet.columns))
    bounds = [f"{key}_{end}" for key in keys for end in ("low", "high")]
    bounds = bounds if any(sheet.has_intervals for sheet in sheets) else []
    head = ["benchmark", "group", "kind", "date", "model"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*head, *keys, *bounds, "best", "second", "note"], restval="",
        extrasaction="ignore", lineterminator="\n")  # fmt: skip
    writer.writeheader()
    for sheet in sheets:
        for row in sheet.rows:
            if row.cells:
                cells = _csv_row(sheet, row)
                writer.writerow({key: csv_cell(text) for key, text in cells.items()})
    return stream.getvalue()


def hub_results(sheets: Sequence[Sheet]) -> str:
    """Finished measured runs as ``.eval_results/*.yaml`` of a model's repository on the hub.

    The format is that of huggingface.co/docs/hub/eval-results: an entry for each figure, with the
    data set's repository, and the column's name as the task. What belongs to the run stands in the
    notes.
    """
    entries = [
        entry
        for sheet in sheets
        for row in sheet.rows
        if row.kind == "measured" and not row.group.endswith("unfinished")
        for entry in _hub_entries(sheet, row)
    ]
    return "".join(entries) or "[]\n"


def _hub_entries(sheet: Sheet, row: Row) -> Iterator[str]:
    repository = HUB_DATA.get(sheet.benchmark, sheet.benchmark)
    notes = f"{row.model}, {row.note}"
    for column, cell in zip(sheet.columns, row.cells, strict=True):
        if cell.text != MISSING:
            # Strings of JSON are strings of YAML.
            yield (
                f"- dataset:\n    id: {json.dumps(repository)}\n"
                f"    task_id: {json.dumps(column.key)}\n"
                f"  value: {float(cell.text)}\n  notes: {json.dumps(notes)}\n"
            )


def csv_cell(text: str) -> str:
    """A cell that is one line, and that no spreadsheet takes for a formula.

    Names of runs come from outside.
    """
    line = "".join(c if c.isprintable() else " " for c in text)
    formula = line.lstrip()[:1] in _FORMULA and not _NUMBER.fullmatch(line)
    return "'" + line if line.strip() and (formula or text[0] in "\t\r\n") else line


FORMATS: Mapping[str, Callable[[Sequence[Sheet]], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "csv": csv_rows,
    "html": html_page,
    "hub": hub_results,
}


# ------------------------------------------------------------------------------------- text


def _text(sheet: Sheet, width: int) -> str:
    subs = [f" ({column.sub})" if column.sub else "" for column in sheet.columns]
    heads = [column.label + sub for column, sub in zip(sheet.columns, subs, strict=True)]
    rows = [_text_row(row) for row in sheet.rows]
    notes = [wrap_note(note, width) for note in sheet.notes]
    table = align(["Model", *heads], rows, width)
    return "\n".join([wrap_title(sheet.title, width), "", *table, "", *notes, ""])


def _text_row(row: Row) -> Line:
    if row.kind in ("heading", "rule"):
        return [Text(row.label, bold=True)] if row.label else []
    return [Text(row.label, bold=row.bold), *map(_text_cell, row.cells)]


def _text_cell(cell: Cell) -> Text:
    figure = f"{cell.text} {_bounds(cell)}".rstrip()
    return Text(figure, bold=cell.mark == "best", underlined=cell.mark == "second")


# --------------------------------------------------------------------------------- Markdown


def _markdown(sheet: Sheet) -> str:
    heads = [f"**{column.label}**" for column in sheet.columns if column.primary]
    heads += [
        f"***{column.label}<sub>{column.sub}</sub>***"
        for column in sheet.columns
        if not column.primary
    ]
    lines = [f"#### {sheet.title}", "", markdown_line(["**Model**", *heads])]
    lines.append(markdown_line([":---", *[":---:"] * len(heads)]))
    lines += [markdown_line(_markdown_cells(row, len(heads))) for row in sheet.rows]
    notes = [f"* {markdown_text(note)}" for note in sheet.notes]
    return "\n".join([*lines, "", *notes, ""])


def _markdown_cells(row: Row, n: int) -> list[str]:
    label = markdown_text(row.label)
    if row.kind == "heading":
        return [f"***{label}***", *[""] * n]
    if row.kind == "rule":
        return ["---"] * (n + 1)
    label = f"**{label}**" if row.bold else label
    return [label, *(_markdown_cell(cell) for cell in row.cells)]


def _markdown_cell(cell: Cell) -> str:
    text = f"*{cell.text.replace('*', chr(92) + '*')}*" if cell.italic else cell.text
    text = {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(cell.mark, text)
    return text + (f" <sub>{_bounds(cell)}</sub>" if cell.interval else "")


def markdown_text(text: str) -> str:
    """What could be taken for markup or end a cell is escaped, brackets and all."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`|<>]|^\*|(?<=\w)\*|__|(?<=\])\()", r"\\\1", text)


def markdown_line(cells: Sequence[str]) -> str:
    """One row of a table."""
    return "| " + " | ".join(cells) + " |"


def _bounds(cell: Cell) -> str:
    interval = cell.interval
    return f"[{interval.low:.2f}, {interval.high:.2f}]" if interval else ""


# ------------------------------------------------------------------------------------ LaTeX

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "Δ": r"$\Delta$",
    "†": r"\textdagger{}",
    "–": "--",
    "→": r"$\rightarrow$",
    **{sign: "\\" + sign for sign in "&%$#_"},
}


def _latex(sheet: Sheet) -> str:
    n = len(sheet.columns)
    heads = [
        rf"\textbf{{{latex_text(column.label)}}}{_subscript(column.sub)}"
        for column in sheet.columns
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(sheet.title)}}}",
        rf"\begin{{tabular}}{{l{'c' * n}}}",
        r"\toprule",
        " & ".join([r"\textbf{Model}", *heads]) + r" \\",
        r"\midrule",
        *_latex_rows(sheet.rows, n),
        r"\bottomrule",
        r"\end{tabular}",
        *[rf"\par\footnotesize {latex_text(note)}" for note in sheet.notes],
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_rows(rows: Sequence[Row], n: int) -> list[str]:
    lines: list[str] = []
    for index, row in enumerate(rows):
        if row.kind == "rule" or (row.kind == "heading" and index):
            lines.append(r"\midrule")
        if row.kind == "heading":
            title = rf"\textbf{{\textit{{{latex_text(row.label)}}}}}"
            lines.append(rf"\multicolumn{{{n + 1}}}{{l}}{{{title}}} \\")
        if row.cells:
            label = rf"\textbf{{{latex_text(row.label)}}}" if row.bold else latex_text(row.label)
            lines.append(latex_row([label, *map(_latex_cell, row.cells)]))
    return lines


def latex_row(cells: Sequence[str]) -> str:
    """One row of a tabular."""
    row = " & ".join(cells) + r" \\"
    # A star or a bracket at the start of a row would be an argument of the \\ before it.
    return "{}" + row if row[:1] in "[*" else row


def _latex_cell(cell: Cell) -> str:
    text = rf"\textit{{{latex_text(cell.text)}}}" if cell.italic else latex_text(cell.text)
    wrap = {"best": r"\textbf", "second": r"\underline"}.get(cell.mark)
    text = f"{wrap}{{{text}}}" if wrap else text
    return text + (rf" {{\scriptsize {_bounds(cell)}}}" if cell.interval else "")


def _subscript(text: str) -> str:
    return rf"\textsubscript{{{latex_text(text)}}}" if text else ""


def latex_text(text: str) -> str:
    """What LaTeX would take for a command is escaped."""
    return "".join(_LATEX.get(c, c if c.isprintable() else " ") for c in text)


# --------------------------------------------------------------------------------- CSV, HTML


def _csv_row(sheet: Sheet, row: Row) -> dict[str, str]:
    cells = {
        "benchmark": sheet.benchmark,
        "group": row.group,
        "kind": row.kind,
        "date": row.date,
        "model": row.model,
        "note": row.note,
    }
    for mark in ("best", "second"):
        pairs = zip(sheet.columns, row.cells, strict=True)
        cells[mark] = " ".join(column.key for column, cell in pairs if cell.mark == mark)
    for column, cell in zip(sheet.columns, row.cells, strict=True):
        cells[column.key] = cell.text
        if cell.interval:
            cells[f"{column.key}_low"] = f"{cell.interval.low:.4f}"
            cells[f"{column.key}_high"] = f"{cell.interval.high:.4f}"
    return cells


_STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; color: #1b1b1b; background: #fff; }
figure { margin: 0 0 3rem; overflow-x: auto; }
figcaption { font-weight: 600; font-size: 1.1rem; margin-bottom: .6rem; }
table { border-collapse: collapse; width: 100%; border-block: 2px solid #1b1b1b;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: center; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
thead th { border-bottom: 1px solid #1b1b1b; }
tr.heading th { font-style: italic; background: #f1f3f5; }
tr.rule td, tbody tr.heading th { border-top: 1px solid #8a8f94; }
tr.rule td { padding: 0; }
tr.delta td { color: #495057; }
small { display: block; color: #495057; }
ul { font-size: .87rem; color: #343a40; padding-left: 1.2rem; }
table.pair { table-layout: fixed; min-width: 56rem; }
table.pair th { white-space: normal; overflow-wrap: anywhere; vertical-align: bottom; }
table.pair :is(th, td):not(:first-child) { text-align: right; }
table.pair :is(th, td):nth-child(5) { width: 24%; }
figure + ul { margin-bottom: 2.5rem; }
figure.changes { margin-bottom: 1.5rem; }
figure.changes figcaption { font-size: 1rem; }
figcaption, li { overflow-wrap: anywhere; }
"""


def html_text(text: str) -> str:
    """What a browser would take for markup is escaped."""
    return html.escape("".join(c if c.isprintable() else " " for c in text))


def _html(sheet: Sheet) -> str:
    heads = "".join(f'<th scope="col">{_html_head(c.label, c.sub)}</th>' for c in sheet.columns)
    rows = "\n".join(_html_row(row, len(sheet.columns)) for row in sheet.rows)
    notes = "\n".join(f"<li>{html_text(note)}</li>" for note in sheet.notes)
    return (
        f"<figure><figcaption>{html_text(sheet.title)}</figcaption>\n"
        f'<table>\n<thead><tr><th scope="col">Model</th>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>\n<ul>\n{notes}\n</ul></figure>"
    )


def _html_head(label: str, sub: str) -> str:
    text = html_text(label)
    return f"<em>{text}<sub>{html_text(sub)}</sub></em>" if sub else text


def _html_row(row: Row, n: int) -> str:
    label = html_text(row.label)
    if row.kind == "heading":
        head = f'<th colspan="{n + 1}" scope="rowgroup">{label}</th>'
        return f'<tr class="heading">{head}</tr>'
    if row.kind == "rule":
        return f'<tr class="rule"><td colspan="{n + 1}"></td></tr>'
    label = f"<b>{label}</b>" if row.bold else label
    cells = "".join(f"<td>{_html_cell(cell)}</td>" for cell in row.cells)
    return f'<tr class="{row.kind}"><td>{label}</td>{cells}</tr>'


def _html_cell(cell: Cell) -> str:
    text = html_text(cell.text)
    text = f"<em>{text}</em>" if cell.italic else text
    tag = {"best": "b", "second": "u"}.get(cell.mark)
    text = f"<{tag}>{text}</{tag}>" if tag else text
    return text + (f"<small>{_bounds(cell)}</small>" if cell.interval else "")
