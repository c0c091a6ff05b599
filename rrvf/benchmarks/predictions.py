"""Predictions: a model's answers in files, matched with their samples.

Formats: JSON lines with ``id`` and ``prediction``; VLMEvalKit's files (xlsx, tsv, csv, json, pkl:
columns ``index`` and ``prediction``); any of them compressed as ``.gz``; and a folder of
``<id>.py`` or ``<id>.html``. A faulty file gives a one-line message with the file and the place in
it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rrvf.benchmarks.pickled_tables import read_pickled
from rrvf.decoding import decode_html
from rrvf.errors import DataError, SetupError
from rrvf.types import Code, Sample

Row = Mapping[str, object]
"""Column -> value; an empty cell is ``None``."""

LOST = "Failed to obtain answer"
"""How VLMEvalKit begins what it writes in place of an answer that it could not get."""

PICTURE_NAME = "img_fname"
"""The column by which VLMEvalKit's table of Design2Code names its samples; ``index`` only counts
them."""

_WRITTEN = re.compile(rf"{LOST}(?:(?: via)?(?: \w+)? API\.|: <class ')")
"""What its clients write, then the error if there is one; the last form is that of SKIP_ERR."""

CELL = 32_767
"""Characters that a cell of a spreadsheet holds; pandas cuts off the rest."""

_CUT_OFF = f"{LOST}: the xlsx file holds only {CELL} characters of it; PRED_FORMAT=tsv holds all"
LEFTOVER = re.compile(r"_log_\w+$")
"""The official scorer writes scripts of such names beside the others, and may leave them."""

_MOST_BYTES = 2**30
"""Of a packed file, unpacked."""

_SHOWN = 10
"""How many ids an error message lists."""

_ESCAPED_UNIT = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""How a cell holds what XML cannot: ECMA-376, ST_Xstring; an underscore itself is ``_x005F_``."""


def load_predictions(path: Path, *, id_column: str | None = None) -> dict[str, str]:
    """Read a file of predictions.

    Args:
        path: A ``.jsonl``, ``.json``, ``.tsv``, ``.csv``, ``.xlsx`` or ``.pkl`` file, also with
            ``.gz`` at the end; or a folder of ``<id>.py`` or ``<id>.html``, each a whole answer.
        id_column: The column or key that names the sample; by default ``id`` or ``index``, in JSON
            lines in this order, elsewhere in the other. A column ``img_fname`` goes before both,
            there: the sample is what the file is called without its ending.

    Returns:
        Sample id -> completion. Rows whose prediction is missing, null or an empty cell are left
        out: the model gave no answer. :func:`explain_loss` tells what a spreadsheet has cut off,
        and what VLMEvalKit wrote into a file of its own (named by ``index``) in place of an answer.

    Raises:
        DataError: On a file that is missing, empty, malformed, or names an id twice.
        SetupError: On ``.xlsx`` where ``openpyxl``, on ``.pkl`` where pandas is not installed.
    """
    if path.is_dir():
        return _load_folder(path)
    kind, data = _read_file(path)
    rows = list(_READERS[kind](path, data))
    if not rows:
        raise DataError(f"{path}: no predictions in it; one row a sample is needed")
    id_key = id_column or _find_id_key(path, kind, rows)
    if not any("prediction" in row for _, row in rows):
        raise DataError(f'{path}: no "prediction" in it, only {_join(rows[0][1])}')
    named_rows = [(_name_sample(path, place, row, id_key), place, row) for place, row in rows]
    counts = Counter(name for name, _, _ in named_rows)
    repeated_ids = [name for name, count in counts.items() if count > 1]
    if repeated_ids:
        raise DataError(
            f"{path}: more than one prediction for {_join(repeated_ids)}; keep one each"
        )
    predictions: dict[str, str] = {}
    for name, place, row in named_rows:
        completion = _read_completion(path, kind, place, row)
        if completion is not None:
            is_own = id_key in ("index", PICTURE_NAME) and kind != ".jsonl"
            predictions[name] = _mark_loss(completion) if is_own else completion
    return predictions


class LostAnswer(str):
    """Takes the place of a lost answer and says why it was lost.

    Only :func:`load_predictions` makes one. A model that writes the same words has answered.
    """

    __slots__ = ()


def explain_loss(completion: str | None) -> str | None:
    """Why there is no answer to score, through no fault of the model; ``None`` where there is one.

    Args:
        completion: From :func:`load_predictions`.
    """
    if not isinstance(completion, LostAnswer):
        return None
    line = completion.partition("\n")[0]
    return line if line == _CUT_OFF else f"{line} (VLMEvalKit asks again with --reuse)"


def match(
    samples: Sequence[Sample],
    predictions: Mapping[str, str],
    *,
    partial_ok_limit: bool = False,
) -> list[tuple[Sample, str | None]]:
    """Pair every sample with its completion.

    Args:
        samples: The samples to score.
        predictions: Sample id -> completion.
        partial_ok_limit: The samples were cut by a limit, so predictions of others are expected.
            Matching before cutting is better: it still notices a misspelled id.

    Returns:
        The samples in their order, each with its completion, ``None`` where there is none.

    Raises:
        DataError: On predictions that belong to no sample.
    """
    known_ids = {sample.id for sample in samples}
    unknown_ids = [sample_id for sample_id in predictions if sample_id not in known_ids]
    if unknown_ids and not partial_ok_limit:
        raise DataError(
            f"{len(unknown_ids)} of {len(predictions)} predictions belong to no sample: "
            f"{_join(unknown_ids)}; the data has {len(known_ids)} samples, such as "
            f"{_join([sample.id for sample in samples[:3]])}: check --data and --subset"
        )
    return [(sample, predictions.get(sample.id)) for sample in samples]


def read_tsv(path: Path) -> Iterator[tuple[str, Row]]:
    """Read a table of tab-separated values, quoted as pandas does.

    Yields:
        The row's place in words, and the row; values are strings, or ``None`` for an empty cell.

    Raises:
        DataError: On a file that is not UTF-8 or not such a table.
    """
    return _read_tsv(path, path.read_bytes())


def _read_tsv(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    return _read_separated(path, data, "\t", "tab")


def _read_csv(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    return _read_separated(path, data, ",", "comma")


def _read_separated(path: Path, data: bytes, sign: str, name: str) -> Iterator[tuple[str, Row]]:
    text = io.StringIO(_decode(path, data, "the file"), newline="")
    # The limit belongs to the whole process; a table may hold pictures of megabytes in a cell.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        rows = list(csv.reader(text, delimiter=sign, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: not a table of {name}-separated values: {error}") from error
    finally:
        csv.field_size_limit(limit)
    yield from _to_records((cell or None for cell in row) for row in rows if row)


def _to_records(rows: Iterable[Iterable[object]]) -> Iterator[tuple[str, Row]]:
    """The first row names the columns; empty rows are left out."""
    header: list[str] | None = None
    for number, cells in enumerate(rows, start=1):
        values = list(cells)
        if header is None:
            header = ["" if name is None else str(name) for name in values]
        elif any(value is not None for value in values):
            values += [None] * (len(header) - len(values))
            yield f"row {number}", dict(zip(header, values, strict=False))


def _read_file(path: Path) -> tuple[str, bytes]:
    """The kind of a file, as a suffix, and its contents."""
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path of the predictions")
    is_packed = path.suffix.lower() == ".gz"
    kind = Path(path.stem if is_packed else path.name).suffix.lower()
    if kind not in _READERS:
        raise DataError(
            f"{path}: unknown kind of file; predictions are one of {_join(_READERS)}, also "
            "with .gz at the end, or a folder of <id>.py or <id>.html"
        )
    data = _unpack(path) if is_packed else path.read_bytes()
    return _find_kind(kind, data), data


def _unpack(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); pack it again") from error
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path}: more than {_MOST_BYTES >> 20} MiB unpacked; unpack and split it")
    return data


def _find_kind(kind: str, data: bytes) -> str:
    """What a file named as JSON lines is by its first line: a table may have been packed so."""
    first = data[:1000].partition(b"\n")[0].removeprefix(b"\xef\xbb\xbf").strip()
    if kind != ".jsonl" or first.startswith((b"{", b"[")) or b"prediction" not in first:
        return kind
    return ".tsv" if b"\t" in first else ".csv" if b"," in first else kind


def _load_folder(folder: Path) -> dict[str, str]:
    """Answers that are files of code, as the benchmarks' own scripts take them."""
    files = sorted(path for path in folder.iterdir() if _is_answer(path))
    if not files:
        raise DataError(
            f"{folder}: this is a folder without <id>.py or <id>.html; name the file of predictions"
        )
    repeated_ids = [name for name, n in Counter(path.stem for path in files).items() if n > 1]
    if repeated_ids:
        raise DataError(
            f"{folder}: both .py and .html for {_join(repeated_ids)}; keep those of the benchmark"
        )
    return {path.stem: _read_answer(path) for path in files}


def _is_answer(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix == ".py":
        return not LEFTOVER.search(path.stem)
    return path.suffix == ".html"


def _read_answer(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".html":
        return Code(decode_html(data))
    return Code(_decode(path, data, "it"))


def _read_jsonl(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        text = _decode(path, line, f"line {number}")
        if text.strip():
            yield f"line {number}", _parse_object(path, text, f"line {number}")


def _read_json(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    """A list of records, as VLMEvalKit writes it."""
    text = _decode(path, data, "the file")
    if not text.strip():
        return
    rows = _parse_json(path, text, "the file")
    if not isinstance(rows, list):
        raise DataError(f"{path}: not a list of records; for one record a line name it .jsonl")
    for number, row in enumerate(cast("list[object]", rows), start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path}: record {number} is not a JSON object")
        yield f"record {number}", cast("dict[str, object]", row)


def _decode(path: Path, data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {place} is not UTF-8 text; save the file as UTF-8") from error


def _parse_json(path: Path, text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: {place} is not valid JSON: {reason}") from error


def _parse_object(path: Path, text: str, place: str) -> Row:
    value = _parse_json(path, text, place)
    if not isinstance(value, dict):
        raise DataError(f'{path}: {place} is not a JSON object with "id" and "prediction"')
    return cast("dict[str, object]", value)


def _read_xlsx(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    try:
        import openpyxl
    except ImportError as error:
        raise SetupError(
            f"{path}: reading it needs openpyxl: pip install openpyxl, or save the file as TSV"
        ) from error
    try:
        book: Any = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        rows = [[_read_cell(value) for value in row] for row in _iterate_rows(book)]
        book.close()
    # The library lets through whatever the zip and XML parsers below it raise.
    except Exception as error:
        raise DataError(f"{path}: not a readable Excel workbook ({error})") from error
    yield from _to_records(rows)


_READERS: Mapping[str, Callable[[Path, bytes], Iterator[tuple[str, Row]]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".xlsx": _read_xlsx,
    ".pkl": read_pickled,
}


def _iterate_rows(book: Any) -> Iterator[Sequence[object]]:
    return book.worksheets[0].iter_rows(values_only=True)


def _read_cell(value: object) -> object:
    """A cell's value, the characters that a spreadsheet escapes put back."""
    if not isinstance(value, str) or "_x" not in value:
        return value
    text = _ESCAPED_UNIT.sub(lambda unit: chr(int(unit[1], 16)), value)
    # Two escapes may be the halves of one character; a half by itself stays what it is.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _find_id_key(path: Path, kind: str, rows: Sequence[tuple[str, Row]]) -> str:
    names = ("id", "index") if kind == ".jsonl" else (PICTURE_NAME, "index", "id")
    for name in names:
        if any(name in row for _, row in rows):
            return name
    raise DataError(f'{path}: no "{names[-2]}" in it, only {_join(rows[0][1])}')


def _name_sample(path: Path, place: str, row: Row, key: str) -> str:
    name = sample_id(path, place, row, key)
    return Path(name).stem if key == PICTURE_NAME else name


def sample_id(path: Path, place: str, row: Row, key: str) -> str:
    """The id of a sample in a row: a string, or a whole number.

    Raises:
        DataError: There is none.
    """
    value = row.get(key)
    if isinstance(value, float) and value.is_integer():  # how a spreadsheet may store 3
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise DataError(f'{path}: {place} has no "{key}" that is a string or a whole number')


def _read_completion(path: Path, kind: str, place: str, row: Row) -> str | None:
    value = row.get("prediction")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        is_cut = kind == ".xlsx" and len(value) >= CELL
        return LostAnswer(_CUT_OFF) if is_cut else value
    raise DataError(f'{path}: {place}: "prediction" is not a string but {type(value).__name__}')


def _mark_loss(completion: str) -> str:
    """Marked as lost, where it is what VLMEvalKit writes in place of an answer."""
    is_lost = _WRITTEN.match(completion) is not None and "```" not in completion
    return LostAnswer(completion) if is_lost else completion


def _join(names: Iterable[str]) -> str:
    """Up to ten names in one line."""
    all_names = [str(name) for name in names]
    n_more = len(all_names) - _SHOWN
    return ", ".join(all_names[:_SHOWN]) + (f" and {n_more} more" if n_more > 0 else "")
