"""A run folder as it lies on disk, finished or not, whole or torn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rrvf.errors import DataError
from rrvf.report.values import Json, count_of, mapping
from rrvf.scoring import tell_glyphs


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder as read from disk.

    Attributes:
        folder: Where it lies.
        summary: ``None`` where none was written yet.
        lines: Of ``results.jsonl``.
        notes: What the page must say about the files.
        episodes: Sample id -> its line of ``trajectories.jsonl``; empty without the loop.
    """

    folder: Path
    summary: Json | None
    lines: tuple[Json, ...]
    notes: tuple[str, ...]
    episodes: Mapping[str, Json]


def read_run(folder: Path) -> Run:
    """Read what there is.

    Raises:
        DataError: The folder is missing or holds no run, or its summary cannot be read.
    """
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
    glyphs = tell_glyphs(mapping(line.get("tags")) for line in lines)
    notes += [f"{glyphs}."] if glyphs else []
    episodes = _read_episodes(folder / "trajectories.jsonl")
    return Run(folder, summary, tuple(lines), tuple(notes), episodes)


def _read_summary(path: Path) -> Json | None:
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
    return cast("Json", value)


def _read_results(path: Path) -> tuple[list[Json], list[str]]:
    """Read every whole line; the last of a sample's lines counts, as in a resumed run."""
    if not path.is_file():
        return [], []
    raw_lines = path.read_bytes().split(b"\n")
    numbered_lines = [(number, raw) for number, raw in enumerate(raw_lines, 1) if raw.strip()]
    by_id: dict[str, Json] = {}
    bad_lines: list[int] = []
    n_repeated = 0
    for number, raw in numbered_lines:
        line = _parse_line(raw)
        if line is None:
            bad_lines.append(number)
            continue
        n_repeated += line["sample_id"] in by_id
        by_id[line["sample_id"]] = line
    last = numbered_lines[-1][0] if numbered_lines else 0
    return list(by_id.values()), _line_notes(bad_lines, last, n_repeated)


def _read_episodes(path: Path) -> dict[str, Json]:
    """The last whole line of every sample. A torn one is no news: its episode is played again."""
    raw_lines = path.read_bytes().split(b"\n") if path.is_file() else []
    lines = [line for raw in raw_lines if (line := _parse_line(raw)) is not None]
    return {line["sample_id"]: line for line in lines}


def _parse_line(raw: bytes) -> Json | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    line = mapping(value)
    return line if isinstance(line.get("sample_id"), str) else None


def _line_notes(bad_lines: Sequence[int], last: int, n_repeated: int) -> list[str]:
    notes: list[str] = []
    if last in bad_lines:
        notes.append("The last line of results.jsonl is torn and was left out.")
    if inner_lines := [number for number in bad_lines if number != last]:
        places = ", ".join(map(str, inner_lines[:10])) + (", …" if inner_lines[10:] else "")
        notes.append(f"Unreadable lines of results.jsonl were left out: {places}.")
    if n_repeated:
        notes.append(
            f"{count_of(n_repeated, 'repeated line')} in results.jsonl: the last one counts."
        )
    return notes


def _summary_notes(summary: Mapping[str, Any] | None, n_items: int, has_results: bool) -> list[str]:
    if summary is None:
        return [f"This run is unfinished: {count_of(n_items, 'item')} on file, no summary yet."]
    if not has_results:
        return ["results.jsonl is missing, so only the table is shown."]
    if summary.get("finished") is False:
        return [
            f"This run is unfinished: the figures cover the {count_of(n_items, 'item')} on file."
        ]
    n_expected = summary.get("n_samples")
    if isinstance(n_expected, int) and n_expected != n_items:
        return [
            f"The summary counts {count_of(n_expected, 'sample')}, results.jsonl holds {n_items}."
        ]
    return []
