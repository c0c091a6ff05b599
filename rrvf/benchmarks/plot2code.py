"""Plot2Code: from a picture of a plot to the script that draws it (arXiv 2405.07990).

The data set has three configurations: ``python_matplotlib``, taken from matplotlib's gallery,
``python_plotly`` and ``r_plotly``. The published tables show the first. *Direct* samples show only
the picture; *conditional* samples also describe it in words.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.errors import DataError, SetupError
from rrvf.files import file_inside
from rrvf.types import Column, Sample

RATING = 10.0
"""The judge's highest rating; the table gives it as it is, not in percent."""

SUBSET_SIZES: Mapping[str, int] = {"python_matplotlib": 132, "python_plotly": 150, "r_plotly": 86}
"""Samples in each configuration as published."""

DRAWN = "python_matplotlib"
TASKS = ("direct", "conditional")

PROMPT = """\
This picture was drawn by a Python script with matplotlib. Write a script that draws the same plot.

- One script that needs no other file; where you cannot read a value, estimate it.
- Repeat every text, and match kinds of plots, layout, sizes, colours and styles.
- Leave the figure open at the end: it is saved for you.

Answer with the whole script in one ```python block.
"""
"""Sent with the picture; asks for what the benchmark's own prompt asks for, in our words."""

_METADATA = "metadata.jsonl"
_DEPTH = 3
_OLDER_PICTURE = "ground_truth_image_{}.png"
_DOWNLOAD = "hf download --repo-type dataset TencentARC/Plot2Code --local-dir DIR"


class Plot2Code(Benchmark):
    """Plot2Code; the columns named ``_pass`` are over what ran (arXiv 2507.20766)."""

    name = "plot2code"
    title = "Plot2Code"
    kind = "figure"
    columns = (
        Column("exec_rate", "Exec rate", "execution"),
        Column("text", "Text", "text"),
        Column("gpt", "GPT", "gpt", scale=RATING),
        Column("text_pass", "Text (pass)", "text", "ran"),
        Column("gpt_pass", "GPT (pass)", "gpt", "ran", RATING),
    )
    scorers = ("execution", "text")
    rubric = "plot2code_judge"
    seconds = 30  # officially, of wall time

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """Those of one configuration, see :func:`load_samples`."""
        task = options.task or "direct"
        samples = load_samples(Path(data), subset=options.subset, task=task)
        require_drawable(samples)
        return samples


def load_samples(
    data: Path,
    *,
    subset: str | None = None,
    task: str = "direct",
    limit: int | None = None,
) -> list[Sample]:
    """Load the samples of one configuration.

    Args:
        data: A folder with ``metadata.jsonl`` (``code``, and perhaps ``file_name`` and
            ``instruction``), that file itself, or a root at most three levels above, as in
            ``data/python_matplotlib/test/metadata.jsonl``.
        subset: A configuration; by default the data's only one, else ``python_matplotlib``.
        task: ``direct``, or ``conditional`` for prompts that begin with the row's instruction.
        limit: Keep the first so many samples.

    Returns:
        Samples in the file's order. The id is the stem of ``file_name``, else the row's index from
        zero. Tags: ``subset``.

    Raises:
        DataError: The data cannot be used; the message is one line with the fix.
    """
    if subset is not None and subset not in SUBSET_SIZES:
        raise DataError(f'unknown subset "{subset}".{_suggest(subset, SUBSET_SIZES)}')
    if task not in TASKS:
        raise DataError(f'unknown task "{task}".{_suggest(task, TASKS)}')
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} leaves no samples; give at least 1")
    metadata = _find_metadata(data, subset)
    samples = [
        _make_sample(metadata, number, place, row, task)
        for number, (place, row) in enumerate(_read_rows(metadata))
    ]
    if not samples:
        raise DataError(f"{metadata}: no rows in it; restore it from the data set")
    repeated_ids = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated_ids:
        raise DataError(f"{metadata}: more than one row named {repeated_ids[0]}; names must differ")
    return samples[:limit]


def require_drawable(samples: Iterable[Sample]) -> None:
    """Refuse samples that no renderer here can draw.

    Raises:
        SetupError: Their references are written with plotly.
    """
    other_subsets = {sample.tags["subset"] for sample in samples} - {DRAWN}
    if other_subsets:
        raise SetupError(
            f"{min(other_subsets)}: cannot be scored, for this renderer draws matplotlib only; "
            f"score --subset {DRAWN}"
        )


# --- where the rows are ---------------------------------------------------------------------------


def _find_metadata(data: Path, subset: str | None) -> Path:
    if data.is_file():
        paths = [data]
    elif data.is_dir():
        paths = [path for path in _find_below(data) if path.is_file()]
    else:
        raise DataError(f"{data}: no such folder or file. To download the data: {_DOWNLOAD}")
    if not paths:
        raise DataError(f"{data}: no {_METADATA} in it. To download the data: {_DOWNLOAD}")
    subset_name = subset or (DRAWN if len(paths) > 1 else _subset_of(paths[0]))
    fitting_paths = [path for path in paths if _subset_of(path) == subset_name]
    if len(fitting_paths) == 1:
        return fitting_paths[0]
    if fitting_paths:
        raise DataError(f"{data}: several files fit; name one of {_join(fitting_paths)}")
    names = _join(sorted({_subset_of(path) for path in paths}))
    raise DataError(f'{data}: no subset "{subset_name}" in it; available: {names}')


def _find_below(root: Path) -> list[Path]:
    """The file in ``root`` itself, else those up to three levels down."""
    if (root / _METADATA).exists():
        return [root / _METADATA]
    patterns = ["*/" * depth + _METADATA for depth in range(1, _DEPTH + 1)]
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def _subset_of(metadata: Path) -> str:
    """What the folders above a file say; the older layout holds plots of matplotlib alone."""
    folders = reversed(metadata.resolve().parent.parts)
    return next((name for name in folders if name in SUBSET_SIZES), DRAWN)


# --- rows -----------------------------------------------------------------------------------------


def _read_rows(metadata: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        with metadata.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"line {number}", _parse_row(metadata, f"line {number}", line)
    except OSError as error:
        raise DataError(f"{metadata}: cannot be read: {error.strerror}") from error


def _parse_row(metadata: Path, place: str, line: bytes) -> Mapping[str, object]:
    try:
        value: object = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{metadata}: {place} is not UTF-8 text; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{metadata}: {place} is not valid JSON: {reason}") from error
    if not isinstance(value, dict):
        raise DataError(f'{metadata}: {place} is not a JSON object with "code"')
    return cast("dict[str, object]", value)


def _make_sample(
    metadata: Path, number: int, place: str, row: Mapping[str, object], task: str
) -> Sample:
    location = f"{metadata}: {place}"
    code = _read_string(location, row, "code")
    if not code.strip():
        raise DataError(f'{location} has no "code"; restore it from the data set')
    name = _read_string(location, row, "file_name")
    prompt = PROMPT
    if task == "conditional":
        instruction = _read_string(location, row, "instruction").strip()
        if not instruction:
            raise DataError(f'{location} has no "instruction", which the task "conditional" needs')
        prompt = f"{instruction}\n\n{PROMPT}"
    return Sample(
        id=Path(name).stem or str(number),
        reference_code=code,
        image=file_inside(metadata.parent, name or _OLDER_PICTURE.format(number)),
        prompt=prompt,
        task=task,
        tags={"subset": _subset_of(metadata)},
    )


def _read_string(location: str, row: Mapping[str, object], name: str) -> str:
    """A member of a row; empty where it is missing or null."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f'{location}: "{name}" is not a string')
    return value or ""


def _suggest(name: str, known_names: Sequence[str] | Mapping[str, int]) -> str:
    matches = difflib.get_close_matches(name, list(known_names), n=1)
    hint = f' Did you mean "{matches[0]}"?' if matches else ""
    return f"{hint} Available: {_join(known_names)}"


def _join(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
