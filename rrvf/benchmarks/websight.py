"""WebSight: from a picture of a web page to one HTML file (arXiv 2403.09029).

The target is the rendering of the reference HTML by the same browser that renders the answer. The
data set's own picture can be used instead. Accepted data: your own folder, JSONL or parquet file,
or a slice of the data set (:mod:`rrvf.benchmarks.websight_download`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.page_folders import find_kind, load_pages, require_limit
from rrvf.benchmarks.websight_download import HubSlice, fetch, hub_slice
from rrvf.types import Column, Sample

PROMPT = """\
This is a screenshot of a web page. Write the HTML file that looks like it.

- One file that needs no other: styles go into a <style> element, scripts are not run.
- Repeat every text as it stands in the picture, and match layout, sizes, fonts and colours.
- Where the picture shows a photo, use <img src="rick.jpg"> with its width and height.

Answer with the whole file in one ```html block.
"""
"""Sent with the picture. The paper's own prompt is not known; this one is ours."""

_ON_THE_HUB = '"websight" and "websight:v0.1" name the data set on the Hugging Face hub'


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
        DataError: The data cannot be used; the message is one line with the file and the fix.
        SetupError: Where a package or the network is missing.
    """
    require_limit(limit)
    hub_rows = _find_hub_slice(data)
    if hub_rows is not None:
        data = fetch(hub_rows, images=images)
    return load_pages(data, PROMPT, _ON_THE_HUB, images=images, limit=limit)


def protocol(data: Path) -> dict[str, Any]:
    """Where the samples are from: the hub's slice in full, or the kind of a file or folder."""
    hub_rows = _find_hub_slice(data)
    if hub_rows is None:
        return {"data": find_kind(data, _ON_THE_HUB)}
    return {"data": "hub", **asdict(hub_rows)}


def _find_hub_slice(data: Path) -> HubSlice | None:
    return None if data.exists() else hub_slice(str(data))
