"""Draw the pictures that a run left out, from the code that it recorded."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rrvf.bench import Bench
from rrvf.errors import DataError, HarnessError, boundary
from rrvf.rescore import Rescoring, open_again, read_run
from rrvf.run_folder import name_pictures, store_picture
from rrvf.scoring import find_reference_error
from rrvf.types import Sample, SampleResult

Names = Mapping[str, str]
"""Side of a comparison -> file name of its picture."""


def find_left_out(folder: Path) -> tuple[Rescoring, tuple[str, ...]] | None:
    """A run and its samples that were scored without keeping pictures.

    Args:
        folder: Of a run, finished or not.

    Returns:
        ``None`` where there are no such samples, or no run that can tell.
    """
    try:
        run = read_run(folder)
    except DataError:
        return None
    left_out = tuple(name for name, result in run.results.items() if _was_left_out(result))
    return (run, left_out) if left_out else None


def _was_left_out(result: SampleResult) -> bool:
    """Whether there are pictures to be had, and none were kept."""
    if result.pictures or result.status == "harness_error":
        return False
    return result.status == "ok" or find_reference_error(result) is None


def draw_left_out(run: Rescoring, names: tuple[str, ...], workers: int) -> Generator[str]:
    """Draw the pictures of some samples, and name them in the run's results.

    Whoever stops early keeps what is drawn.

    Args:
        run: The run.
        names: Of the samples.
        workers: Executions at the same time.

    Yields:
        The name of each sample that is done.

    Raises:
        UserError: The samples are not where they were, or this machine lacks something.
    """
    options = replace(run.options, scorers=("execution",), judge=None, workers=workers)
    names_by_sample: dict[str, Names] = {}
    with open_again(run, options) as (samples, bench), ThreadPoolExecutor(workers) as pool:
        futures = {
            pool.submit(_draw, run, samples[name], bench): name for name in names if name in samples
        }
        try:
            for future in as_completed(futures):
                names_by_sample[futures[future]] = future.result()
                yield futures[future]
        except BaseException:
            for future in futures:
                future.cancel()
            bench.close()
            raise
        finally:
            with boundary(f"writing to {run.folder}"):
                name_pictures(run.folder, names_by_sample)


def _draw(run: Rescoring, sample: Sample, bench: Bench) -> Names:
    """Both pictures of a sample, stored; what cannot be drawn is left out."""
    result = run.results[sample.id]
    script = bench.benchmark.script(sample, result.completion)
    pictures: dict[str, bytes | None] = {}
    with suppress(HarnessError):
        pictures["reference"] = bench.kind.draw_target(sample).png
        if script is not None and result.status == "ok":
            pictures["rendering"] = bench.kind.draw(script).png
    with boundary(f"writing to {run.folder}"):
        return {side: store_picture(run.folder, png) for side, png in pictures.items() if png}
