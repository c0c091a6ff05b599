"""The steps of a row; each resumes from what an earlier start left.

The policy plays first, without a judge. Then its server stops, and the same answers are judged. So
the GPUs are free while the judge works, and a judge that refuses a key costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from rrvf.bench import Scoring
from rrvf.episodes import list_remarks
from rrvf.files import write_atomically
from rrvf.reproduce.data import fetch_data
from rrvf.reproduce.job import Job
from rrvf.reproduce.needs import list_needs, require
from rrvf.reproduce.progress import read_progress
from rrvf.reproduce.recipe import refuse_other, to_bytes
from rrvf.reproduce.row import write_row
from rrvf.reproduce.servers import end_strays, serve_models
from rrvf.rescore import open_rescored, read_run
from rrvf.run_folder import lock_folder, read_results, require_apart
from rrvf.runs import open_episodes
from rrvf.scoring import Item
from rrvf.types import SampleResult

_RECIPE = "recipe.json"


class ScoreItems(Protocol):
    """Scores items into a folder, and shows how it goes."""

    def __call__(
        self,
        items: Sequence[Item],
        scoring: Scoring,
        out: Any,
        workers: int,
        *,
        options: Mapping[str, Any],
    ) -> Sequence[SampleResult]:
        """Results of all of them."""
        ...


def reproduce(
    job: Job, score: ScoreItems, tell: Callable[[str], None]
) -> tuple[str, Sequence[SampleResult]]:
    """Do what is left to do of a row.

    Args:
        job: The recipe with the user's options.
        score: Scores items, as every command does.
        tell: Shows a line.

    Returns:
        The row beside the paper's, in Markdown, and the results behind it.

    Raises:
        UserError: Something is missing, or a step cannot continue; finished work is kept.
    """
    require_apart(job.out, job.options.data)
    with _open_folder(job):
        progress = read_progress(job)
        end_strays(job, keep=not progress.played)
        require(list_needs(job, progress))
        if progress.played:
            tell(f"play: done before, {progress.n_played} episodes in {job.played}")
        else:
            tell("data: looked up, and fetched where they are not here")
            data = fetch_data(job)
            tell(f"data: {data}")
            _play(job, data, score, tell)
        if progress.judged:
            tell(f"judge: done before, {progress.n_judged} results in {job.judged}")
            return write_row(job), list(read_results(job.judged)[0].values())
        results = _judge(job, score, tell)
        return write_row(job), results


def _play(job: Job, data: str, score: ScoreItems, tell: Callable[[str], None]) -> None:
    """The policy answers; what it has answered before is not asked again."""
    with serve_models(job, tell) as urls:
        tell(f"play: {job.model_name('policy')} into {job.played}")
        options = job.run_options(data)
        loop = job.loop_options(urls["policy"], urls.get("teacher"))
        with open_episodes(job.recipe.row.benchmark, options, loop, job.played) as opened:
            items, scoring = opened
            score(items, scoring, job.played, options.workers, options=options.to_json())
    for line in list_remarks(job.played):
        tell(line)


def _judge(job: Job, score: ScoreItems, tell: Callable[[str], None]) -> Sequence[SampleResult]:
    """The answers are scored once more, by the judge as well."""
    judge = job.judge_options()
    tell(f"judge: {judge.model} into {job.judged}")
    old_run = read_run(job.played)
    now: dict[str, Any] = {
        name: value
        for name in ("data", "chart_python", "browser", "clip_weights", "workers", "confinement")
        if (value := getattr(job.options, name)) is not None
    }
    options = replace(old_run.options, **now, judge=judge)
    with open_rescored(old_run, options, job.judged) as (items, scoring):
        return score(items, scoring, job.judged, options.workers, options=options.to_json())


@contextmanager
def _open_folder(job: Job) -> Generator[None]:
    """The folder of a row, for one process and one recipe.

    Raises:
        UserError: Another process or another recipe has it, or it cannot be written.
    """
    file = job.out / _RECIPE
    handle = lock_folder(job.out)
    try:
        if file.exists():
            refuse_other(str(job.out), job.recipe, file.read_bytes())
        else:
            write_atomically(file, to_bytes(job.recipe))
        yield
    finally:
        os.close(handle)
