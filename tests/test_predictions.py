"""Files of predictions are read or refused in one line, and matched with samples by id."""

from __future__ import annotations

import csv
import gzip
import json
import operator
import os
import pickle
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rrvf.benchmarks.predictions import explain_loss, load_predictions, match
from rrvf.errors import DataError
from rrvf.page_replies import extract_html
from rrvf.replies import all_python_blocks
from rrvf.types import Sample


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def cells(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """A table in the format of the path's suffix, the header first."""
    if path.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(list(row))
        book.save(path)
    elif path.suffix == ".json":
        header = [str(name) for name in rows[0]]
        records = [dict(zip(header, row, strict=True)) for row in rows[1:]]
        path.write_text(json.dumps(records), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows(rows)
    return path


def fails(match: str, path: Path, **options: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load_predictions(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message


# --- JSON lines -----------------------------------------------------------------------------------


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "bar_1", "prediction": "a\\nb", "width": 8}\r\n'
        b"\n   \n"
        b'{"id": 2, "prediction": ""}\n'
        b'{"id": "gone", "prediction": null}\n'
        b'{"id": "absent"}\n'
        b'{"id": "line", "prediction": "\xe2\x80\xa8"}'
    )
    assert load_predictions(path) == {"bar_1": "a\nb", "2": "", "line": "\u2028"}


def test_json_lines_with_other_keys(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", {"index": 3, "prediction": "x", "name": "n"})
    assert load_predictions(path) == {"3": "x"}
    assert load_predictions(path, id_column="name") == {"n": "x"}
    both = lines(tmp_path / "b.jsonl", {"index": 3, "id": "bar_1", "prediction": "x"})
    assert load_predictions(both) == {"bar_1": "x"}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"id": "a", "prediction": ', "line 3 is not valid JSON"),
        (b'["a"]', "line 3 is not a JSON object"),
        (b"[" * 100_000, "line 3 is not valid JSON"),
        (b'{"prediction": "x"}', 'line 3 has no "id"'),
        (b'{"id": "", "prediction": "x"}', 'line 3 has no "id"'),
        (b'{"id": true, "prediction": "x"}', 'line 3 has no "id"'),
        (b'{"id": 1.5, "prediction": "x"}', 'line 3 has no "id"'),
        (b'{"id": NaN, "prediction": "x"}', 'line 3 has no "id"'),
        (b'{"id": "b", "prediction": ["x"]}', 'line 3: "prediction" is not a string but list'),
        (b'{"id": "b", "prediction": 3}', 'line 3: "prediction" is not a string but int'),
        (b'{"id": "\xff", "prediction": ""}', "line 3 is not UTF-8"),
        (b'{"id": "a", "prediction": null}', "more than one prediction for a;"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"id": "a", "prediction": "x"}\n\n' + bad + b"\n")
    fails(message, path)


def test_duplicates_are_listed(tmp_path: Path) -> None:
    rows = [{"id": str(i), "prediction": "x"} for i in [*range(15), *range(12)]]
    fails(
        "more than one prediction for 0, 1, .*, 9 and 2 more;", lines(tmp_path / "p.jsonl", *rows)
    )


# --- prediction files of VLMEvalKit ---------------------------------------------------------------

TABLE = (
    ("index", "question", "id", "prediction"),
    (0, "q", "z", '```python\nx = "a\tb"\n```'),
    (17, "", "y", "two"),
    (3, "q", "x", None),
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("import a_x000D_\nx = 1_x000D_\n", "import a\r\nx = 1\r\n"),
        ("\\_x001B_[0m_x0009_", "\\\x1b[0m\t"),
        ("_x000d_", "\r"),
        # An underscore that might begin an escape is escaped itself.
        ("a_x005F_x000D_b", "a_x000D_b"),
        ("_x005F_x005F_x005F_x000D_", "_x005F_x000D_"),
        ("_xD83D__xDE00_", "\U0001f600"),
        ("_xD83D_", "\ud83d"),
        # These are no escapes.
        ("max_x1 = max_x2_y; _x00G0_ _x0D_ _X000D_ x000D_", None),
        ("plain", None),
    ],
)
def test_a_cell_says_what_was_written_into_it(tmp_path: Path, cell: str, text: str | None) -> None:
    # The library writes the cell as it is given, so the file holds what xlsxwriter puts there.
    path = cells(tmp_path / "p.xlsx", [("index", "prediction"), (f"i{cell}", cell)])
    meant = cell if text is None else text
    assert load_predictions(path) == {f"i{meant}": meant}


def test_column_names_of_a_sheet_are_read_like_its_cells(tmp_path: Path) -> None:
    path = cells(tmp_path / "p.xlsx", [("in_x0064_ex", "predictio_x006E_"), ("a", "x")])
    assert load_predictions(path) == {"a": "x"}


def test_escapes_do_not_make_a_cell_look_cut_off(tmp_path: Path) -> None:
    answer = "x\r\n" * 5000
    path = cells(tmp_path / "p.xlsx", [("index", "prediction"), ("a", "ANSWER")])
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    written = answer.replace("\r", "_x000D_").encode()
    with zipfile.ZipFile(path, "w") as book:  # the library itself cuts at what a cell may hold
        for name, data in parts.items():
            book.writestr(name, data.replace(b"ANSWER", written))
    assert load_predictions(path) == {"a": answer}


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".json"])
def test_tables(tmp_path: Path, suffix: str) -> None:
    path = cells(tmp_path / f"p{suffix}", TABLE)
    assert load_predictions(path) == {"0": '```python\nx = "a\tb"\n```', "17": "two"}
    assert list(load_predictions(path, id_column="id")) == ["z", "y"]
    fails('has no "name"', path, id_column="name")


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".json"])
def test_tables_that_cannot_be_used(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    fails('no "prediction" in it, only index, answer', cells(path, [("index", "answer"), (1, "x")]))
    fails('no "index" in it, only name', cells(path, [("name", "prediction"), (1, "x")]))
    fails("no predictions in it", cells(path, TABLE[:1]))
    twice = cells(path, [TABLE[0], (1, "", "", "x"), (1, "", "", "y")])
    fails("more than one prediction for 1;", twice)


def test_empty_cells_are_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('[{"index": 1.0, "prediction": NaN}, {"index": 2, "prediction": "x"}]')
    assert load_predictions(path) == {"2": "x"}
    path.write_text('\ufeff[{"index": 1, "prediction": "x"}]', encoding="utf-8")
    assert load_predictions(path) == {"1": "x"}
    # Rows without any cell, which spreadsheets like to append, do not count as rows.
    sheet = cells(tmp_path / "p.xlsx", [*TABLE, (None,) * 4])
    assert len(load_predictions(sheet)) == 2


def test_a_long_answer_in_a_table(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = "x" * 1_000_000
    path = cells(tmp_path / "p.tsv", [("index", "prediction"), (1, long)])
    assert load_predictions(path) == {"1": long}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".json"])
def test_an_answer_that_could_not_be_had_is_no_answer_of_the_model_s(
    tmp_path: Path, suffix: str
) -> None:
    failed = "Failed to obtain answer via API. The server is gone.\nTraceback"
    skipped = "Failed to obtain answer: <class 'RuntimeError'> out of memory"
    quoted = '```python\nplt.title("Failed to obtain answer via API.")\n```'
    rows = (("index", "prediction"), (1, failed), (2, skipped), (3, quoted), (4, "x"), (5, None))
    found = load_predictions(cells(tmp_path / f"p{suffix}", rows))
    why = {name: explain_loss(text) for name, text in found.items()}
    assert [name for name, reason in why.items() if reason is None] == ["3", "4"]
    assert str(why["1"]).startswith("Failed to obtain answer via API. The server is gone. (")
    assert "out of memory" in str(why["2"])
    assert "--reuse" in str(why["1"])
    assert not any("\n" in str(reason) for reason in why.values())
    assert explain_loss(None) is None
    assert explain_loss("") is None


@pytest.mark.parametrize(
    ("suffix", "is_lost"), [(".xlsx", True), (".tsv", False), (".json", False)]
)
def test_what_a_spreadsheet_cut_off_is_lost(tmp_path: Path, suffix: str, is_lost: bool) -> None:
    rows = (("index", "prediction"), (1, "x" * 32_767), (2, "x" * 32_766))
    found = load_predictions(cells(tmp_path / f"p{suffix}", rows))
    assert found["2"] == "x" * 32_766
    assert ("PRED_FORMAT=tsv" in str(explain_loss(found["1"]))) == is_lost
    assert (found["1"] == "x" * 32_767) != is_lost


def test_files_that_pandas_wrote(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"index": [4, 5, 6], "prediction": ['say "hi"\n\tthere', "nan", float("nan")]}
    )
    expected = {"4": 'say "hi"\n\tthere', "5": "nan"}
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    frame.to_csv(tmp_path / "b.tsv", sep="\t", index=False, quoting=csv.QUOTE_ALL)
    frame.to_excel(tmp_path / "c.xlsx", index=False)
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_csv(tmp_path / "e.csv", index=False, quoting=csv.QUOTE_ALL)
    frame.to_pickle(tmp_path / "f.pkl")
    names = ("a.tsv", "b.tsv", "c.xlsx", "d.csv", "e.csv", "f.pkl")
    for name in names:
        assert load_predictions(tmp_path / name) == expected
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert load_predictions(packed) == expected


# --- pickles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickled_tables(tmp_path: Path, protocol: int) -> None:
    pd = pytest.importorskip("pandas")
    np = pytest.importorskip("numpy")
    plain = {"index": [1, 2, 3], "prediction": ["x", None, "z"], "more": [0.5, 1.5, float("nan")]}
    whole = pd.DataFrame(plain)
    path = tmp_path / "p.pkl"
    for table in (
        whole,
        whole[whole["index"] != 2],
        whole.set_index(pd.Index(["a", "b", "c"])),
        whole.astype({"prediction": "string", "index": "Int64"}),
        whole.astype({"prediction": "category"}),
        whole.to_dict("records"),
        {1: "x", 3: "z"},
        {np.int64(1): "x", "3": "z"},
    ):
        path.write_bytes(pickle.dumps(table, protocol=protocol))
        assert load_predictions(path) == {"1": "x", "3": "z"}


class Trap:
    """Unpickling it would call a function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    sprung, path = tmp_path / "sprung", tmp_path / "p.pkl"
    traps: list[object] = [
        Trap(os.mkdir, str(sprung)),
        Trap(eval, f"__import__('os').mkdir({str(sprung)!r})"),
        Trap(subprocess.call, ["mkdir", str(sprung)]),
        Trap(getattr, "x", "upper"),
        Trap(operator.attrgetter("real")),
        Path("x"),
        fails,
    ]
    for trap in traps:
        for protocol in (0, 2, 4, 5):
            path.write_bytes(pickle.dumps([{"index": 1, "prediction": trap}], protocol=protocol))
            fails("more than data", path)
    dotted = b"\x80\x04\x8c\x11pandas.core.frame\x8c\x0fDataFrame.query\x93."
    path.write_bytes(dotted)
    fails("DataFrame.query, which is more than data", path)
    pickled = pickle.dumps(b"\xff", protocol=2).replace(b"latin1", b"rot_13")
    path.write_bytes(pickled)
    fails("it holds bytes as rot_13", path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a pickled table"),
        (b"PK\x03\x04", "not a pickled table"),
        (pickle.dumps({"a": "x"})[:-2], "not a pickled table"),
        (pickle.dumps(3), "holds a int, not a table"),
        (pickle.dumps(["x"]), "row 1 is not a dictionary"),
        (pickle.dumps({}), "no predictions in it"),
        (pickle.dumps([{"index": 1, "answer": "x"}]), 'no "prediction" in it'),
        (pickle.dumps({1: {"a": 1}}), "is not a string but dict"),
    ],
)
def test_pickles_that_are_no_predictions(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "p.pkl"
    path.write_bytes(data)
    fails(message, path)


# --- packed files ---------------------------------------------------------------------------------


def test_packed_json_lines(tmp_path: Path) -> None:
    plain = lines(tmp_path / "p.jsonl", {"id": "a", "prediction": "x"})
    packed = tmp_path / "P.JSONL.GZ"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert load_predictions(packed) == {"a": "x"}


@pytest.mark.parametrize("sign", [",", "\t"])
def test_a_table_packed_under_another_name(tmp_path: Path, sign: str) -> None:
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(f'index{sign}prediction\na{sign}"x, y"\n'.encode()))
    assert load_predictions(packed) == {"a": "x, y"}


def test_packed_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    for data in (b"x", b"", gzip.compress(b"x" * 10**5)[:-9], b"\x1f\x8b\x08\0" + b"\0" * 30):
        path.write_bytes(data)
        fails("not a whole gzip file|no predictions in it", path)
    (tmp_path / "p.txt.gz").write_bytes(gzip.compress(b"x"))
    fails("unknown kind of file", tmp_path / "p.txt.gz")


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_of_scripts(tmp_path: Path) -> None:
    (tmp_path / "bar_1.py").write_bytes(b"\xef\xbb\xbfx = '\xc3\xa9'\n")
    (tmp_path / "bar_1_log_texts.py").write_text("left over")
    (tmp_path / "bar_1.pdf").write_bytes(b"%PDF")
    (tmp_path / ".bar_2.py").write_text("hidden")
    (tmp_path / "bar_3.py").mkdir()
    found = load_predictions(tmp_path)
    assert {name: all_python_blocks(reply) for name, reply in found.items()} == {"bar_1": "x = 'é'"}


def test_a_folder_of_pages_in_their_encodings(tmp_path: Path) -> None:
    page = '<html><meta charset="{}"><p>{}</p></html>'
    for name, charset, text in (("a", "gbk", "图表"), ("b", "iso-8859-1", "Größe")):
        data = page.format(charset, text).encode(charset)
        (tmp_path / f"{name}.html").write_bytes(data)
    (tmp_path / "c.html").write_bytes(page.format("x", "图").encode("utf-16"))
    found = load_predictions(tmp_path)
    pages = {name: extract_html(reply) for name, reply in found.items()}
    texts = {name: (html or "").partition("<p>")[2] for name, html in pages.items()}
    assert texts == {"a": "图表</p></html>", "b": "Größe</p></html>", "c": "图</p></html>"}


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"a\.py: it is not UTF-8 text"):
        load_predictions(tmp_path)
    (tmp_path / "a.html").write_bytes(b"<p>")
    fails("both .py and .html for a;", tmp_path)


# --- files that are no predictions ----------------------------------------------------------------


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    fails("no such file", tmp_path / "missing.jsonl")
    (tmp_path / "folder").mkdir()
    fails("this is a folder without", tmp_path / "folder")
    for suffix in (".jsonl", ".json", ".tsv", ".csv"):
        empty = tmp_path / f"empty{suffix}"
        empty.write_text(" \n" if "json" in suffix else "")
        fails("no predictions in it", empty)
    other = tmp_path / "p.parquet"
    other.write_bytes(b"x")
    fails("one of .jsonl, .json, .tsv, .csv, .xlsx, .pkl", other)
    for name, message in (
        ("p.xlsx", "not a readable Excel workbook"),
        ("p.json", "not valid JSON"),
    ):
        broken = tmp_path / name
        broken.write_bytes(b"PK\x03\x04 broken")
        fails(message, broken)
    (tmp_path / "p.json").write_text('{"a": "x"}')
    fails("not a list of records", tmp_path / "p.json")
    (tmp_path / "p.json").write_text("[1]")
    fails("record 1 is not a JSON object", tmp_path / "p.json")
    (tmp_path / "p.tsv").write_text('index\tprediction\n1\t"never closed\n2\tx\n')
    fails("not a table of tab-separated values", tmp_path / "p.tsv")
    (tmp_path / "p.tsv").write_bytes("index\tprediction\n1\tx".encode("utf-16"))
    fails("not UTF-8", tmp_path / "p.tsv")


# --- matching -------------------------------------------------------------------------------------

SAMPLES = [Sample(id=name) for name in ("bar_1", "bar_2", "pie_1")]


def test_match_keeps_the_order_of_the_samples() -> None:
    pairs = match(SAMPLES, {"pie_1": "p", "bar_1": ""})
    assert [(sample.id, text) for sample, text in pairs] == [
        ("bar_1", ""), ("bar_2", None), ("pie_1", "p"),
    ]  # fmt: skip


def test_predictions_without_a_sample_are_listed() -> None:
    predictions = {f"x_{i}": "" for i in range(12)} | {"bar_1": "b"}
    with pytest.raises(DataError) as caught:
        match(SAMPLES, predictions)
    message = str(caught.value)
    assert message.startswith("12 of 13 predictions belong to no sample: x_0, x_1,")
    assert "x_9 and 2 more; the data has 3 samples, such as bar_1, bar_2, pie_1" in message
    assert "\n" not in message


def test_a_limit_cuts_samples_not_predictions() -> None:
    pairs = match(SAMPLES[:1], {"bar_1": "b", "pie_1": "p"}, partial_ok_limit=True)
    assert [(sample.id, text) for sample, text in pairs] == [("bar_1", "b")]


def test_the_real_predictions_match_the_real_samples() -> None:
    data = Path(__file__).parents[2] / "shared" / "data" / "chartmimic_v1"
    if not data.is_dir():
        pytest.skip("the optional data ../shared/data/chartmimic_v1 is absent")
    from rrvf.benchmarks.chartmimic import load_samples

    pairs = match(load_samples(data / "golden"), load_predictions(data / "predictions.jsonl"))
    assert len(pairs) == 91
    assert all(text for _, text in pairs)
