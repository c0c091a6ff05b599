"""Samples and answers in, results out: each as it is finished; a run can go on later."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import rrvf
from rrvf.benchmarks import chartmimic_rules as rules
from rrvf.errors import HarnessError, UserError, boundary
from rrvf.renderers.chart import ChartRenderer, ChartScript, source_hash
from rrvf.run_folder import RunFolder, to_json
from rrvf.scorers import Scorer, find_scorers, score_all, usable
from rrvf.types import BenchmarkResult, Drawing, Mode, Rendering, Sample, SampleResult, Score

Item = tuple[Sample, str | None]

TOLERANCE = 1e-12
NO_BLOCK = "no ```python block in the answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored answer with its pictures."""

    result: SampleResult
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ChartScoring:
    """How chart answers are scored.

    Attributes:
        renderer: Where scripts are drawn.
        mode: ``official`` or ``fixed``.
        scorers: Names or dotted paths.
    """

    renderer: ChartRenderer
    mode: Mode = "official"
    scorers: tuple[str, ...] = rules.SCORERS
    benchmark: str = "chartmimic"

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        settings: dict[str, Any] = {
            "benchmark": self.benchmark,
            "mode": self.mode,
            "scorers": list(self.scorers),
            "cpu_seconds": self.renderer.limits.cpu_seconds,
            "recorder": source_hash(),
        }
        digest = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
        return {**settings, "hash": digest}

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""
        said = self.renderer.environment
        names = ("rrvf", "numpy", "scipy")
        return {
            "confinement": said["level"],
            "runs_as": said["user"],
            "chart_python": said["python"],
            "chart_versions": said["versions"],
            "fonts": {"count": said["n_fonts"], "hash": said["fonts_hash"]},
            "host_versions": {name: _version(name) for name in names},
            "host_python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
        }


def _version(name: str) -> str:
    return rrvf.__version__ if name == "rrvf" else metadata.version(name)


# ----------------------------------------------------------------------------- one item


def score_item(item: Item, scoring: ChartScoring, scorers: Mapping[str, Scorer]) -> Outcome:
    """Draw one answer and its reference, and compare them; our own failures become unscored."""
    sample, completion = item
    try:
        with boundary(f"scoring {sample.id}"):
            outcome = _score(sample, completion, scoring, scorers)
            # What a scorer from elsewhere puts into its details may be no JSON.
            json.dumps(to_json(outcome.result), allow_nan=False)
            return outcome
    except HarnessError as error:
        scores = {name: Score.unscored(str(error)) for name in scorers}
        result = SampleResult(
            sample.id,
            "harness_error",
            str(error),
            0.0,
            scores,
            completion=completion,
            tags=sample.tags,
        )
        return Outcome(result, {})


def _score(
    sample: Sample, completion: str | None, scoring: ChartScoring, scorers: Mapping[str, Scorer]
) -> Outcome:
    if sample.reference_code is None:
        raise HarnessError("the sample has no reference code")
    reference = scoring.renderer.render_reference(sample.reference_code)
    pictures = {"reference": reference.png} if reference.png else {}
    target = reference.drawing(scoring.mode)
    script = rules.script_for(sample, completion)
    if script is None:
        result = SampleResult(
            sample.id,
            "no_code",
            _told("no answer" if completion is None else NO_BLOCK, sample, target),
            0.0,
            {name: Score.failed() for name in scorers},
            completion=completion,
            tags=sample.tags,
        )
        return Outcome(result, pictures)
    rendering = scoring.renderer.render(script)
    if rendering.png:
        pictures["rendering"] = rendering.png
    return Outcome(
        _compare(sample, completion, script, reference, rendering, scoring, scorers), pictures
    )


def _compare(
    sample: Sample,
    completion: str | None,
    script: ChartScript,
    reference: Rendering,
    rendering: Rendering,
    scoring: ChartScoring,
    scorers: Mapping[str, Scorer],
) -> SampleResult:
    modes: tuple[Mode, Mode] = ("official", "fixed")
    by_mode = {
        mode: score_all(
            scorers, rules.target_for(sample, reference, mode), rendering.drawing(mode), mode
        )
        for mode in modes
    }
    drawing = rendering.drawing(scoring.mode)
    other: Mode = "fixed" if scoring.mode == "official" else "official"
    fixed_code = script.fixed if script.fixed is not None else script.official
    return SampleResult(
        sample_id=sample.id,
        status=drawing.status,
        error=_told(drawing.error, sample, reference.drawing(scoring.mode)),
        seconds=rendering.seconds,
        scores=by_mode[scoring.mode],
        code=script.official if scoring.mode == "official" else fixed_code,
        completion=completion,
        other_mode=differences(by_mode[scoring.mode], by_mode[other]),
        tags=sample.tags,
    )


def _told(error: str | None, sample: Sample, target: Drawing) -> str | None:
    """What went wrong with the answer, then what is wrong with its reference."""
    if usable(target):
        return error
    broken = f"the reference {sample.id} cannot be drawn: {target.error}"
    return broken if error is None else f"{error}; {broken}"


def differences(chosen: Mapping[str, Score], other: Mapping[str, Score]) -> dict[str, float]:
    """Values of the other mode, where they are not those of the chosen one."""
    found: dict[str, float] = {}
    for name, score in chosen.items():
        value = other[name].value
        if value is not None and (score.value is None or abs(value - score.value) > TOLERANCE):
            found[name] = value
    return found


# ------------------------------------------------------------------------------ many items


def item_key(item: Item) -> str:
    """Identifies what a result was made from."""
    sample, completion = item
    parts = (sample.reference_code or "", sample.task, "\0" if completion is None else completion)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def score_predictions(
    items: Sequence[Item], scoring: ChartScoring, out: Path, workers: int = 2
) -> Generator[SampleResult]:
    """Score every item, writing as it goes; items that the folder already holds come first.

    Whether it ends, is closed early or is interrupted: ``summary.json`` then tells what there is.
    Who may leave early closes it (:func:`contextlib.closing`); what is under way then ends with
    the renderer, which is of no use afterwards.

    Raises:
        DataError: ``out`` holds another run, or cannot be written.
        UserError: No scorers, another process writes there, or no space left.
    """
    if not scoring.scorers:
        raise UserError("no scorers named; leave --scorers out for those of the benchmark")
    scorers = find_scorers(scoring.scorers)
    keys = {item[0].id: item_key(item) for item in items}
    settings = {"protocol": scoring.protocol(), "environment": scoring.environment()}
    with boundary(f"opening {out}"):
        folder = RunFolder(out, _flat(settings), keys)
    with folder:
        results = dict(folder.done)
        try:
            yield from results.values()
            todo = [item for item in items if item[0].id not in results]
            for outcome in _in_parallel(todo, scoring, scorers, workers):
                with boundary("writing results"):
                    result = _written(outcome, folder)
                results[result.sample_id] = result
                yield result
        finally:
            in_order = [results[item[0].id] for item in items if item[0].id in results]
            summary = summarize(in_order, len(items), scoring)
            with boundary("writing the summary"):
                folder.finish(summary, finished=len(in_order) == len(items))


def _flat(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by dotted name, so that a difference can be named."""
    return {
        f"{part}.{name}": value for part, inner in settings.items() for name, value in inner.items()
    }


def _written(outcome: Outcome, folder: RunFolder) -> SampleResult:
    names = {kind: folder.add_picture(data) for kind, data in outcome.pictures.items()}
    result = replace(outcome.result, pictures=names)
    folder.append(result)
    return result


def _in_parallel(
    items: Sequence[Item], scoring: ChartScoring, scorers: Mapping[str, Scorer], workers: int
) -> Iterator[Outcome]:
    """Outcomes as they are finished; a bounded number under way."""
    waiting = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="score") as pool:
        running: set[Future[Outcome]] = set()
        try:
            while True:
                for item in waiting:
                    running.add(pool.submit(score_item, item, scoring, scorers))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BaseException:
            for future in running:
                future.cancel()
            scoring.renderer.close()  # what still runs would hold up the exit for a minute
            raise


def summarize(
    results: Sequence[SampleResult], n_samples: int, scoring: ChartScoring
) -> BenchmarkResult:
    """The table of a run."""
    return BenchmarkResult(
        benchmark=scoring.benchmark,
        n_samples=n_samples,
        statuses=dict(Counter(result.status for result in results)),
        n_unscored=rules.n_unscored(results),
        metrics=rules.metrics(results),
        environment=scoring.environment(),
        protocol=scoring.protocol(),
    )
