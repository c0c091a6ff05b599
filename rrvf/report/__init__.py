"""Finished runs -> one self-contained ``report.html`` and the plain-text table.

The page holds everything it shows: style, script, data and (up to :data:`EMBED_LIMIT`) the
pictures. Names, errors, code and drawn texts come from a stranger's model, so they reach the page
only as JSON in an inert block, escaped so that no string can end that block; the script puts them
into the page as text nodes; and a Content-Security-Policy allows this script, this style and
nothing from the network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from rrvf.errors import DataError, UserError
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

__all__ = ["EMBED_LIMIT", "format_table", "write_report"]

EMBED_LIMIT = 40 * 2**20
"""Bytes of pictures up to which a report carries them; above, it links to ``renderings/``."""

_SCRIPTS = ("episodes.js", "blocks.js")
_STYLES = ("report.css", "episodes.css")


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
    page = _page("report", payload, "\n\n".join(tables), pictures.linked)
    return _write(out / "report.html", page)


def _write_training(run_dirs: Sequence[Path], out: Path, embed_limit: int) -> Path:
    runs = [read_training_run(folder) for folder in run_dirs]
    payload, pictures = training_payload(runs, out, embed_limit)
    table = "\n\n".join(format_training(run) for run in runs)
    return _write(out / "report.html", _page("training", payload, table, pictures.linked))


def _page(kind: str, payload: Mapping[str, Any], table: str, linked: bool) -> str:
    """Fill the page of this kind: it has a script of its own, training a style, too."""
    assets = resources.files("rrvf") / "report_assets"
    style = _joined(assets, (*_STYLES, *(["training.css"] if kind == "training" else [])))
    script = _joined(assets, (*_SCRIPTS, f"{kind}.js"))
    titles = dict.fromkeys(run["title"] for run in payload["runs"])
    return Template((assets / f"{kind}.html").read_text(encoding="utf-8")).substitute(
        policy=_policy(style, script, linked),
        title=html.escape(", ".join(titles)),
        table=html.escape(table),
        style=style,
        script=script,
        data=_inert_json(payload),
    )


def _joined(assets: Traversable, names: Sequence[str]) -> str:
    return "\n".join((assets / name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str, linked: bool) -> str:
    """Nothing from anywhere but this one script and style; pictures from the page or beside it."""
    pictures = "data: 'self' file:" if linked else "data:"
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        f"img-src {pictures}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _inert_json(payload: Mapping[str, Any]) -> str:
    """JSON in ASCII without ``<``, ``>`` and ``&``: no string can end or open a script block."""
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(
            f"cannot write {path} ({error.strerror}); free some space or name another folder"
        ) from error
    return path
