"""Score one of VLMEvalKit's prediction files as ``rrvf score`` does."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from rrvf.bench import Scoring
from rrvf.benchmarks.predictions import explain_loss
from rrvf.episodes import chats_in
from rrvf.errors import UserError
from rrvf.evaluate import score_predictions
from rrvf.files import write_atomically
from rrvf.report import write_report
from rrvf.run_folder import read_results, read_summary
from rrvf.runs import JudgeOptions, open_run
from rrvf.scoring import Item, item_key, tell_thoughts
from rrvf.types import SampleResult
from vlmeval_plugin import settings
from vlmeval_plugin.sources import Source

KEY_VARIABLE = "RRVF_JUDGE_KEY"
_CHAT = "/chat/completions"
_HOST_METHOD = "direct_prompting"
_HOST_KEYS = ("block_match", "text", "position", "color", "clip_design2code")
"""In the order that VLMEvalKit writes Design2Code's scores in."""

log = logging.getLogger("vlmeval.rrvf")


@dataclass(frozen=True, slots=True)
class Scored:
    """What came out.

    Attributes:
        rows: One for all samples, then one a task where there are several; metrics in the paper's
            units, ``None`` where not measured.
        folder: The run, with ``results.jsonl``, ``summary.json`` and ``report.html``.
    """

    rows: Sequence[Mapping[str, Any]]
    folder: Path


def evaluate(
    source: Source, predictions: Path, ids: Sequence[str], judge: JudgeOptions | None
) -> Scored:
    """Score the rows of a prediction file.

    Args:
        source: Of the samples.
        predictions: As VLMEvalKit wrote it.
        ids: The rows in it; samples without a row (``--limit``) are left out.
        judge: Who fills the GPT column.

    Raises:
        UserError: Data or predictions that cannot be used, or something this machine lacks.
    """
    with open_run(source.name, replace(source.options(predictions), judge=judge)) as (
        all_items,
        scoring,
    ):
        rows = set(ids)
        items = [item for item in all_items if item[0].id in rows]
        if not items:
            raise UserError(f"{predictions}: none of its rows is a sample of {source.name}")
        reasons = [f"{item[0].id}: {why}" for item in items if (why := explain_loss(item[1]))]
        if reasons:
            log.warning("%d answers are left unscored, such as %s", len(reasons), reasons[0])
        if thoughts := tell_thoughts(items):
            log.info(thoughts)
        for line in scoring.lacks():
            log.warning(line)
        folder = _folder(predictions, items, scoring)
        workers = source.options(predictions).workers
        with closing(score_predictions(items, scoring, folder, workers)) as stream:
            results = list(_show_progress(stream, len(items)))
        log.info("report: %s", write_report([folder], folder))
        return Scored(_rows(items, results, scoring, read_summary(folder)), folder)


def judge_options(options: Mapping[str, Any]) -> JudgeOptions | None:
    """The judge in what VLMEvalKit passes to ``evaluate``; ``None`` where it names none.

    As in VLMEvalKit, ``$OPENAI_API_BASE`` holds where no address is given, and the key is
    ``$OPENAI_API_KEY`` unless one is given.
    """
    model = options.get("model")
    if not model:
        return None
    our_settings = settings.current()
    address = options.get("api_base") or os.environ.get("OPENAI_API_BASE")
    if options.get("key"):
        os.environ[KEY_VARIABLE] = str(options["key"])
    return JudgeOptions(
        model=str(model),
        base_url=address.removesuffix(_CHAT) if address else None,
        concurrency=int(options.get("nproc") or JudgeOptions(model="").concurrency),
        key_variable=KEY_VARIABLE if options.get("key") else "OPENAI_API_KEY",
        name=our_settings.judge_name,
        since=our_settings.fresh,
    )


def write_host_scores(folder: Path, run: Path, pages: Mapping[str, str]) -> None:
    """The files that VLMEvalKit's class of Design2Code leaves.

    ``res_dict.json`` holds for each page the mean of its five scores and then these, 0 to 1;
    ``null`` where one was not measured, which VLMEvalKit does not know. Answers and references lie
    beside it as pages.

    Args:
        folder: To write into.
        run: Of the results.
        pages: Sample -> its reference.
    """
    results, _ = read_results(run)
    scores_by_file: dict[str, list[float | None]] = {}
    for name, result in results.items():
        scores = [score.value if (score := result.scores.get(key)) else None for key in _HOST_KEYS]
        values = [value for value in scores if value is not None]
        mean = sum(values) / len(scores) if len(values) == len(scores) else None
        scores_by_file[f"{name}.html"] = [mean, *scores]
        write_atomically(folder / "predictions" / f"{name}.html", _encode(result.code or ""))
        write_atomically(folder / "reference" / f"{name}.html", _encode(pages[name]))
    text = json.dumps({_HOST_METHOD: scores_by_file}, indent=4)
    write_atomically(folder / "res_dict.json", text.encode())


def _encode(html: str) -> bytes:
    return html.encode("utf-8", "replace")


def _folder(predictions: Path, items: Sequence[Item], scoring: Scoring) -> Path:
    """Beside the predictions; another for another judge, other settings, samples or answers."""
    judges = [chat.identity().to_json() for chat in chats_in(scoring).values()]
    fresh = settings.current().fresh
    answers = [(item[0].id, item_key(item)) for item in items]
    parts = [scoring.protocol(), scoring.environment(), judges, fresh, answers]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
    return predictions.with_name(f"{predictions.stem}_rrvf_{digest[:8]}").absolute()


def _show_progress(results: Iterator[SampleResult], total: int) -> Iterator[SampleResult]:
    """With VLMEvalKit's kind of progress bar."""
    from tqdm import tqdm

    return iter(cast("Any", tqdm)(results, total=total, desc="Scoring"))


def _rows(
    items: Sequence[Item],
    results: Sequence[SampleResult],
    scoring: Scoring,
    summary: Mapping[str, Any],
) -> list[dict[str, Any]]:
    rows = [_row("all", summary["n_samples"], summary["metrics"], results)]
    tasks = {item[0].id: item[0].task for item in items}
    for task in sorted(set(tasks.values())):
        task_results = [result for result in results if tasks[result.sample_id] == task]
        rows.append(_row(task, len(task_results), scoring.metrics(task_results), task_results))
    return rows if len(rows) > 2 else rows[:1]


def _row(
    split: str, n: int, metrics: Mapping[str, Any], results: Sequence[SampleResult]
) -> dict[str, Any]:
    n_unscored = sum(
        any(score.value is None for score in result.scores.values()) for result in results
    )
    return {"split": split, "example_count": n, **metrics, "unscored": n_unscored}
