"""Score samples and answers: each result is written when it is finished, and a run can resume."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from rrvf.bench import Scoring
from rrvf.benchmarks.benchmark import count_unscored
from rrvf.benchmarks.predictions import explain_loss
from rrvf.by_turn import summarize_episodes
from rrvf.episodes import TRAJECTORIES, LoopScoring, chats_in
from rrvf.errors import HarnessError, SetupError, boundary
from rrvf.loop_effect import find_value_scorers, read_episodes, summarize_loop
from rrvf.renderers.official_packages import name_missing_package
from rrvf.repeats import summarize_repeats
from rrvf.run_folder import RunFolder, read_refused, to_json
from rrvf.scoring import Item, Outcome, item_key, make_unscored
from rrvf.types import BenchmarkResult, SampleResult


def score_item(item: Item, scoring: Scoring) -> Outcome:
    """Draw one answer and its reference and compare them; our own failures give unscored."""
    try:
        with boundary(f"scoring {item[0].id}"):
            if reason := explain_loss(item[1]):
                raise HarnessError(reason)
            outcome = _name_modules(scoring.score(item))
            # What a scorer from elsewhere puts into its details may be no JSON.
            json.dumps(to_json(outcome.result), allow_nan=False)
            return outcome
    except HarnessError as error:
        return Outcome(make_unscored(item, scoring.names(), error))


def _name_modules(outcome: Outcome) -> Outcome:
    """The same outcome, whose error names a module that the official environment has."""
    error = name_missing_package(outcome.result.error)
    return replace(outcome, result=replace(outcome.result, error=error))


# ------------------------------------------------------------------------------ many items


class Executor(Protocol):
    """Scores many items, on this machine or elsewhere."""

    def __call__(self, items: Sequence[Item], scoring: Scoring, workers: int) -> Generator[Outcome]:
        """Yield one outcome per item when it is finished; work stops with the generator.

        Args:
            items: The items to score.
            scoring: The scoring of this process, which others must match.
            workers: Executions at the same time.

        Raises:
            UserError: Nothing can be scored there, or not any more.
        """
        ...


def score_predictions(
    items: Sequence[Item],
    scoring: Scoring,
    out: Path,
    workers: int = 2,
    executor: Executor | None = None,
    options: Mapping[str, Any] | None = None,
) -> Generator[SampleResult]:
    """Score every item and write each result at once; results already in the folder come first.

    Items are scored by ``executor``, or else in threads here. Only this process writes.

    ``summary.json`` describes the results, however the run ends. A caller that may leave early
    closes the generator (:func:`contextlib.closing`). This stops work in progress and the renderer,
    which cannot be used afterwards.

    Args:
        items: The items to score.
        scoring: Scores them.
        out: Folder of the run.
        workers: Executions at the same time.
        executor: Scores items elsewhere.
        options: The run's options, for a later scoring; plain JSON.

    Raises:
        DataError: ``out`` holds another run, or cannot be written.
        UserError: Another process writes there, or no space left.
    """
    keys = {item[0].id: _key(item, scoring) for item in items}
    unanswered_keys = {item[0].id: _unanswered_key(item, scoring) for item in items}
    for part, chat in chats_in(scoring).items():
        chat.leave_out(read_refused(out, part))
    settings = {"protocol": scoring.protocol(), "environment": scoring.environment()}
    identities, setup_error = _identify_chats(scoring)
    with boundary(f"opening {out}"):
        record = _flatten({**settings, "asked": identities, "told": options or {}})
        folder = RunFolder(out, record, keys, unanswered_keys)
    with folder:
        results = dict(folder.results)
        folder.note_refused(settings["protocol"])
        refused = _list_refused(scoring)
        try:
            yield from results.values()
            todo = [item for item in items if item[0].id not in results]
            if todo and setup_error is not None and executor is None:
                raise setup_error
            outcomes = (executor or run_in_threads)(todo, scoring, workers)
            with closing(outcomes):
                for outcome in outcomes:
                    with boundary("writing results"):
                        result = _write(outcome, folder)
                        refused = _note_refused(scoring, folder, refused)
                    results[result.sample_id] = result
                    yield result
        finally:
            in_order = [results[item[0].id] for item in items if item[0].id in results]
            summary = summarize(in_order, len(items), scoring, folder.path)
            with boundary("writing the summary"):
                folder.finish(summary, finished=len(in_order) == len(items))


def _key(item: Item, scoring: Scoring) -> str:
    """Identifies what a result is made from: the answer, or the episode that is to give it."""
    return scoring.key(item[0]) if isinstance(scoring, LoopScoring) else item_key(item)


def _unanswered_key(item: Item, scoring: Scoring) -> str:
    """The same where there is no answer to the sample."""
    sample, _ = item
    if isinstance(scoring, LoopScoring):
        return scoring.key(sample, use_recording=False)
    return item_key((sample, None))


def _identify_chats(scoring: Scoring) -> tuple[dict[str, Any], SetupError | None]:
    """The identity of everybody who is asked in a run, by part; and the first error on the way.

    A finished run is read without anybody there.
    """
    identities: dict[str, Any] = {}
    setup_error: SetupError | None = None
    for part, chat in chats_in(scoring).items():
        identity = chat.address()
        try:
            identity = chat.identity()
        except SetupError as error:
            setup_error = setup_error or error
        identities[part] = identity.to_json()
        if chat.settings.since:
            identities["fresh"] = chat.settings.since
    return identities, setup_error


def _list_refused(scoring: Scoring) -> dict[str, list[str]]:
    """What each server did not take of the requests so far."""
    return {part: chat.refused() for part, chat in chats_in(scoring).items()}


def _note_refused(
    scoring: Scoring, folder: RunFolder, known: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Note it in the run as soon as it is another: a kill must not make it forget."""
    refused = _list_refused(scoring)
    if refused != known:
        folder.note_refused(scoring.protocol())
    return refused


def _flatten(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by dotted name, so that a difference can be named."""
    return {
        f"{part}.{name}": value for part, inner in settings.items() for name, value in inner.items()
    }


def _write(outcome: Outcome, folder: RunFolder) -> SampleResult:
    names = {kind: folder.add_picture(data) for kind, data in outcome.pictures.items()}
    result = replace(outcome.result, pictures=names)
    folder.append(result)
    return result


def run_in_threads(items: Sequence[Item], scoring: Scoring, workers: int) -> Generator[Outcome]:
    """The executor of one machine: outcomes as they are finished, a bounded number under way."""
    queue = iter(items)
    # An item that waits for an answer keeps no renderer busy; renderers bound themselves.
    threads = workers + scoring.count_waiting()
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        futures: set[Future[Outcome]] = set()
        try:
            while True:
                for item in queue:
                    futures.add(pool.submit(score_item, item, scoring))
                    if len(futures) >= 2 * threads:
                        break
                if not futures:
                    return
                ready, futures = wait(futures, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            # What is drawn, or waits for a server, would hold up the exit for minutes.
            scoring.close()
            for chat in chats_in(scoring).values():
                chat.close()
            raise


def summarize(
    results: Sequence[SampleResult], n_samples: int, scoring: Scoring, folder: Path
) -> BenchmarkResult:
    """The table of a run, whose episodes lie in ``folder``."""
    return BenchmarkResult(
        benchmark=scoring.benchmark.name,
        n_samples=n_samples,
        statuses=dict(Counter(result.status for result in results)),
        n_unscored=count_unscored(results),
        metrics=scoring.metrics(results),
        environment=scoring.environment(),
        protocol=scoring.protocol(),
        episodes=_summarize_episodes(results, scoring, folder),
        repeats=summarize_repeats(results, scoring.benchmark.columns),
        columns=scoring.benchmark.columns,
        kind=scoring.benchmark.kind,
    )


def _summarize_episodes(
    results: Sequence[SampleResult], scoring: Scoring, folder: Path
) -> dict[str, Any]:
    episodes = summarize_episodes(results, scoring.metrics)
    if not episodes:
        return {}
    lines = {result.sample_id: _make_line(result) for result in results}
    scorers = find_value_scorers(scoring.benchmark.columns, lines.values())
    played = read_episodes(folder / TRAJECTORIES, lines, scorers)
    return episodes | {"loop": summarize_loop(played, scorers)}


def _make_line(result: SampleResult) -> dict[str, Any]:
    """What an episode's measures need of a line of ``results.jsonl``."""
    return {
        "sample_id": result.sample_id,
        "code": result.code,
        "pictures": result.pictures,
        "tags": result.tags,
        "episode": asdict(result.episode) if result.episode is not None else None,
    }
