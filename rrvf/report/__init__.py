"""Finished runs -> one self-contained ``report.html`` and the plain-text table.

The page holds everything it shows: style, script, data and (up to :data:`EMBED_LIMIT`) the
pictures; :mod:`rrvf.report.page` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rrvf.errors import DataError
from rrvf.report.page import make_page, write_page
from rrvf.report.payload import page_payload
from rrvf.report.pictures import collect_pictures
from rrvf.report.reading import read_run
from rrvf.report.table import format_table
from rrvf.report.training import (
    format_training,
    read_training_run,
    require_alike,
    training_payload,
)
from rrvf.report.unscored import explain_unscored, is_unscored
from rrvf.report.values import Json

__all__ = ["EMBED_LIMIT", "explain_unscored", "format_table", "is_unscored", "write_report"]

EMBED_LIMIT = 40 * 2**20
"""Bytes of pictures up to which a report carries them; above, it links to ``renderings/``."""


def write_report(run_dirs: Sequence[Path], out: Path, *, embed_limit: int = EMBED_LIMIT) -> Path:
    """Write ``report.html`` for one or more run folders, finished or not.

    Args:
        run_dirs: Folders with ``results.jsonl``, ``summary.json`` and ``renderings/``, and
            ``trajectories.jsonl`` where the loop was played; the summary is absent while a run is
            unfinished. Or folders of training runs, with ``run_card.json``, checkpoints and
            ``rollouts/``: these have a page of another kind.
        out: Folder for ``report.html``; created where it is missing.
        embed_limit: Bytes of pictures up to which they are put into the page.

    Returns:
        The path of the page.

    Raises:
        DataError: A folder is missing or holds no run, or its summary cannot be read; runs of both
            kinds are named at once.
        UserError: The page cannot be written.
    """
    if not run_dirs:
        raise DataError("no run folder was named; give the --out folder of a scoring run")
    if require_alike(run_dirs):
        return _write_training(run_dirs, out, embed_limit)
    runs = [read_run(folder) for folder in run_dirs]
    pictures = collect_pictures(runs, out, embed_limit)
    payload = page_payload(runs, pictures)
    tables = [format_table(run.summary) for run in runs if run.summary is not None]
    page = make_page("report", payload, _title(payload), "\n\n".join(tables), pictures.linked)
    return write_page(out / "report.html", page)


def _write_training(run_dirs: Sequence[Path], out: Path, embed_limit: int) -> Path:
    runs = [read_training_run(folder) for folder in run_dirs]
    payload, pictures = training_payload(runs, out, embed_limit)
    table = "\n\n".join(format_training(run) for run in runs)
    page = make_page("training", payload, _title(payload), table, pictures.linked)
    return write_page(out / "report.html", page)


def _title(payload: Json) -> str:
    return ", ".join(dict.fromkeys(run["title"] for run in payload["runs"]))
