"""ChartMimic: from a picture of a chart to the matplotlib script that draws it (arXiv 2406.09961).

*Direct* samples ask for the chart in the picture. *Customized* samples ask for its style with other
data, which the prompt gives and which are put before the answer
(:func:`rrvf.replies.customized_preamble`). Version 1 of the data set has 500 samples of each task;
version 2 has 600 ("testmini") and 1800 ("test").
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rrvf import replies
from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.predictions import LEFTOVER, Row, read_tsv
from rrvf.errors import DataError, HarnessError
from rrvf.files import file_inside
from rrvf.kinds.chart import chart_script
from rrvf.renderers.chart import ChartScript
from rrvf.scorers.layout import GRAPH_PREFIX, graph_rule
from rrvf.types import Column, Drawing, Mode, Sample

LOW_LEVEL = ("text", "layout", "type", "color")

SUBSET_SIZES: Mapping[str, int] = {
    "ori_500": 500,
    "customized_500": 500,
    "direct_600": 600,
    "customized_600": 600,
    "direct_1800": 1800,
    "customized_1800": 1800,
}
"""Samples in each subset as published; the first two are version 1 and ``ori`` means direct."""

TASKS = ("direct", "customized")

_SUBSET_NAME = re.compile(r"(?:direct|ori|customized)_\d+")
_COLUMNS = ("index", "question", "input_figure", "ground_truth_figure_code", "task")
_DOWNLOAD = "python -m rrvf.benchmarks.chartmimic_download DIR"


class ChartMimic(Benchmark):
    """ChartMimic; ``overall`` is the mean of ``average`` and ``gpt`` (arXiv 2507.20766)."""

    name = "chartmimic"
    title = "ChartMimic"
    kind = "chart"
    columns = (
        Column("exec_rate", "Exec rate", "execution"),
        Column("text", "Text", "text"),
        Column("layout", "Layout", "layout"),
        Column("type", "Type", "type"),
        Column("color", "Color", "color"),
        Column("average", "Average", mean_of=LOW_LEVEL),
        Column("gpt", "GPT", "gpt"),
        Column("overall", "Overall", mean_of=("average", "gpt")),
    )
    scorers = ("execution", *LOW_LEVEL)
    rubric = "chartmimic_judge"

    def load(self, data: str, options: LoadOptions) -> Sequence[Sample]:
        """Those of one subset, see :func:`load_samples`."""
        return load_samples(Path(data), subset=options.subset, task=options.task)

    def script(self, sample: Sample, completion: str | None) -> ChartScript | None:
        """The first block of Python; behind the reference's data, where a sample is customized.

        Raises:
            HarnessError: The sample is customized, and its reference holds no data to put first.
        """
        data = None
        if sample.task == "customized":
            data = replies.customized_preamble(sample.reference_code or "")
            if data is None:
                raise HarnessError(f'the reference {sample.id} has no "Part 2: Data Preparation"')
        return None if completion is None else chart_script(completion, data)

    def adjust_target(self, sample: Sample, view: Drawing, *rules: Mode) -> Drawing:
        """The drawing, its layout officially read by another rule where it is a ``graph``'s.

        That rule goes by the reference's file name; the answer's file is named by a number, so
        that it never meets it.
        """
        name = sample.tags.get("reference_name", sample.id)
        if rules == ("official",) and name.startswith(GRAPH_PREFIX):
            layout = graph_rule(view.elements)
            return replace(view, elements=replace(view.elements, layout=layout))
        return view


def load_samples(
    data: Path,
    *,
    subset: str | None = None,
    task: str | None = None,
    limit: int | None = None,
) -> list[Sample]:
    """Load the samples of one subset.

    Args:
        data: A folder of ``<id>.py``; a folder that holds such folders under the data set's own
            names (``direct_600``, ``ori_500``, also one level down, as in ``v2/direct_600``); or a
            table of VLMEvalKit, by path or by its name under ``$LMUData``.
        subset: Which of several subsets, e.g. ``direct_600`` or ``v2/direct_600``.
        task: ``direct`` or ``customized``. Picks among subsets and rows; for a folder of scripts
            it goes before what the folder's name says.
        limit: Keep the first so many samples.

    Returns:
        Samples in natural order of their ids, for a table in the table's order. The id is the
        script's stem, or the table's ``index``. Tags: ``category`` (``bar`` of ``bar_12``) and
        ``reference_name``, the script's stem, on which the official layout rule depends.

    Raises:
        DataError: The data cannot be used; the message is one line with the fix.
    """
    if task is not None and task not in TASKS:
        raise DataError(f'unknown task "{task}".{_suggest(task, TASKS)}')
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} leaves no samples; give at least 1")
    source = _find_source(data)
    if source.is_dir():
        samples = _load_folder(_find_subset_folder(source, subset, task), task)
    elif subset is not None:
        raise DataError(f"{source}: a table is one subset already; leave --subset out")
    else:
        samples = _load_table(source, task)
    return samples[:limit]


def lmu_root() -> Path:
    """VLMEvalKit's data folder: ``$LMUData`` where that exists, else ``~/LMUData``."""
    setting = os.environ.get("LMUData")  # noqa: SIM112 - VLMEvalKit spells it so
    return Path(setting) if setting and Path(setting).exists() else Path.home() / "LMUData"


def _find_source(data: Path) -> Path:
    if data.exists():
        return data
    if len(data.parts) == 1:
        for name in (data.name, f"{data.name}.tsv"):
            if (lmu_root() / name).exists():
                return lmu_root() / name
    tables = [path.stem for path in lmu_root().glob("ChartMimic*.tsv")]
    raise DataError(
        f"{data}: no such folder, file, or table in {lmu_root()}."
        f"{_suggest(data.name, tables)} To download the data: {_DOWNLOAD}"
    )


def _find_subset_folder(root: Path, subset: str | None, task: str | None) -> Path:
    """The folder of scripts meant by ``root`` and ``subset``."""
    is_flat = bool(_list_scripts(root))
    if is_flat and subset in (None, root.resolve().name):
        return root
    subsets = _find_subsets(root)
    if subset is None:
        fitting_names = [
            name for name in subsets if task is None or _task_of(subsets[name]) == task
        ]
        if len(fitting_names) > 1:
            raise DataError(
                f"{root}: several subsets; add --subset and one of {_join(fitting_names)}"
            )
        if not fitting_names:
            raise DataError(_explain_nothing(root, subsets))
        return subsets[fitting_names[0]]
    matches = [name for name, folder in subsets.items() if subset in (name, folder.name)]
    if len(matches) > 1:
        raise DataError(f'{root}: "{subset}" may be one of {_join(matches)}; name it in full')
    if not matches:
        known_names = {*subsets, *(folder.name for folder in subsets.values())}
        raise DataError(
            f'{root}: no subset "{subset}".{_suggest(subset, known_names)} '
            + (f"Available: {_join(subsets)}" if subsets else "It holds no subsets at all")
        )
    return subsets[matches[0]]


def _find_subsets(root: Path) -> dict[str, Path]:
    """Name -> folder, for folders in ``root`` or one level down that are named as subsets are."""
    folders = [*root.glob("*/"), *root.glob("*/*/")]
    subset_folders = [folder for folder in folders if _SUBSET_NAME.fullmatch(folder.name)]
    names = {
        folder.relative_to(root).as_posix(): folder for folder in subset_folders if folder.is_dir()
    }
    return {name: names[name] for name in sorted(names, key=_natural_key)}


def _explain_nothing(root: Path, subsets: Mapping[str, Path]) -> str:
    if subsets:
        return f"{root}: no subset of that task; available: {_join(subsets)}"
    tables = sorted(path.name for path in root.glob("*.tsv"))
    if tables:
        return f"{root}: no <id>.py in it, but tables; name one of {_join(tables)}"
    return f"{root}: no <id>.py in it and no subset folder. To download the data: {_DOWNLOAD}"


def _list_scripts(folder: Path) -> list[Path]:
    paths = [
        path
        for path in folder.glob("*.py")
        if path.is_file() and not path.name.startswith(".") and not LEFTOVER.search(path.stem)
    ]
    return sorted(paths, key=lambda path: _natural_key(path.stem))


def _load_folder(folder: Path, task: str | None) -> list[Sample]:
    scripts = _list_scripts(folder)
    if not scripts:
        raise DataError(f"{folder}: no <id>.py in it. To download the data: {_DOWNLOAD}")
    task = task or _task_of(folder)
    return [
        Sample(
            id=script.stem,
            reference_code=_read_reference(script),
            image=_find_existing(script.with_suffix(".png")),
            task=task,
            tags=_make_tags(script),
        )
        for script in scripts
    ]


def _load_table(table: Path, task: str | None) -> list[Sample]:
    rows = list(read_tsv(table))
    missing_columns = [name for name in _COLUMNS if name not in (rows[0][1] if rows else {})]
    if missing_columns:
        problem = f"lacks the columns {_join(missing_columns)}" if rows else "has no rows"
        raise DataError(f"{table}: {problem}; a table of VLMEvalKit for ChartMimic is needed")
    files = _find_file_root(table)
    samples = [_read_row(table, place, row, files) for place, row in rows]
    repeated_ids = [name for name, n in Counter(sample.id for sample in samples).items() if n > 1]
    if repeated_ids:
        raise DataError(f"{table}: more than one row with the index {_join(repeated_ids)}")
    task_samples = [sample for sample in samples if task in (None, sample.task)]
    if not task_samples:
        raise DataError(f'{table}: no row of the task "{task}"; leave --task out')
    return task_samples


def _find_file_root(table: Path) -> Path:
    """The folder that the table's paths start from."""
    own, official = (root / "images" / "ChartMimic" for root in (table.parent, lmu_root()))
    return own if own.is_dir() and not official.is_dir() else official


def _read_row(table: Path, place: str, row: Row, files: Path) -> Sample:
    index, code = row["index"], row["ground_truth_figure_code"]
    if not isinstance(index, str) or not isinstance(code, str):
        raise DataError(f"{table}: {place} needs both index and ground_truth_figure_code")
    script = file_inside(files, code)
    if script is None:
        raise DataError(
            f'{table}: {place} names the script "{code[:80]}", no file below {files}; set LMUData '
            f"to the folder that holds images/ChartMimic, or download the data: {_DOWNLOAD}"
        )
    task = _read_task(table, place, str(row["task"]))
    image = file_inside(files, str(script.with_suffix(".png").absolute()))
    if image is None and task == "direct" and row["input_figure"]:
        image = file_inside(files, str(row["input_figure"]))
    return Sample(
        id=index,
        reference_code=_read_reference(script),
        image=image,
        prompt=str(row["question"] or ""),
        task=task,
        tags=_make_tags(script),
    )


def _read_task(table: Path, place: str, value: str) -> str:
    """As in VLMEvalKit, the word counts wherever it stands, and ``customized`` counts first."""
    for task in ("customized", "direct"):
        if task in value.lower():
            return task
    raise DataError(f'{table}: {place} has the task "{value}"; it must be one of {_join(TASKS)}')


def _task_of(folder: Path) -> str:
    return "customized" if folder.resolve().name.startswith("customized") else "direct"


def _make_tags(script: Path) -> dict[str, str]:
    category = re.fullmatch(r"(.+)_\d+", script.stem)
    return {
        "category": category[1] if category else "other",
        "reference_name": script.stem,
    }


def _read_reference(script: Path) -> str:
    try:
        code = script.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{script}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{script}: cannot be read: {error.strerror}") from error
    if not code.strip():
        raise DataError(f"{script}: this reference is empty; restore it from the data set")
    return code


def _find_existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _natural_key(name: str) -> list[str | int]:
    """Sort key in which ``bar_9`` comes before ``bar_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _suggest(name: str, known_names: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known_names), n=1)
    return f' Did you mean "{matches[0]}"?' if matches else ""


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
