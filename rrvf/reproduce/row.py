"""The row beside the paper's: every figure, its uncertainty, and what was done differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from rrvf.bootstrap import LEVEL, RESAMPLES, SEED
from rrvf.files import write_atomically
from rrvf.report.values import mapping
from rrvf.reproduce.job import Job
from rrvf.tables.formats import markdown_text
from rrvf.tables.measured import Measured, compare_to_published, read_runs
from rrvf.tables.published import Column, PublishedRow, read_published
from rrvf.tables.sheet import MISSING

ROW_TEXT, ROW_DATA = "row.md", "row.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of the row.

    Attributes:
        label: As printed.
        paper: As printed; a hyphen where the paper has none.
        here: As measured, ``None`` where it was not.
        interval: Of the measured figure.
        difference: Here above the paper.
    """

    key: str
    label: str
    paper: str
    here: float | None
    interval: tuple[float, float] | None
    difference: float | None


def write_row(job: Job) -> str:
    """Compare the judged run with the paper's row.

    Returns:
        Markdown, as it is written into the folder of the row, beside the same as JSON.
    """
    [run] = read_runs([job.judged])
    published = job.recipe.published_row()
    table = read_published(job.recipe.row.benchmark)
    figures = [_make_figure(column, published, run) for column in table.columns]
    protocol = dict(_list_protocol(job, run))
    unlike = compare_to_published(run, table)
    data = {
        "benchmark": run.benchmark,
        "recipe": job.name,
        "row": published.model,
        "source": published.source,
        "policy": run.name,
        "finished": run.finished,
        "figures": [
            {name: getattr(figure, name) for name in Figure.__slots__} for figure in figures
        ],
        "unlike_the_paper": unlike,
        "not_told_by_the_paper": list(job.recipe.not_told),
        "protocol": protocol,
        "card": dict(run.card),
    }
    text = "\n".join(_write_lines(job, run, published, figures, protocol, unlike)) + "\n"
    write_atomically(job.out / ROW_DATA, (json.dumps(data, indent=2) + "\n").encode())
    write_atomically(job.out / ROW_TEXT, text.encode("utf-8", "replace"))
    return text


def _make_figure(column: Column, published: PublishedRow, run: Measured) -> Figure:
    here = run.metrics.get(column.key)
    interval = run.intervals.get(column.key)
    paper = published.cells[column.key]
    try:
        known = Decimal(paper.rstrip("*"))
    except InvalidOperation:
        known = None
    return Figure(
        column.key,
        f"{column.label} ({column.sub})" if column.sub else column.label,
        paper,
        here,
        None if interval is None else (interval.low, interval.high),
        None if here is None or known is None else float(Decimal(repr(float(here))) - known),
    )


def _list_protocol(job: Job, run: Measured) -> Iterator[tuple[str, str]]:
    """How the row was made, part by part, in words."""
    protocol = mapping((run.run.summary or {}).get("protocol"))
    policy, loop = mapping(protocol.get("policy")), mapping(protocol.get("loop"))
    teacher = mapping(protocol.get("teacher"))
    yield "samples", run.card["samples"]
    yield "turns", run.card["turns"]
    if prompt := teacher.get("prompt_sha256"):
        yield "teacher's prompt", f"ours, SHA-256 {str(prompt)[:12]}"
    system = f"ours, SHA-256 {str(loop.get('policy_prompt_sha256'))[:12]}"
    yield "system message", "none" if job.is_direct else system
    yield "question", "the samples' own where they have one, else ours"
    yield "decoding", _describe_decoding(policy, loop)
    for name in ("policy", "teacher", "judge"):
        if text := run.card.get(f"requests to the {name}"):
            yield f"requests to the {name}", text
    yield "judge", run.card["judge"]
    if "mode" in protocol:  # pages of WebSight have but one
        yield "mode", run.card["mode"]
    yield "drawn by", run.card["drawn by"]
    if job.options.limit is not None:
        yield "limit", f"the first {job.options.limit} samples alone"


def _describe_decoding(policy: Mapping[str, Any], loop: Mapping[str, Any]) -> str:
    parts = {
        "temperature": policy.get("temperature"),
        **mapping(policy.get("parameters")),
        "tokens a completion": loop.get("turn_tokens"),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def _write_lines(
    job: Job,
    run: Measured,
    published: PublishedRow,
    figures: Sequence[Figure],
    protocol: Mapping[str, str],
    unlike: Sequence[str],
) -> Iterator[str]:
    table = read_published(job.recipe.row.benchmark)
    yield f"#### {markdown_text(published.label)}: {table.title}"
    yield ""
    yield f"| | Paper | Here | {LEVEL:.0%} interval | Difference |"
    yield "| :--- | ---: | ---: | :---: | ---: |"
    for figure in figures:
        cells = (figure.label, figure.paper, *_show(figure))
        yield f"| {' | '.join(markdown_text(cell) for cell in cells)} |"
    yield ""
    yield f"Here: {markdown_text(run.name)}, {job.judged.name}/ in this folder."
    if run.intervals:
        yield f"Intervals: bootstrap over samples, {RESAMPLES} resamples, seed {SEED}."
    for title, lines in (
        ("How it was made here:", [f"{name}: {text}" for name, text in protocol.items()]),
        ("Known to be unlike the paper's:", unlike or ["nothing that both tell"]),
        ("Not told by the paper:", job.recipe.not_told),
    ):
        if lines:
            yield from ("", title, "", *(f"* {markdown_text(line)}" for line in lines))
    for note in run.notes:
        yield f"* {markdown_text(note)}"


def _show(figure: Figure) -> tuple[str, str, str]:
    interval = figure.interval
    return (
        MISSING if figure.here is None else f"{figure.here:.2f}",
        MISSING if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        MISSING if figure.difference is None else f"{figure.difference:+.2f}",
    )
