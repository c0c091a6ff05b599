"""Checks whether the published figures agree with each other.

Nothing is corrected: a cell that does not follow from the others is listed with the difference.
The rules are those of the tables themselves, see :func:`check`:

* ChartMimic: Overall = (mean of Text, Layout, Type and Color + GPT-4o score) / 2;
* Plot2Code: Text and GPT-4o score over all items = those over the items that ran x exec rate;
* exec rates are k of 600 items, k of 132;
* a difference row is its model's row minus the row it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from rrvf.tables.published import PublishedRow, PublishedTable
from rrvf.tables.ranking import figure, published_marks

_PARTS = ("text", "layout", "type", "color")
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Check:
    """One printed cell beside what follows from others.

    Attributes:
        row, column: Whose; the model a difference belongs to is named in its row.
        rule: What it follows from, in words.
        printed: As printed.
        derived: Rounded to as many places.
        explained: The cells it is derived from are rounded themselves, which may account for
            the difference.
    """

    row: str
    column: str
    rule: str
    printed: str
    derived: Decimal
    explained: bool

    @property
    def difference(self) -> Decimal:
        """Printed minus derived."""
        return Decimal(self.printed.removesuffix("*")) - self.derived

    @property
    def ok(self) -> bool:
        """They agree to rounding."""
        return self.difference == 0

    def __str__(self) -> str:
        why = "; the rounding of those can account for it" if self.explained else ""
        return (
            f"{self.row}: {self.column} is printed as {self.printed}, {self.rule} "
            f"gives {self.derived} ({self.difference:+}){why}"
        )


def check(table: PublishedTable) -> list[Check]:
    """Every check that the table allows, in the order of its rows."""
    models = {row.model: row for row in table.rows if row.kind == "model"}
    checks: list[Check] = []
    last_row: PublishedRow | None = None
    for row in table.rows:
        if row.kind == "delta":
            if last_row is not None:
                checks += _delta(table, row, last_row, models)
            continue
        last_row = row
        if "overall" in row.cells:
            checks.append(_overall(table, row))
        if "text_pass" in row.cells:
            checks += [_product(table, row, key) for key in ("text", "gpt")]
        if table.n_samples is not None:
            checks.append(_rate(table, row, table.n_samples))
    return checks


def check_marks(table: PublishedTable) -> list[str]:
    """Where best and second best, computed, are not what is printed bold and underlined."""
    findings: list[str] = []
    for row, computed_marks in zip(table.rows, published_marks(table), strict=True):
        for column in table.columns:
            printed_mark = "best" if column.key in row.bold else ""
            printed_mark = "second" if column.key in row.underline else printed_mark
            mark = computed_marks.get(column.key, "")
            if mark != printed_mark:
                findings.append(
                    f"{row.model}: {column.label} is printed as {printed_mark or 'unmarked'}, "
                    f"computed {mark or 'unmarked'}"
                )
    return findings


def _overall(table: PublishedTable, row: PublishedRow) -> Check:
    mean = sum((_value(row, key) for key in _PARTS), Decimal(0)) / len(_PARTS)
    inputs = sum((_half(row, key) for key in _PARTS), Decimal(0)) / len(_PARTS) + _half(row, "gpt")
    raw = (mean + _value(row, "gpt")) / 2
    return _make_check(table, row, "overall", raw, inputs / 2, "(mean of the four + GPT) / 2")


def _product(table: PublishedTable, row: PublishedRow, key: str) -> Check:
    score, rate = _value(row, f"{key}_pass"), _value(row, "exec_rate")
    inputs = score * _half(row, "exec_rate") + rate * _half(row, f"{key}_pass")
    rule = f"{score} x {rate} %"
    return _make_check(table, row, key, score * rate / _HUNDRED, inputs / _HUNDRED, rule)


def _rate(table: PublishedTable, row: PublishedRow, n: int) -> Check:
    k = (_value(row, "exec_rate") * n / _HUNDRED).quantize(Decimal(1), ROUND_HALF_UP)
    raw = k * _HUNDRED / n
    return _make_check(table, row, "exec_rate", raw, Decimal(0), f"{k} of {n}")


def _delta(
    table: PublishedTable,
    row: PublishedRow,
    model_row: PublishedRow,
    models: dict[str, PublishedRow],
) -> Iterator[Check]:
    base = models[row.model.partition("(vs ")[2].removesuffix(")")]
    for column in table.columns:
        if figure(row.cells[column.key]) is None:
            continue
        raw = _value(model_row, column.key) - _value(base, column.key)
        inputs = _half(model_row, column.key) + _half(base, column.key)
        rule = f"{model_row.cells[column.key]} - {base.cells[column.key]}"
        yield _make_check(
            table, row, column.key, raw, inputs, rule, f"{model_row.model}, {row.model}"
        )


def _make_check(
    table: PublishedTable,
    row: PublishedRow,
    key: str,
    raw: Decimal,
    inputs: Decimal,
    rule: str,
    name: str = "",
) -> Check:
    """A check; ``inputs`` is how far the rounding of the other cells can move ``raw``."""
    cell = row.cells[key]
    value = _value(row, key)
    [label] = [column.label for column in table.columns if column.key == key]
    derived = raw.quantize(Decimal(1).scaleb(_exponent(value)), ROUND_HALF_UP)
    explained = value != derived and abs(value - raw) <= _half(row, key) + inputs
    return Check(name or row.model, label, rule, cell, derived, explained)


def _value(row: PublishedRow, key: str) -> Decimal:
    value = figure(row.cells[key])
    if value is None:
        raise ValueError(f"{row.model} has no {key}")
    return value


def _half(row: PublishedRow, key: str) -> Decimal:
    """Half a unit of the last printed place."""
    return Decimal(5).scaleb(_exponent(_value(row, key)) - 1)


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
