"""A slice of WebSight from the Hugging Face hub, downloaded once and kept as a JSONL file.

The data set (HuggingFaceM4/WebSight, arXiv 2403.09029, CC-BY-4.0) has one split, ``train``, and two
versions: v0.2 (1.92 million pages, HTML with Tailwind classes) and v0.1 (0.82 million, plain CSS).
It has no public test split, and the RRVF paper names none. The default slice is the one that
SWEET-RL (arXiv 2503.15478) tests on, rows 10,000 to 20,000 of v0.2; 1,000 of them are sampled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from rrvf.benchmarks.page_folders import keep_picture
from rrvf.errors import DataError, HarnessError, SetupError, boundary
from rrvf.renderers import cache

REPOSITORY = "HuggingFaceM4/WebSight"
REVISION = "b11f8172f89c992b56ac702319e02c428cca4a4e"
"""The data set's last commit of March 2024, after both versions were complete. Taken from the hub's
public pages; this package has not been run against it."""

Config = Literal["v0.1", "v0.2"]

_NAMES: Mapping[str, Config] = {
    "websight": "v0.2",
    f"hf:{REPOSITORY}".lower(): "v0.2",
    "websight:v0.1": "v0.1",
    "websight:v0.2": "v0.2",
}

_BATCH = 32
"""Rows in memory at a time; a row with its picture takes about 160 KB."""


@dataclass(frozen=True, slots=True)
class HubSlice:
    """Which rows of the data set are scored, as the run's protocol names them.

    Attributes:
        config: Version of the data set.
        start, stop: Rows ``[start, stop)`` of the split, from which ``count`` are drawn.
        seed: Of the draw. Fewer rows of the same seed are the first of more.
    """

    config: Config = "v0.2"
    start: int = 10_000
    stop: int = 20_000
    count: int = 1_000
    seed: int = 0
    dataset: str = REPOSITORY
    revision: str = REVISION
    split: str = "train"

    def rows(self) -> list[int]:
        """Indices in the split, in the order they are drawn.

        The order is that of a hash, which no version of Python or numpy changes.
        """

        def key(row: int) -> bytes:
            return hashlib.sha256(f"{self.seed}:{row}".encode()).digest()

        return sorted(range(self.start, self.stop), key=key)[: self.count]


def hub_slice(name: str) -> HubSlice | None:
    """The default slice of what ``websight``, ``websight:v0.1`` or ``hf:...`` names, if it does."""
    config = _NAMES.get(name.lower())
    return None if config is None else HubSlice(config)


def fetch(hub_rows: HubSlice, *, images: bool = False) -> Path:
    """Bring a slice into the cache, unless it is there already.

    All rows before the slice's end stream through, of which only the texts are asked for (tens of
    megabytes for the default slice), or else texts and pictures (gigabytes).

    Args:
        hub_rows: The rows.
        images: Keep the data set's own pictures, too.

    Returns:
        A JSONL file with ``id`` (the row), ``text`` and perhaps ``image``, in drawn order.

    Raises:
        SetupError: Where ``datasets`` or the network is missing.
        DataError: Where the split has fewer rows.
    """
    settings = json.dumps({**asdict(hub_rows), "images": images}, sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    path = cache.folder() / "websight" / f"{hub_rows.config}-{digest}.jsonl"
    if path.is_file():
        return path
    rows = hub_rows.rows()
    lines: dict[int, bytes] = {}
    try:
        with boundary(f"fetching {hub_rows.dataset}"):
            _reach(hub_rows)
            for row, values in _stream(hub_rows, set(rows), images=images):
                lines[row] = json.dumps(_make_entry(row, values, path.parent)).encode("ascii")
    except HarnessError as error:
        raise SetupError(_explain_offline(error)) from error
    if len(lines) < len(rows):
        raise DataError(
            f"{hub_rows.dataset} {hub_rows.config}: only {len(lines)} of the {len(rows)} rows "
            f"asked for are in {hub_rows.split}[{hub_rows.start}:{hub_rows.stop}]; "
            "name another slice"
        )
    cache.write_atomically(path, b"\n".join(lines[row] for row in rows) + b"\n")
    return path


def _reach(hub_rows: HubSlice) -> None:
    """One request, since ``datasets`` alone would try six times and print a warning each time."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise SetupError(
            "WebSight from the hub needs huggingface_hub: pip install 'rrvf[web]'"
        ) from error
    huggingface_hub.HfApi().dataset_info(hub_rows.dataset, revision=hub_rows.revision, timeout=30)


def _stream(
    hub_rows: HubSlice, rows: set[int], *, images: bool
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (row, values) of the wanted rows, in the split's order."""
    try:
        import datasets
    except ImportError as error:
        raise SetupError(
            "WebSight from the hub needs the package datasets: pip install 'rrvf[web]'"
        ) from error
    # The package's own annotations are incomplete.
    stream = cast("Any", datasets).load_dataset(
        hub_rows.dataset,
        hub_rows.config,
        split=hub_rows.split,
        revision=hub_rows.revision,
        streaming=True,
        columns=["image", "text"] if images else ["text"],
        batch_size=_BATCH,
    )
    if images:
        stream = stream.cast_column("image", datasets.Image(decode=False))
    last = max(rows, default=-1)
    for row, values in zip(count(hub_rows.start), stream.skip(hub_rows.start), strict=False):
        if row in rows:
            yield row, values
        if row >= last:
            return


def _make_entry(row: int, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": str(row), "text": values["text"]}
    image: Mapping[str, Any] | None = values.get("image")
    if image and image["bytes"] is not None:
        picture = keep_picture(image["bytes"], f"row {row}")
        entry["image"] = picture.relative_to(folder).as_posix()
    return entry


def _explain_offline(error: HarnessError) -> str:
    variables = [name for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE") if os.environ.get(name)]
    reason = f"{variables[0]} is set" if variables else type(error.__cause__).__name__
    return (
        f"cannot fetch {REPOSITORY} from the Hugging Face hub ({reason}): check the network, or "
        "set HF_ENDPOINT to a mirror, or download its parquet files elsewhere and name their folder"
    )
