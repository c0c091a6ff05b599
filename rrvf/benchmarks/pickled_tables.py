"""Pickled tables, read without executing anything in them.

VLMEvalKit writes a pickle if it cannot write a table in the requested format. A pickle is a
program. Here it may only build data: Python's containers, numpy arrays and pandas tables.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from rrvf.errors import DataError, SetupError

_PLAIN = frozenset({"slice", "set", "frozenset", "complex", "bytearray"})
_DATA: Mapping[str, frozenset[str]] = {
    "builtins": _PLAIN,
    "__builtin__": _PLAIN,
    "numpy": frozenset({"ndarray", "dtype"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "pandas.core.frame": frozenset({"DataFrame"}),
    "pandas.core.internals.managers": frozenset({"BlockManager"}),
    "pandas._libs.internals": frozenset({"_unpickle_block"}),
    "pandas.core.indexes.base": frozenset({"Index", "_new_Index"}),
    "pandas.core.indexes.range": frozenset({"RangeIndex"}),
    "pandas.core.indexes.numeric": frozenset({"Int64Index", "Float64Index"}),
    "pandas._libs.arrays": frozenset({"__pyx_unpickle_NDArrayBacked"}),
    "pandas._libs.missing": frozenset({"NA"}),
    "pandas.core.arrays.string_": frozenset({"StringArray", "StringDtype"}),
    "pandas.core.arrays.integer": frozenset({"IntegerArray", "Int64Dtype"}),
    "pandas.core.arrays.categorical": frozenset({"Categorical"}),
    "pandas.core.dtypes.dtypes": frozenset({"CategoricalDtype"}),
}


class _Reader(pickle.Unpickler):
    """Finds what holds data; the names of everything else are refused."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle calls by name.

        Raises:
            UnpicklingError: It is none of :data:`_DATA`.
        """
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return _encode_latin_1
        if name not in _DATA.get(module, ()):
            full_name = f"{module}.{name}"[:80]
            raise pickle.UnpicklingError(f"it holds {full_name}, which is more than data")
        return super().find_class(module, name)


def _encode_latin_1(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it holds bytes as {encoding[:40]}")
    return text.encode("latin-1")


def read_pickled(path: Path, data: bytes) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The rows of a pickled DataFrame, list of dictionaries, or dictionary of answers by id.

    Args:
        path: Of the file, for messages.
        data: The pickle.

    Yields:
        The row's place in words, and the row; an empty cell is ``None``.

    Raises:
        DataError: It holds something else, or is no pickle.
        SetupError: It holds a DataFrame, and pandas is not installed.
    """
    for number, row in enumerate(_list_rows(path, _load(path, data)), start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path}: row {number} is not a dictionary; save the table as .tsv")
        cells = cast("dict[object, object]", row)
        yield f"row {number}", {str(name): _to_python(value) for name, value in cells.items()}


def _load(path: Path, data: bytes) -> object:
    try:
        return _Reader(io.BytesIO(data)).load()
    except ImportError as error:
        raise SetupError(
            f"{path}: reading it needs pandas: pip install pandas, or save the file as TSV"
        ) from error
    except Exception as error:  # whatever a torn or hostile pickle leads to
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: not a pickled table that can be read ({reason}); save it as .tsv or .jsonl"
        ) from error


def _list_rows(path: Path, value: object) -> list[object]:
    if isinstance(value, dict):
        answers = cast("dict[object, object]", value)
        return [{"index": key, "prediction": answer} for key, answer in answers.items()]
    if isinstance(value, list):
        return cast("list[object]", value)
    if type(value).__module__ == "pandas.core.frame":
        return _to_records(path, value)
    raise DataError(
        f"{path}: holds a {type(value).__name__}, not a table; save it as .tsv or .jsonl"
    )


def _to_records(path: Path, value: object) -> list[object]:
    import pandas as pd

    frame: Any = value
    try:
        plain: Any = frame.astype(object).where(frame.notna(), None)
        records: list[object] = pd.DataFrame.to_dict(plain, "records")  # type: ignore[assignment]
        return records
    except Exception as error:  # a DataFrame whose parts do not fit
        raise DataError(f"{path}: not a whole DataFrame; save it as .tsv or .jsonl") from error


def _to_python(value: object) -> object:
    """A scalar of numpy as Python's own."""
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return cast("Any", value).item()
    return value
