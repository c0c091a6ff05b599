"""WebSight: a picture of a web page in, one HTML file out (arXiv 2403.09029).

The target is the rendering of the reference HTML, by the same browser as the answer's; the data
set's own picture can be used instead. What is loaded: a folder, JSONL or parquet file of one's own,
or a slice of the data set itself (:mod:`rrvf.benchmarks.websight_download`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.websight_download import (
    HubSlice,
    fetch,
    hub_slice,
    keep_picture,
    picture_suffix,
)
from rrvf.decoding import decode_html
from rrvf.errors import DataError, SetupError
from rrvf.files import file_inside
from rrvf.types import Column, Sample

PROMPT = """\
This is a screenshot of a web page. Write the HTML file that looks like it.

- One file that needs no other: styles go into a <style> element, scripts are not run.
- Repeat every text as it stands in the picture, and match layout, sizes, fonts and colours.
- Where the picture shows a photo, use <img src="rick.jpg"> with its width and height.

Answer with the whole file in one ```html block.
"""
"""Sent with the picture. The paper's own prompt is not known; this one is ours."""

_TEXT_NAMES = ("text", "html")
_COLUMNS = ("id", *_TEXT_NAMES, "image")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_BATCH = 16
"""Rows of a parquet file in memory at a time."""

_BASE64 = re.compile(r"data:[\w/+.-]*;base64,|(?=iVBORw0KGgo|/9j/|UklGR)")
"""How a picture in base64 begins: as a data URL, or as a PNG, JPEG or WebP."""


class WebSight(Benchmark):
    """WebSight."""

    name = "websight"
    title = "WebSight"
    kind = "page"
    columns = (
        Column("render_rate", "Render rate", "execution"),
        Column("clip", "CLIP", "clip"),
        Column("gpt", "GPT", "gpt"),
    )
    scorers = ("execution", "clip")
    mode = "fixed"
    rubric = "websight_judge"

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """See :func:`load_samples`."""
        return load_samples(Path(data), images=options.images, limit=options.limit)

    def describe_data(self, data: str | None) -> Mapping[str, Any]:
        """The hub's slice in full, or the kind of a file or folder."""
        return {} if data is None else protocol(Path(data))


def load_samples(data: Path, *, images: bool = False, limit: int | None = None) -> list[Sample]:
    """Load samples.

    Args:
        data: A folder of ``<id>.html``, perhaps with pictures of the same stem (png, jpg, webp); a
            ``.jsonl`` file (``text`` or ``html``, perhaps ``id`` and ``image``: a path starting at
            the file's folder, or base64); a parquet file as the hub has it, or a folder of such;
            else ``websight``, ``websight:v0.1`` or ``hf:HuggingFaceM4/WebSight`` for the default
            slice from the hub. A folder or file of such a name goes first.
        images: Write the pictures that JSONL and parquet hold inside, or the hub's, into the cache,
            for a run that compares with them. Pictures that are files are always given.
        limit: Keep the first so many samples; no more are read.

    Returns:
        Samples, a folder's in natural order, others in the data's. The id is the file's stem, the
        row's ``id``, or the row's index: from zero in the files given, in the whole split for the
        hub.

    Raises:
        DataError: On anything that cannot be used; one line that names file and mend.
        SetupError: Where a package or the network is missing.
    """
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} leaves no samples; give at least 1")
    hub_rows = _find_hub_slice(data)
    if hub_rows is not None:
        data = fetch(hub_rows, images=images)
    source = _find_kind(data)
    if source == "folder":
        return [_load_page(path) for path in _list_pages(data)[:limit]]
    rows = _read_jsonl(data) if source == "jsonl" else _read_parquet(data, images=images)
    samples = [_make_sample(*row, number, images) for number, row in enumerate(islice(rows, limit))]
    if not samples:
        raise DataError(f"{data}: no rows in it; one row a page is needed")
    repeated_ids = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated_ids:
        raise DataError(
            f'{data}: more than one row with the id "{repeated_ids[0]}"; ids must differ'
        )
    return samples


def protocol(data: Path) -> dict[str, Any]:
    """Where the samples are from: the hub's slice in full, or the kind of a file or folder."""
    hub_rows = _find_hub_slice(data)
    return {"data": _find_kind(data)} if hub_rows is None else {"data": "hub", **asdict(hub_rows)}


def _find_hub_slice(data: Path) -> HubSlice | None:
    return None if data.exists() else hub_slice(str(data))


def _find_kind(data: Path) -> Literal["folder", "jsonl", "parquet"]:
    if data.is_dir():
        if _list_pages(data):
            return "folder"
        if _list_parquet_files(data):
            return "parquet"
        raise DataError(
            f"{data}: neither <id>.html nor .parquet files in this folder; name the folder that "
            "holds them, or a .jsonl file itself"
        )
    if not data.is_file():
        raise DataError(
            f'{data}: no such folder or file; "websight" and "websight:v0.1" name the data set on '
            "the Hugging Face hub"
        )
    if data.suffix.lower() == ".jsonl":
        return "jsonl"
    if data.suffix.lower() == ".parquet":
        return "parquet"
    raise DataError(f"{data}: unknown kind of file; name a folder of <id>.html, .jsonl or .parquet")


# --- folders --------------------------------------------------------------------------------------


def _list_pages(folder: Path) -> list[Path]:
    paths = (path for path in folder.glob("*.html") if path.is_file())
    return sorted((path for path in paths if path.name[0] != "."), key=_natural_key)


def _natural_key(path: Path) -> list[str | int]:
    """Sort key in which ``page_9`` comes before ``page_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.stem)]


def _load_page(path: Path) -> Sample:
    try:
        html = decode_html(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    pictures = (path.with_name(path.stem + suffix) for suffix in _PICTURES)
    image = next((_check_picture(picture) for picture in pictures if picture.is_file()), None)
    return Sample(path.stem, _require_page(html, str(path)), image, PROMPT)


def _check_picture(picture: Path) -> Path:
    try:
        with picture.open("rb") as file:
            suffix = picture_suffix(file.read(12))
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error.strerror}") from error
    if suffix is None:
        raise DataError(f"{picture}: no PNG, JPEG or WebP; remove it or replace it")
    return picture


def _require_page(html: str, place: str) -> str:
    if not html.strip():
        raise DataError(f"{place}: this page is empty; restore it from the data set or remove it")
    if "\0" in html:
        raise DataError(f"{place}: not HTML but binary data; restore it or remove it")
    return html


# --- rows -----------------------------------------------------------------------------------------


def _make_sample(
    path: Path, place: str, row: Mapping[str, object], number: int, keep: bool
) -> Sample:
    """One row; ``keep`` says whether a picture inside it is to be written to the cache."""
    location = f"{path}: {place}"
    html = next((row[name] for name in _TEXT_NAMES if row.get(name) is not None), None)
    if not isinstance(html, str):
        raise DataError(f'{location} has no "text" (or "html") that is a string; it holds the page')
    value = row.get("id")
    if value is None:
        value = number
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f'{location} has an "id" that is neither a string nor a whole number')
    image = _find_image(path.parent, location, row.get("image"), keep)
    return Sample(
        _replace_surrogates(str(value)),
        _require_page(_replace_surrogates(html), location),
        image,
        PROMPT,
    )


def _replace_surrogates(text: str) -> str:
    """Half a surrogate pair, which JSON may hold, cannot be stored as UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _find_image(folder: Path, location: str, value: object, keep: bool) -> Path | None:
    if isinstance(value, dict):  # the hub's layout
        fields = cast("dict[str, object]", value)
        # The path is the name a picture had before it was packed, so it may lead nowhere.
        value = fields.get("bytes") or ""
    if value is None or value == "" or value == b"":
        return None
    if isinstance(value, bytes):
        return keep_picture(value, location) if keep else None
    if not isinstance(value, str):
        raise DataError(f'{location} has an "image" that is neither a path nor base64')
    if start := _BASE64.match(value):
        return (
            keep_picture(_decode_base64(value[start.end() :], location), location) if keep else None
        )
    picture = file_inside(folder, value)
    if picture is None:
        raise DataError(f'{location} names the image "{value[:80]}", no file in {folder}; mend it')
    return _check_picture(picture)


def _decode_base64(text: str, location: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{location}: its image is not valid base64; leave it out") from error


_Place = tuple[Path, str, Mapping[str, object]]


def _read_jsonl(path: Path) -> Iterator[_Place]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield path, f"line {number}", _parse_object(path, f"line {number}", line)


def _parse_object(path: Path, place: str, line: bytes) -> Mapping[str, object]:
    try:
        value: object = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {place} is not UTF-8 text; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: {place} is not valid JSON: {reason}") from error
    if not isinstance(value, dict):
        raise DataError(f'{path}: {place} is not a JSON object with "text"')
    return cast("dict[str, object]", value)


def _list_parquet_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if path.name[0] != ".")


def _read_parquet(data: Path, *, images: bool) -> Iterator[_Place]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SetupError(f"{data}: reading it needs pyarrow: pip install 'rrvf[web]'") from error
    # Neither has annotations.
    unreadable, open_file = cast("Any", pyarrow).ArrowException, cast("Any", parquet).ParquetFile
    number = 0
    for path in _list_parquet_files(data) if data.is_dir() else [data]:
        try:
            # A buffer keeps a group of any size out of memory.
            with open_file(path, buffer_size=2**20) as file:
                columns = _choose_columns(path, file.schema_arrow.names, images=images)
                for batch in file.iter_batches(_BATCH, columns=columns):
                    for row in batch.to_pylist():
                        yield path, f"row {number}", row
                        number += 1
        except (unreadable, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{path}: not a readable parquet file ({reason}); fetch it again"
            ) from error


def _choose_columns(path: Path, names: Sequence[str], *, images: bool) -> list[str]:
    if not set(_TEXT_NAMES) & set(names):
        examples = ", ".join(names[:10]) or "none"
        raise DataError(f'{path}: no column "text" (or "html") with the pages; it has {examples}')
    return [name for name in _COLUMNS if name in names and (images or name != "image")]
