"""Pages in files: folders of ``<id>.html``, JSONL and parquet, for benchmarks of pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from rrvf.decoding import decode_html
from rrvf.errors import DataError, SetupError
from rrvf.files import file_inside
from rrvf.renderers import cache
from rrvf.types import Sample

_TEXT_NAMES = ("text", "html")
_COLUMNS = ("id", *_TEXT_NAMES, "image")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_BATCH = 16
"""Rows of a parquet file in memory at a time."""

_BASE64 = re.compile(r"data:[\w/+.-]*;base64,|(?=iVBORw0KGgo|/9j/|UklGR)")
"""How a picture in base64 begins: as a data URL, or as a PNG, JPEG or WebP."""

_SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".webp": (b"RIFF",),
}


def load_pages(
    data: Path, prompt: str, hint: str, *, images: bool = False, limit: int | None = None
) -> list[Sample]:
    """Load samples.

    Args:
        data: A folder of ``<id>.html``, perhaps with pictures of the same stem (png, jpg, webp); a
            ``.jsonl`` file (``text`` or ``html``, perhaps ``id`` and ``image``: a path starting at
            the file's folder, or base64); a parquet file as the hub has it, or a folder of such.
        prompt: Sent with each picture.
        hint: What else could have been named, for data that is not there.
        images: Write the pictures that JSONL and parquet hold inside into the cache. Pictures that
            are files are always given.
        limit: Keep the first so many samples; no more are read.

    Returns:
        Samples, a folder's in natural order, others in the data's. The id is the file's stem, the
        row's ``id``, or the row's index from zero.

    Raises:
        DataError: The data cannot be used; the message is one line with the file and the fix.
        SetupError: A package is missing.
    """
    source = find_kind(data, hint)
    if source == "folder":
        return [_load_page(path, prompt) for path in list_pages(data)[:limit]]
    rows = _read_jsonl(data) if source == "jsonl" else _read_parquet(data, images=images)
    samples = [
        _make_sample(*row, number, images, prompt) for number, row in enumerate(islice(rows, limit))
    ]
    if not samples:
        raise DataError(f"{data}: no rows in it; one row a page is needed")
    require_different(data, samples)
    return samples


def require_limit(limit: int | None) -> None:
    """Refuse a limit that leaves nothing.

    Raises:
        DataError: It does.
    """
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} leaves no samples; give at least 1")


def require_different(data: Path, samples: Iterable[Sample]) -> None:
    """Refuse ids that are not one sample's.

    Raises:
        DataError: There is one.
    """
    repeated_ids = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated_ids:
        raise DataError(
            f'{data}: more than one row with the id "{repeated_ids[0]}"; ids must differ'
        )


def find_kind(data: Path, hint: str) -> Literal["folder", "jsonl", "parquet"]:
    """What holds the pages.

    Raises:
        DataError: Nothing that can; ``hint`` says what else could have been named.
    """
    if data.is_dir():
        if list_pages(data):
            return "folder"
        if _list_parquet_files(data):
            return "parquet"
        raise DataError(
            f"{data}: neither <id>.html nor .parquet files in this folder; name the folder that "
            "holds them, or a .jsonl file itself"
        )
    if not data.is_file():
        raise DataError(f"{data}: no such folder or file; {hint}")
    if data.suffix.lower() == ".jsonl":
        return "jsonl"
    if data.suffix.lower() == ".parquet":
        return "parquet"
    raise DataError(f"{data}: unknown kind of file; name a folder of <id>.html, .jsonl or .parquet")


# --- folders --------------------------------------------------------------------------------------


def list_pages(folder: Path) -> list[Path]:
    """The ``<id>.html`` of a folder in natural order, hidden ones left out."""
    paths = (path for path in folder.glob("*.html") if path.is_file())
    return sorted((path for path in paths if path.name[0] != "."), key=_natural_key)


def _natural_key(path: Path) -> list[str | int]:
    """Sort key in which ``page_9`` comes before ``page_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.stem)]


def _load_page(path: Path, prompt: str) -> Sample:
    try:
        html = decode_html(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    pictures = (path.with_name(path.stem + suffix) for suffix in _PICTURES)
    image = next((_check_picture(picture) for picture in pictures if picture.is_file()), None)
    return Sample(path.stem, require_page(html, str(path)), image, prompt)


def _check_picture(picture: Path) -> Path:
    try:
        with picture.open("rb") as file:
            suffix = picture_suffix(file.read(12))
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error.strerror}") from error
    if suffix is None:
        raise DataError(f"{picture}: not a PNG, JPEG or WebP; remove it or replace it")
    return picture


def require_page(html: str, place: str) -> str:
    """The page itself.

    Raises:
        DataError: It is empty, or no text; ``place`` says where it stands.
    """
    if not html.strip():
        raise DataError(f"{place}: this page is empty; restore it from the data set or remove it")
    if "\0" in html:
        raise DataError(f"{place}: not HTML but binary data; restore it or remove it")
    return html


# --- rows -----------------------------------------------------------------------------------------


def _make_sample(
    path: Path, place: str, row: Mapping[str, object], number: int, keep: bool, prompt: str
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
    image = find_image(path.parent, location, row.get("image"), keep)
    return Sample(
        _replace_surrogates(str(value)),
        require_page(_replace_surrogates(html), location),
        image,
        prompt,
    )


def _replace_surrogates(text: str) -> str:
    """Half a surrogate pair, which JSON may hold, cannot be stored as UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def find_image(folder: Path, location: str, value: object, keep: bool) -> Path | None:
    """The picture that a row holds, or names.

    Args:
        folder: Which names start from.
        location: Of the row, in words.
        value: Base64, bytes, a path, the hub's object of them, or nothing.
        keep: Whether a picture inside the row is to be written to the cache.

    Raises:
        DataError: It is none of these.
    """
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
        raise DataError(
            f'{location} names the image "{value[:80]}", which is not in {folder}; correct the name'
        )
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


# --- pictures -------------------------------------------------------------------------------------


def picture_suffix(data: bytes) -> str | None:
    """``.png``, ``.jpg`` or ``.webp`` by the first 12 bytes; ``None`` for anything else."""
    for suffix, starts in _SIGNATURES.items():
        if data.startswith(starts) and (suffix != ".webp" or data[8:12] == b"WEBP"):
            return suffix
    return None


def keep_picture(data: bytes, place: str) -> Path:
    """Write a picture into the cache, under a name made of its content; never decoded.

    Raises:
        DataError: On bytes that do not begin as a PNG, JPEG or WebP; ``place`` says whose.
    """
    suffix = picture_suffix(data)
    if suffix is None:
        raise DataError(
            f"{place}: its image is not a PNG, JPEG or WebP; leave it out or replace it"
        )
    digest = hashlib.sha256(data).hexdigest()
    # Slices of WebSight that were fetched before name their pictures from there.
    path = cache.folder() / "websight" / "images" / digest[:2] / f"{digest}{suffix}"
    if not path.is_file():
        cache.write_atomically(path, data)
    return path
