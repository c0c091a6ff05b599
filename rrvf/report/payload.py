"""What the page is given: every item bounded, finite, with every key present."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from rrvf import __version__
from rrvf.loop_effect import (
    describe_loop,
    find_value_scorers,
    measure_collapse,
    measure_gain,
    read_episode,
)
from rrvf.repeats import describe_repeats
from rrvf.report.columns import read_columns, read_labels
from rrvf.report.episodes import episode_payload, run_episodes_payload
from rrvf.report.pictures import Pictures
from rrvf.report.reading import Run
from rrvf.report.table import (
    guess_summary,
    run_shows_pages,
    run_title,
    table_columns,
    why_null,
)
from rrvf.report.values import (
    MAX_CODE,
    MAX_ENTRIES,
    MAX_ERROR,
    MAX_TEXT,
    Json,
    clip,
    mapping,
    number,
)
from rrvf.types import STATUSES, Language


def page_payload(runs: Sequence[Run], pictures: Pictures) -> Json:
    """Everything that the page shows, as JSON.

    Args:
        runs: As read.
        pictures: Theirs.
    """
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in runs]
    # One table a benchmark, in the order of their first runs.
    tables: dict[str, dict[str, None]] = {}
    for run in runs:
        tables.setdefault(run_title(run.summary or {}), {}).update(
            dict.fromkeys(table_columns(guess_summary(run)))
        )
    return {
        "version": __version__,
        "statuses": list(STATUSES),
        "tables": [{"title": title, "columns": list(keys)} for title, keys in tables.items()],
        "labels": read_labels(*(run.summary or {} for run in runs)),
        "notes": list(pictures.notes),
        "pictures": dict(pictures.sources),
        "sizes": dict(pictures.sizes),
        "runs": [
            _run_payload(run, name, tables[run_title(run.summary or {})], pictures.sources)
            | {"table": list(tables).index(run_title(run.summary or {}))}
            for run, name in zip(runs, names, strict=True)
        ],
    }


def _run_payload(run: Run, name: str, keys: Iterable[str], sources: Mapping[str, str]) -> Json:
    summary = run.summary or {}
    metrics = mapping(summary.get("metrics"))
    protocol = mapping(summary.get("protocol"))
    environment = mapping(summary.get("environment"))
    pages = run_shows_pages(run)
    language: Language = "html" if pages else "python"
    scorers = find_value_scorers(read_columns(summary), run.lines)
    items = [
        _item(line, sources, run.episodes, language) | {"loop": _loop(line, scorers)}
        for line in run.lines
    ]
    values = {key: number(metrics.get(key)) for key in keys}
    return {
        "name": name,
        "title": run_title(summary),
        "pages": pages,
        "finished": summary.get("finished", run.summary is not None) is True,
        "has_summary": run.summary is not None,
        "notes": list(run.notes),
        "repeats": _repeats(summary),
        "n_samples": number(summary.get("n_samples")),
        "n_scored": number(summary.get("n_scored")),
        "n_unscored": clip(mapping(summary.get("n_unscored"))),
        "metrics": values,
        "why": {key: why_null(key, run) for key in keys if values[key] is None},
        "mode": clip(protocol.get("mode")),
        "confinement": _confinement(environment),
        "protocol": clip(protocol),
        "environment": clip(environment),
        "episodes": run_episodes_payload(summary),
        "items": items,
    }


def _item(
    line: Mapping[str, Any],
    sources: Mapping[str, str],
    episodes: Mapping[str, Json],
    language: Language,
) -> Json:
    """One item as the page takes it: bounded, finite, with every key present."""
    code, reply = line.get("code"), line.get("completion")
    scores = {str(k): mapping(v) for k, v in mapping(line.get("scores")).items()}
    shown_scores = clip(scores)
    item: Json = {
        "id": clip(line.get("sample_id")),
        "status": clip(str(line.get("status"))),
        "error": clip(line.get("error"), text=MAX_ERROR),
        "seconds": number(line.get("seconds")),
        "code": clip(code, text=MAX_CODE),
        # The reply repeats the code; it explains something only where no code was found in it.
        "reply": None if code else clip(reply, text=MAX_CODE),
        "tags": clip(mapping(line.get("tags"))),
        "other": clip(mapping(line.get("other_mode"))),
        "scores": shown_scores,
    }
    names = mapping(line.get("pictures"))
    for side in ("reference", "rendering"):
        name = names.get(side)
        item[side] = name if isinstance(name, str) and name in sources else None
        item[f"{side}_lost"] = isinstance(name, str) and name not in sources
    item["shortened"] = _is_shortened(shown_scores, scores) or (
        isinstance(code, str) and len(code) > MAX_CODE
    )
    episode = episodes.get(line["sample_id"])
    item["episode"] = episode and episode_payload(episode, line, language, sources)
    return item


def _repeats(summary: Mapping[str, Any]) -> list[str]:
    """What several episodes a sample, and the loop, came to; nothing of a file that is broken."""
    try:
        repeats = describe_repeats(mapping(summary.get("repeats")), read_labels(summary))
        loop = describe_loop(mapping(mapping(summary.get("episodes")).get("loop")))
        return [*repeats, *loop]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _loop(line: Mapping[str, Any], scorers: Sequence[str]) -> Json | None:
    """What the turns of an item's episode changed, in points; ``None`` where it had one at most."""
    episode = read_episode(line, {}, scorers)
    if episode is None or len(episode.states) < 2:
        return None
    return {"gain": measure_gain(episode), "collapse": measure_collapse(episode)}


def _is_shortened(shown_scores: Mapping[str, Any], scores: Mapping[str, Any]) -> bool:
    """Whether a list or table of scores lost entries; a text cut short shows its own ellipsis."""
    return any(
        len(shown_scores.get(scorer, ())) < len(details)
        or any(
            isinstance(value, list | dict) and len(cast("list[Any]", value)) > MAX_ENTRIES
            for value in details.values()
        )
        for scorer, details in scores.items()
    )


def _confinement(environment: Mapping[str, Any]) -> str | None:
    """The confinement level, wherever the environment keeps it, as one line."""
    for key, value in environment.items():
        if "confinement" in key:
            level = mapping(value).get("level", value)
            return (level if isinstance(level, str) else _flags(level))[:MAX_TEXT]
    nested = (_confinement(mapping(value)) for value in environment.values())
    return next((level for level in nested if level is not None), None)


def _flags(value: Any) -> str:
    """``{"files": true, "network": false}`` as "files, no network"; anything else as JSON."""
    flags = mapping(value)
    if not flags or not all(isinstance(on, bool) for on in flags.values()):
        return json.dumps(value)
    return ", ".join(name if on else f"no {name}" for name, on in flags.items())
