"""Figures of one model for which sources print different values.

The values need not be wrong: versions, subsets, judges and matplotlib differ, and most sources do
not say which they used. So the values are shown side by side, each with the conditions that its
source states. None is taken as the right one, and none is ranked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from rrvf.tables.measured import Measured
from rrvf.tables.printed import Protocol, read_model_names
from rrvf.tables.published import PublishedTable
from rrvf.tables.ranking import figure

BENCHMARKS = {"chartmimic": "ChartMimic", "plot2code": "Plot2Code", "websight": "WebSight"}
"""A table of the RRVF paper -> the benchmark's name in print."""

LABELS = {
    "exec_rate": "Exec rate",
    "text": "Text",
    "layout": "Layout",
    "type": "Type",
    "color": "Color",
    "average": "Low level",
    "gpt": "Judge's score",
    "overall": "Overall",
    "clip": "CLIP",
    "block_match": "Block match",
    "position": "Position",
}
_LOW_LEVEL = ("text", "layout", "type", "color")
_RRVF = "RRVF README (arXiv 2507.20766)"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a figure.

    Attributes:
        text: As printed, or as it follows from printed ones.
        share: Of the highest figure there can be, in per cent: what values are compared by.
        system: The model's name there.
        source: Who prints it.
        protocol: What is stated of how it was made.
        derived: From which printed figures; empty where it is printed itself.
    """

    text: str
    share: Decimal
    system: str
    source: str
    protocol: str
    derived: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Values of one figure of one model, the lowest first."""

    benchmark: str
    model: str
    metric: str
    values: tuple[Value, ...]

    @property
    def label(self) -> str:
        """The figure, for a person."""
        return LABELS[self.metric]

    @property
    def spread(self) -> Decimal:
        """Highest minus lowest, in per cent of the highest figure there can be."""
        return self.values[-1].share - self.values[0].share


def list_conflicts(
    protocols: Sequence[Protocol],
    tables: Sequence[PublishedTable] = (),
    runs: Sequence[Measured] = (),
) -> list[Conflict]:
    """The figures of which several sources give different values, the widest apart first.

    Args:
        protocols: Of other systems.
        tables: Of the RRVF paper.
        runs: Measured ones; an unfinished run has no figure yet.
    """
    values: dict[tuple[str, str, str], list[Value]] = {}
    entries = [*_printed_values(protocols), *_paper_values(tables), *_measured_values(runs)]
    for key, value in entries:
        values.setdefault(key, []).append(value)
    conflicts = [
        Conflict(*key, tuple(sorted(several, key=lambda value: value.share)))
        for key, several in values.items()
        if len({value.source for value in several}) > 1
    ]
    apart = [conflict for conflict in conflicts if conflict.spread > 0]
    return sorted(apart, key=lambda c: (-c.spread, c.benchmark, c.model, c.metric))


_Entry = tuple[tuple[str, str, str], Value]


def _printed_values(protocols: Sequence[Protocol]) -> Iterator[_Entry]:
    for protocol in protocols:
        for row in protocol.rows:
            for column in protocol.columns:
                value = figure(row.cells[column.label] or "-")
                if value is None or not column.metric:
                    continue
                yield (
                    (protocol.benchmark, row.model, column.metric),
                    Value(
                        row.cells[column.label],
                        100 * value / Decimal(column.most),
                        row.system,
                        f"{protocol.source}, {protocol.place}",
                        protocol.describe(),
                    ),
                )


def _paper_values(tables: Sequence[PublishedTable]) -> Iterator[_Entry]:
    names = read_model_names()
    for table in tables:
        if table.benchmark not in BENCHMARKS:
            continue
        most = {column.key: column.most for column in table.columns if column.primary}
        for row in table.rows:
            if row.kind != "model":
                continue
            own_figures = {key: figure(row.cells[key]) for key in most}
            model = names.get(row.model, row.model)
            for key, value in own_figures.items():
                if value is not None:
                    share = 100 * value / Decimal(most[key])
                    own_value = _paper_value(table, row.model, row.cells[key], share)
                    yield (BENCHMARKS[table.benchmark], model, key), own_value
            parts = [own_figures.get(key) for key in _LOW_LEVEL]
            known = [part for part in parts if part is not None]
            if len(known) == len(_LOW_LEVEL):
                mean = (sum(known, Decimal(0)) / 4).quantize(Decimal("0.01"), ROUND_HALF_UP)
                why = "mean of the four printed"
                own_value = _paper_value(table, row.model, str(mean), mean, why)
                yield (BENCHMARKS[table.benchmark], model, "average"), own_value


def _paper_value(
    table: PublishedTable, system: str, text: str, share: Decimal, derived: str = ""
) -> Value:
    n = "not stated" if table.n_samples is None else f"{table.n_samples}, as the exec rates imply"
    protocol = (
        f"number of samples: {n}; not stated: version of the benchmark, matplotlib, prompt, turns"
    )
    taken_over = text.endswith("*")
    source = f"{_RRVF}, taken over from the benchmark" if taken_over else _RRVF
    return Value(text, share, system, source, protocol, derived)


def _measured_values(runs: Sequence[Measured]) -> Iterator[_Entry]:
    names = read_model_names()
    for run in runs:
        if not run.finished:
            continue
        benchmark = BENCHMARKS.get(run.benchmark, run.benchmark)
        most = {column.key: column.scale for column in run.columns}
        protocol = "; ".join(f"{name}: {text}" for name, text in run.card.items())
        for key, value in run.metrics.items():
            if value is None or key not in LABELS or key not in most:
                continue
            share = Decimal(100 * value / most[key])
            source = f"measured: {run.run.folder.name}"
            yield (
                (benchmark, names.get(run.name, run.name), key),
                Value(f"{value:.2f}", share, run.name, source, protocol),
            )
