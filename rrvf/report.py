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
import os
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, cast
from urllib.parse import quote

from rrvf import __version__
from rrvf.errors import DataError, UserError
from rrvf.types import STATUSES

EMBED_LIMIT = 40 * 2**20
"""Bytes of pictures up to which a report carries them; above, it links to ``renderings/``."""

NULL = "–"
"""How a figure that was not measured is shown; never as 0."""

_LABELS = {
    "execution": "Execution",
    "exec_rate": "Exec rate",
    "render_rate": "Render rate",
    "text": "Text",
    "layout": "Layout",
    "type": "Type",
    "color": "Color",
    "average": "Average",
    "clip": "CLIP",
    "pixel": "Pixel",
    "clip_design2code": "CLIP (Design2Code)",
    "block_match": "Block match",
    "position": "Position",
    "gpt": "GPT",
    "overall": "Overall",
    "text_pass": "Text (pass)",
    "gpt_pass": "GPT (pass)",
}
_CHARTMIMIC = ("exec_rate", "text", "layout", "type", "color", "average", "gpt", "overall")
_COLUMNS = {
    "chartmimic": _CHARTMIMIC,
    "plot2code": ("exec_rate", "text", "gpt", "text_pass", "gpt_pass"),
    "websight": ("render_rate", "clip", "gpt"),
}
"""Columns of a run without figures; one with figures has them in the order of its summary."""

_PAGES = "websight"
_PAGE_SCORERS = frozenset({"clip", "clip_design2code", "block_match", "position"})
_RATES = frozenset({"exec_rate", "render_rate"})
"""Columns that count the scorer ``execution``."""

_TITLES = {"chartmimic": "ChartMimic", "plot2code": "Plot2Code", "websight": "WebSight"}
_PICTURE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}\.png")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = 24
"""Bytes up to the end of a PNG's width and height."""

# What one item may take up in the page. A script can draw a million texts; results.jsonl keeps
# them all, the page says that it shortened them.
_MAX_TEXT = 500
_MAX_ERROR = 4_000
_MAX_CODE = 60_000
_MAX_ENTRIES = 400
_MAX_DEPTH = 8
_MAX_NUMBER = 1e300

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run folder as read from disk; ``summary`` is ``None`` where none was written yet."""

    folder: Path
    summary: _Json | None
    lines: tuple[_Json, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pictures:
    """File name -> source of an ``img``, its size, and what the page must say about it."""

    sources: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]
    linked: bool
    notes: tuple[str, ...]


def format_table(summary: Mapping[str, Any]) -> str:
    """Set a run's metrics as the paper's table, in Markdown that also reads well as plain text.

    Args:
        summary: The contents of ``summary.json``.

    Returns:
        The table, a figure that was not measured as "–", then one line for the samples and their
        statuses and, where there are any, one for the unscored counts. No final line break.
    """
    metrics = _mapping(summary.get("metrics"))
    columns = [(key, _LABELS.get(key, key)) for key in _columns(summary)]
    cells = [_figure(metrics.get(key)) for key, _ in columns]
    widths = [max(len(label), len(cell)) for (_, label), cell in zip(columns, cells, strict=True)]
    rows = [
        [label.rjust(width) for (_, label), width in zip(columns, widths, strict=True)],
        ["-" * (width - 1) + ":" for width in widths],
        [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)],
    ]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*table, "", *_footer(summary)])


def write_report(run_dirs: Sequence[Path], out: Path, *, embed_limit: int = EMBED_LIMIT) -> Path:
    """Write ``report.html`` for one or more run folders, finished or not.

    Args:
        run_dirs: Folders with ``results.jsonl``, ``summary.json`` and ``renderings/``; the summary
            is absent while a run is unfinished.
        out: Folder for ``report.html``; created where it is missing.
        embed_limit: Bytes of pictures up to which they are put into the page.

    Returns:
        The path of the page.

    Raises:
        DataError: A folder is missing or holds no run, or its summary cannot be read.
        UserError: The page cannot be written.
    """
    if not run_dirs:
        raise DataError("no run folder was named; give the --out folder of a scoring run")
    runs = [_read_run(folder) for folder in run_dirs]
    pictures = _collect_pictures(runs, out, embed_limit)
    payload = _payload(runs, pictures)
    tables = [format_table(run.summary) for run in runs if run.summary is not None]
    return _write(out / "report.html", _page(payload, "\n\n".join(tables), pictures.linked))


# --- reading ------------------------------------------------------------------------------------


def _read_run(folder: Path) -> _Run:
    if not folder.is_dir():
        raise DataError(f"no such run folder: {folder}; give the --out folder of a scoring run")
    summary = _read_summary(folder / "summary.json")
    results = folder / "results.jsonl"
    if summary is None and not results.is_file():
        raise DataError(
            f"{folder} holds neither summary.json nor results.jsonl; "
            "give the --out folder of a scoring run"
        )
    lines, notes = _read_results(results)
    notes = [*_summary_notes(summary, len(lines), results.is_file()), *notes]
    return _Run(folder, summary, tuple(lines), tuple(notes))


def _read_summary(path: Path) -> _Json | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"cannot read {path} ({error}); run the scoring again to write it anew"
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is not a JSON object; run the scoring again to write it anew")
    return cast("_Json", value)


def _read_results(path: Path) -> tuple[list[_Json], list[str]]:
    """Read every whole line; the last of a sample's lines counts, as in a resumed run."""
    if not path.is_file():
        return [], []
    raw_lines = path.read_bytes().split(b"\n")
    numbered = [(number, raw) for number, raw in enumerate(raw_lines, 1) if raw.strip()]
    by_id: dict[str, _Json] = {}
    bad: list[int] = []
    repeated = 0
    for number, raw in numbered:
        line = _parse_line(raw)
        if line is None:
            bad.append(number)
            continue
        repeated += line["sample_id"] in by_id
        by_id[line["sample_id"]] = line
    return list(by_id.values()), _line_notes(bad, numbered[-1][0] if numbered else 0, repeated)


def _parse_line(raw: bytes) -> _Json | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    line = _mapping(value)
    return line if isinstance(line.get("sample_id"), str) else None


def _line_notes(bad: Sequence[int], last: int, repeated: int) -> list[str]:
    notes: list[str] = []
    if last in bad:
        notes.append("The last line of results.jsonl is torn and was left out.")
    if inner := [number for number in bad if number != last]:
        listed = ", ".join(str(number) for number in inner[:10]) + (", …" if inner[10:] else "")
        notes.append(f"Unreadable lines of results.jsonl were left out: {listed}.")
    if repeated:
        notes.append(f"{_count(repeated, 'repeated line')} in results.jsonl: the last one counts.")
    return notes


def _summary_notes(summary: Mapping[str, Any] | None, n_items: int, has_results: bool) -> list[str]:
    if summary is None:
        return [f"This run is unfinished: {_count(n_items, 'item')} on file, no summary yet."]
    if not has_results:
        return ["results.jsonl is missing, so only the table is shown."]
    if summary.get("finished") is False:
        return [f"This run is unfinished: the figures cover the {_count(n_items, 'item')} on file."]
    expected = summary.get("n_samples")
    if isinstance(expected, int) and expected != n_items:
        return [f"The summary counts {_count(expected, 'sample')}, results.jsonl holds {n_items}."]
    return []


# --- pictures -----------------------------------------------------------------------------------


def _collect_pictures(runs: Sequence[_Run], out: Path, embed_limit: int) -> _Pictures:
    """Find every picture once: names are content hashes, so runs share their references."""
    found: dict[str, Path] = {}
    sizes: dict[str, tuple[int, int]] = {}
    missing: set[str] = set()
    for run in runs:
        for name in _picture_names(run.lines):
            path = run.folder / "renderings" / name
            if name in found:
                continue
            head = _png_head(path) if _PICTURE_NAME.fullmatch(name) else None
            if head is not None:
                found[name] = path
                sizes |= {name: size} if (size := _size(head)) else {}
            else:
                missing.add(name)
    absent = len(missing - found.keys())
    notes = [f"{_count(absent, 'picture')} not found below renderings/."] if absent else []
    n_bytes = sum(path.stat().st_size for path in found.values())
    if n_bytes <= embed_limit:
        sources = {name: _data_uri(path) for name, path in found.items()}
        return _Pictures(sources, sizes, False, (*notes,))
    notes.append(
        f"The pictures ({n_bytes / 2**20:.0f} MB) are linked, not embedded: "
        "keep renderings/ where it is relative to this page."
    )
    sources = {name: _link(path, out) for name, path in found.items()}
    return _Pictures(sources, sizes, True, (*notes,))


def _picture_names(lines: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for line in lines:
        for side in ("reference", "rendering"):
            name = _mapping(line.get("pictures")).get(side)
            if isinstance(name, str):
                yield name


def _png_head(path: Path) -> bytes | None:
    """The first bytes of a PNG, ``None`` of anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_HEAD)
    except OSError:
        return None
    return head if head.startswith(_PNG_SIGNATURE) else None


def _size(head: bytes) -> tuple[int, int] | None:
    """Width and height as a PNG's head tells them."""
    if len(head) < _PNG_HEAD or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if width and height else None


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _link(path: Path, out: Path) -> str:
    # pathlib's relative_to cannot climb on Python 3.11. quote() also hides a colon, which would
    # read as the scheme of an address.
    return quote(os.path.relpath(path.resolve(), out.resolve()))


# --- what the page is given ---------------------------------------------------------------------


def _payload(runs: Sequence[_Run], pictures: _Pictures) -> _Json:
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in runs]
    # One table a benchmark, in the order of their first runs.
    tables: dict[str, dict[str, None]] = {}
    for run in runs:
        tables.setdefault(_title(run.summary or {}), {}).update(
            dict.fromkeys(_columns(_known(run)))
        )
    return {
        "version": __version__,
        "statuses": list(STATUSES),
        "tables": [{"title": title, "columns": list(keys)} for title, keys in tables.items()],
        "labels": _LABELS,
        "notes": list(pictures.notes),
        "pictures": dict(pictures.sources),
        "sizes": dict(pictures.sizes),
        "runs": [
            _run_payload(run, name, tables[_title(run.summary or {})], pictures.sources)
            | {"table": list(tables).index(_title(run.summary or {}))}
            for run, name in zip(runs, names, strict=True)
        ],
    }


def _run_payload(run: _Run, name: str, keys: Iterable[str], sources: Mapping[str, str]) -> _Json:
    summary = run.summary or {}
    metrics = _mapping(summary.get("metrics"))
    protocol = _mapping(summary.get("protocol"))
    environment = _mapping(summary.get("environment"))
    items = [_item(line, sources) for line in run.lines]
    values = {key: _number(metrics.get(key)) for key in keys}
    return {
        "name": name,
        "title": _title(summary),
        "pages": _known(run).get("benchmark") == _PAGES,
        "finished": summary.get("finished", run.summary is not None) is True,
        "has_summary": run.summary is not None,
        "notes": list(run.notes),
        "n_samples": _number(summary.get("n_samples")),
        "n_scored": _number(summary.get("n_scored")),
        "n_unscored": _clip(_mapping(summary.get("n_unscored"))),
        "metrics": values,
        "why": {key: _why_null(key, run) for key in keys if values[key] is None},
        "mode": _clip(protocol.get("mode")),
        "confinement": _confinement(environment),
        "protocol": _clip(protocol),
        "environment": _clip(environment),
        "items": items,
    }


def _item(line: Mapping[str, Any], sources: Mapping[str, str]) -> _Json:
    """One item as the page takes it: bounded, finite, with every key present."""
    code, reply = line.get("code"), line.get("completion")
    scores = {str(k): _mapping(v) for k, v in _mapping(line.get("scores")).items()}
    shown_scores = _clip(scores)
    shown: _Json = {
        "id": _clip(line.get("sample_id")),
        "status": _clip(str(line.get("status"))),
        "error": _clip(line.get("error"), text=_MAX_ERROR),
        "seconds": _number(line.get("seconds")),
        "code": _clip(code, text=_MAX_CODE),
        # The reply repeats the code; it explains something only where no code was found in it.
        "reply": None if code else _clip(reply, text=_MAX_CODE),
        "tags": _clip(_mapping(line.get("tags"))),
        "other": _clip(_mapping(line.get("other_mode"))),
        "scores": shown_scores,
    }
    named = _mapping(line.get("pictures"))
    for side in ("reference", "rendering"):
        name = named.get(side)
        shown[side] = name if isinstance(name, str) and name in sources else None
        shown[f"{side}_lost"] = isinstance(name, str) and name not in sources
    shown["shortened"] = _is_shortened(shown_scores, scores) or (
        isinstance(code, str) and len(code) > _MAX_CODE
    )
    return shown


def _is_shortened(shown: Mapping[str, Any], scores: Mapping[str, Any]) -> bool:
    """Whether a list or table of scores lost entries; a text cut short shows its own ellipsis."""
    return any(
        len(shown.get(scorer, ())) < len(details)
        or any(
            isinstance(value, list | dict) and len(cast("list[Any]", value)) > _MAX_ENTRIES
            for value in details.values()
        )
        for scorer, details in scores.items()
    )


def _clip(value: Any, *, text: int = _MAX_TEXT, depth: int = 0) -> Any:
    """Bound a JSON value, and turn what JavaScript's JSON lacks (NaN, infinity) into null."""
    if isinstance(value, str):
        return value if len(value) <= text else value[:text] + "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        entries = list(cast("_Json", value).items())[:_MAX_ENTRIES]
        return {k[:_MAX_TEXT]: _clip(v, text=text, depth=depth + 1) for k, v in entries}
    if isinstance(value, list):
        head = cast("list[Any]", value)[:_MAX_ENTRIES]
        return [_clip(entry, text=text, depth=depth + 1) for entry in head]
    return str(value)[:text]


def _confinement(environment: Mapping[str, Any]) -> str | None:
    """The confinement level, wherever the environment keeps it, as one line."""
    for key, value in environment.items():
        if "confinement" in key:
            level = _mapping(value).get("level", value)
            return (level if isinstance(level, str) else _flags(level))[:_MAX_TEXT]
    nested = (_confinement(_mapping(value)) for value in environment.values())
    return next((level for level in nested if level is not None), None)


def _flags(value: Any) -> str:
    """``{"files": true, "network": false}`` as "files, no network"; anything else as JSON."""
    flags = _mapping(value)
    if not flags or not all(isinstance(on, bool) for on in flags.values()):
        return json.dumps(value)
    return ", ".join(name if on else f"no {name}" for name, on in flags.items())


# --- the table ----------------------------------------------------------------------------------


def _columns(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """ChartMimic's columns, or another benchmark's metrics in the order of its summary."""
    own = tuple(_mapping(summary.get("metrics")))
    benchmark = summary.get("benchmark")
    usual = _COLUMNS.get(benchmark if isinstance(benchmark, str) else "chartmimic", _CHARTMIMIC)
    is_chartmimic = usual is _CHARTMIMIC and set(own) <= set(_CHARTMIMIC)
    return usual if is_chartmimic or not own else own


def _known(run: _Run) -> Mapping[str, Any]:
    """The summary; without one, the benchmark as far as the items tell it."""
    if run.summary is not None:
        return run.summary
    scorers = {name for line in run.lines for name in _mapping(line.get("scores"))}
    return {"benchmark": _PAGES} if scorers & _PAGE_SCORERS else {}


def _footer(summary: Mapping[str, Any]) -> list[str]:
    statuses = _mapping(summary.get("statuses"))
    order = [*STATUSES, *(key for key in statuses if key not in STATUSES)]
    counted = ", ".join(f"{key} {statuses[key]}" for key in order if statuses.get(key))
    mode = _mapping(summary.get("protocol")).get("mode")
    parts = [
        _title(summary),
        _count(summary.get("n_samples", 0), "sample") + (f" ({counted})" if counted else ""),
        *([f"mode {mode}"] if mode else []),
    ]
    if summary.get("finished") is False:
        parts.append("unfinished")
    lines = [" · ".join(parts)]
    unscored = {k: n for k, n in _mapping(summary.get("n_unscored")).items() if n}
    if unscored:
        listed = ", ".join(f"{_LABELS.get(key, key)} {count}" for key, count in unscored.items())
        lines.append(f"Not scored, and in no mean: {listed}")
    return lines


def _why_null(metric: str, run: _Run) -> str:
    """Say why a figure of the table is missing."""
    if run.summary is None:
        return "the run is unfinished"
    unscored = _mapping(run.summary.get("n_unscored"))
    if metric == "overall":
        return "needs both Average and GPT"
    if metric == "average":
        return "needs Text, Layout, Type and Color"
    scorer = "execution" if metric in _RATES else metric.removesuffix("_pass")
    if count := unscored.get(scorer):
        return f"not scored: {_count(count, 'item')}{_main_reason(scorer, run.lines)}"
    return "no judge was named for this run" if scorer == "gpt" else "not measured in this run"


def _main_reason(scorer: str, lines: Iterable[Mapping[str, Any]]) -> str:
    """What most items without a value say of it, as the end of a sentence."""
    scores = (_mapping(_mapping(line.get("scores")).get(scorer)) for line in lines)
    reasons = Counter(
        reason for score in scores
        if score.get("value") is None and isinstance(reason := score.get("reason"), str)
    )  # fmt: skip
    if not reasons:
        return ""
    reason, _ = reasons.most_common(1)[0]
    return f", {'mostly: ' if len(reasons) > 1 else ''}{_clip(reason)}"


def _title(summary: Mapping[str, Any]) -> str:
    name = summary.get("benchmark")
    return _TITLES.get(name, name[:_MAX_TEXT]) if isinstance(name, str) else "Unfinished run"


def _figure(value: Any) -> str:
    number = _number(value)
    return NULL if number is None else f"{number:.2f}"


def _count(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _MAX_NUMBER else None  # false for NaN, too


def _mapping(value: Any) -> _Json:
    return cast("_Json", value) if isinstance(value, dict) else {}


# --- the page -----------------------------------------------------------------------------------


def _page(payload: Mapping[str, Any], table: str, linked: bool) -> str:
    assets = resources.files("rrvf") / "report_assets"
    style = (assets / "report.css").read_text(encoding="utf-8")
    script = (assets / "report.js").read_text(encoding="utf-8")
    titles = dict.fromkeys(run["title"] for run in payload["runs"])
    return Template((assets / "report.html").read_text(encoding="utf-8")).substitute(
        policy=_policy(style, script, linked),
        title=html.escape(", ".join(titles)),
        table=html.escape(table),
        style=style,
        script=script,
        data=_inert_json(payload),
    )


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
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(
            f"cannot write {path} ({error.strerror}); free some space or name another folder"
        ) from error
    return path
