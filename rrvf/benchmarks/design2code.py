"""Design2Code: from a screenshot of a real web page to one HTML file (arXiv 2403.03163).

The benchmark has 484 pages from the web, and 80 harder ones in a second set. One placeholder,
``rick.jpg``, replaces their pictures. Accepted data: the authors' folder, VLMEvalKit's table, JSONL
or parquet, or the data set from the hub (:mod:`rrvf.benchmarks.design2code_download`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.design2code_download import (
    HARD_PAGES,
    PAGES,
    PLACEHOLDER,
    HubFolder,
    fetch,
    find_hub_folder,
)
from rrvf.benchmarks.page_folders import (
    find_image,
    find_kind,
    load_pages,
    require_different,
    require_limit,
    require_page,
)
from rrvf.benchmarks.page_texts import list_texts
from rrvf.benchmarks.predictions import PICTURE_NAME, Row, read_tsv
from rrvf.errors import DataError
from rrvf.kinds.kind import Script
from rrvf.page_replies import clean_officially
from rrvf.types import Cleanup, Code, Column, Mode, Sample

TASKS = ("direct", "text_augmented")
"""Kinds of questions; the third of the paper is the loop with one call, see :data:`_REVISION`."""

_REVISION = "self_revision"

PROMPT = """\
You know HTML and CSS well. This is a screenshot of a web page: write one HTML file that repeats it.

- All CSS stands in the file itself. It needs no other file, and no script.
- For every picture, and for every blue rectangle that stands in a picture's place, use "rick.jpg".
- Texts, their sizes, positions and colours, and the layout as a whole should be those of the page.

Answer with the content of the file.
"""
"""Sent with the picture; asks for what the benchmark's own prompt asks for, in our words."""

TEXTS_PROMPT = """\
You know HTML and CSS well. This is a screenshot of a web page: write one HTML file that repeats it.
These are the texts that are to stand on it, one a line:

{texts}

- Put each text in its place, so that the layout is that of the page.
- All CSS stands in the file itself. It needs no other file, and no script.
- For every picture, and for every blue rectangle that stands in a picture's place, use "rick.jpg".
- Sizes, positions and colours of all elements, and the layout, should be those of the page.

Answer with the content of the file: begin with the code at once, and explain nothing.
"""
"""The same for ``text_augmented``."""

_TABLE_COLUMNS = ("index", "question", "image", "html", PICTURE_NAME)
_ON_THE_HUB = '"design2code" and "design2code_hard" name the data sets on the Hugging Face hub'


class Design2Code(Benchmark):
    """Design2Code; columns as in the paper, after the share of pages that could be shown."""

    name = "design2code"
    title = "Design2Code"
    kind = "page"
    columns = (
        Column("render_rate", "Render rate", "execution"),
        Column("block_match", "Block-Match", "block_match"),
        Column("text", "Text", "text"),
        Column("position", "Position", "position"),
        Column("color", "Color", "color"),
        Column("clip_design2code", "CLIP", "clip_design2code"),
    )
    scorers = ("execution", "block_match", "text", "position", "color", "clip_design2code")
    rubric = "websight_judge"
    cleanups: ClassVar[tuple[Cleanup, ...]] = ("own", "official")
    mode: ClassVar[Mode] = "official"
    hub: ClassVar[HubFolder] = PAGES

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """See :func:`load_samples`."""
        task = options.task or "direct"
        return load_samples(Path(data), task=task, images=options.images, limit=options.limit)

    def script(self, sample: Sample, completion: str | None) -> Script | None:
        """The page in a reply, by the rule that was chosen; what is code already is left alone."""
        if self.cleanup == "own" or completion is None or isinstance(completion, Code):
            return super().script(sample, completion)
        return clean_officially(completion)

    def find_assets(self, data: str | None) -> Mapping[str, bytes]:
        """Files that pages may ask for by name: the placeholder, where the data has it.

        Raises:
            DataError: It is there and cannot be read.
        """
        return {} if data is None else read_placeholder(Path(data))

    def describe_data(self, data: str | None) -> Mapping[str, Any]:
        """The hub's repository with its commit, or the kind of a file or folder."""
        return {} if data is None else describe_source(Path(data))


class Design2CodeHard(Design2Code):
    """Design2Code-HARD: 80 longer pages."""

    name = "design2code_hard"
    title = "Design2Code-HARD"
    hub: ClassVar[HubFolder] = HARD_PAGES


def load_samples(
    data: Path, *, task: str = "direct", images: bool = False, limit: int | None = None
) -> list[Sample]:
    """Load samples.

    Args:
        data: The authors' folder (``<id>.html``, ``<id>.png``, ``rick.jpg``); VLMEvalKit's table,
            ``Design2Code.tsv``; a ``.jsonl`` or parquet file or a folder of parquet files, as
            :func:`rrvf.benchmarks.page_folders.load_pages` reads them; else ``design2code``,
            ``design2code_hard`` or ``hf:SALT-NLP/Design2Code`` for the data set from the hub.
            A folder or file of such a name goes first.
        task: ``direct``, or ``text_augmented`` for prompts that hold the page's texts.
        images: Write pictures that stand inside a file into the cache; those that are files are
            always given.
        limit: Keep the first so many samples.

    Returns:
        Samples, a folder's in natural order, others in the data's. The id is the file's stem: in
        the table that of ``img_fname``. The table's own question is the prompt of ``direct``.

    Raises:
        DataError: The data cannot be used; the message is one line with the fix.
        SetupError: A package or the network is missing.
    """
    _require_task(task)
    require_limit(limit)
    path = _find_path(data)
    if path.suffix.lower() == ".tsv" and path.is_file():
        samples = _load_table(path, images=images, limit=limit)
    else:
        samples = load_pages(path, PROMPT, _ON_THE_HUB, images=images, limit=limit)
    return samples if task == "direct" else list(map(_name_texts, samples))


def describe_source(data: Path) -> dict[str, Any]:
    """Where the samples are from, for the protocol."""
    hub = _find_hub(data)
    if hub is not None:
        return {"data": "hub", "dataset": hub.dataset, "revision": hub.commit() or hub.revision}
    is_table = data.suffix.lower() == ".tsv" and data.is_file()
    return {"data": "table" if is_table else find_kind(data, _ON_THE_HUB)}


def read_placeholder(data: Path) -> dict[str, bytes]:
    """The placeholder of a data set: in its folder, or beside its file; nothing where it lacks.

    Raises:
        DataError: It cannot be read.
    """
    hub = _find_hub(data)
    path = data if hub is None else hub.folder()
    picture = (path if path.is_dir() else path.parent) / PLACEHOLDER
    if not picture.is_file():
        return {}
    try:
        return {PLACEHOLDER: picture.read_bytes()}
    except OSError as error:
        raise DataError(
            f"{picture}: cannot be read: {error.strerror}; fix it or fetch it again"
        ) from error


def _require_task(task: str) -> None:
    if task in TASKS:
        return
    if task == _REVISION:
        raise DataError(
            f'the task "{_REVISION}" is the loop with one call, in which a model sees its own page '
            "before it answers: rrvf eval --task text_augmented --max-turns 2"
        )
    close_names = difflib.get_close_matches(task, TASKS, n=1)
    hint = f' Did you mean "{close_names[0]}"?' if close_names else ""
    raise DataError(f'unknown task "{task}".{hint} Available: {", ".join(TASKS)}')


def _find_hub(data: Path) -> HubFolder | None:
    return None if data.exists() else find_hub_folder(str(data))


def _find_path(data: Path) -> Path:
    """A file or folder as it was named; the hub's folder, fetched where it is not here."""
    hub = _find_hub(data)
    return data if hub is None else fetch(hub)


def _name_texts(sample: Sample) -> Sample:
    """The sample, asked for with the texts of its page."""
    texts = "\n".join(list_texts(sample.reference_code or ""))
    return replace(sample, prompt=TEXTS_PROMPT.replace("{texts}", texts), task="text_augmented")


# --- VLMEvalKit's table ---------------------------------------------------------------------------


def _load_table(table: Path, *, images: bool, limit: int | None) -> list[Sample]:
    rows = list(islice(read_tsv(table), limit))
    missing_columns = [name for name in _TABLE_COLUMNS if name not in (rows[0][1] if rows else {})]
    if missing_columns:
        problem = f"lacks the columns {', '.join(missing_columns)}" if rows else "has no rows"
        raise DataError(f"{table}: {problem}; VLMEvalKit's table Design2Code.tsv is needed")
    samples = [_read_row(table, f"{table}: {place}", row, images) for place, row in rows]
    require_different(table, samples)
    return samples


def _read_row(table: Path, location: str, row: Row, images: bool) -> Sample:
    name, html = row[PICTURE_NAME], row["html"]
    if not isinstance(name, str) or not Path(name).stem:
        raise DataError(f'{location} has no "{PICTURE_NAME}", which names the page; restore it')
    if not isinstance(html, str):
        raise DataError(f'{location} has no "html", which holds the page; restore it')
    return Sample(
        Path(name).stem,
        require_page(html, location),
        find_image(table.parent, location, row["image"], images),
        str(row["question"] or PROMPT),
    )
