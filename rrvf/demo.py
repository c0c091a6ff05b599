"""The bundled demo: a dozen charts and some pages, with answers that show every kind of result.

Then one episode of a chart and one of a page run through the real loop and its renderers. The words
of the policy and the teacher were recorded; the teacher answers over HTTP.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from rrvf.agent import AgentSettings
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.design2code import Design2Code
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.benchmarks.websight import WebSight
from rrvf.chat import Chat, ChatSettings
from rrvf.demo_teacher import MODEL, serve_comments
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.evaluate import score_predictions
from rrvf.kinds.kind import RendererOptions
from rrvf.policies import RecordedPolicy
from rrvf.run_folder import read_summary
from rrvf.runs import OpenRun
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scoring import Item
from rrvf.teacher import ModelTeacher, teacher_prompt

SECONDS = 5
"""Short, since one of the answers is an endless loop."""

PAGE_SCORERS = ("execution", "block_match", "text", "position", "color")
"""Those that need no weights."""

DESIGN_ANSWERS: Mapping[str, str] = {
    "careful": "predictions.jsonl",
    "hasty": "predictions_hasty.jsonl",
}
"""The two answers to each page of Design2Code's demo -> where they are."""


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One benchmark of the demo.

    Attributes:
        title: For a person.
        folder: Where its run lies below the demo's folder.
        episode: The recording to play afterwards with the same renderer; it is a run of its own.
        open: Gives items and scoring, the renderer running as long as the context lasts.
    """

    title: str
    folder: str
    episode: str | None
    open: Callable[[], AbstractContextManager[OpenRun]]


def demo_runs(
    workers: int, chart_python: Path | None, browser: Path | None, confinement: str
) -> Iterator[DemoRun]:
    """The benchmarks of the demo, one after another."""
    options = RendererOptions(
        workers=workers,
        seconds=SECONDS,
        chart_python=chart_python,
        browser=browser,
        confinement=confinement,
    )

    @contextmanager
    def open_charts() -> Generator[OpenRun]:
        with open_bench(ChartMimic(), options, judge=LikenessJudge()) as bench:
            yield demo_items(), bench

    @contextmanager
    def open_figures() -> Generator[OpenRun]:
        with open_bench(Plot2Code(), options, judge=LikenessJudge()) as bench:
            yield demo_figures(), bench

    @contextmanager
    def open_pages() -> Generator[OpenRun]:
        page_options = replace(options, seconds=None)
        with open_bench(
            WebSight(), page_options, scorers=PAGE_SCORERS, judge=LikenessJudge()
        ) as bench:
            yield demo_pages(), bench

    @contextmanager
    def open_designs() -> Generator[OpenRun]:
        page_options = replace(options, seconds=None)
        with (
            resources.as_file(_find_bundled(Design2Code.name)) as folder,
            open_bench(
                Design2Code(),
                page_options,
                scorers=PAGE_SCORERS,
                judge=LikenessJudge(),
                data=str(folder / "references"),
            ) as bench,
        ):
            yield demo_designs(), bench

    yield DemoRun("ChartMimic", ".", "charts", open_charts)
    yield DemoRun("Plot2Code", Plot2Code.name, None, open_figures)
    yield DemoRun("WebSight", WebSight.name, "pages", open_pages)
    yield DemoRun("Design2Code", Design2Code.name, None, open_designs)


def play_episode(name: str, items: Sequence[Item], bench: Bench, out: Path) -> str:
    """Play and score what was recorded, unless the folder holds it already.

    Args:
        name: Of the recording, ``charts`` or ``pages``.
        items: Among them the one that it is about.
        bench: How its answer is scored; its renderer draws meanwhile.
        out: Folder of the episode's run.

    Returns:
        How it went, in a line.
    """
    recording = resources.files("rrvf") / "demo_data" / "episodes" / f"{name}.jsonl"
    entry = json.loads(recording.read_text("utf-8"))
    [sample] = [sample for sample, _ in items if sample.id == entry["id"]]
    with (
        _open_loop(entry, bench, Trajectories(out)) as loop,
        closing(score_predictions([(sample, None)], loop, out, workers=1)) as results,
    ):
        [result] = results
    if result.episode is None or not result.episode.by_turn:
        return f"episode {sample.id} failed: {result.error}"
    episode, turns = result.episode, result.episode.by_turn
    drawn = [turn.scores for turn in turns if turn.status == "ok"]
    means = [_mean(scores) for scores in drawn]
    likeness = [100 * (scores[LIKENESS] or 0.0) for scores in drawn]
    return (
        f"episode {sample.id}, policy and teacher recorded: {episode.n_turns} turns, "
        f"{episode.teacher.get('asked', 0)} comments, {episode.stop_reason}; mean score "
        f"{means[0]:.2f} at first, {means[-1]:.2f} at last; "
        f"likeness {likeness[0]:.2f}, then {likeness[-1]:.2f}"
    )


def describe_end(runs: Sequence[Path]) -> str:
    """Say what was shown and what to do next, a line each.

    Args:
        runs: Folders of the demo's runs, those of episodes among them.
    """
    summaries = [read_summary(run) for run in runs]
    episodes = [summary for summary in summaries if summary.get("episodes")]
    answers = [summary for summary in summaries if not summary.get("episodes")]
    return (
        f"shown: {sum(one['n_samples'] for one in answers)} answers scored on {len(answers)} "
        f"benchmarks{_describe_episodes(episodes)}\n"
        f"next: score your own answers in place of these: {_next_command()} "
        f"(documentation: {_show(_find_guide())})"
    )


def _find_guide() -> Path:
    """Where a newcomer goes on: in a checkout the first page, from a wheel the list of pages."""
    package = Path(str(resources.files("rrvf")))
    first_page = package.parent / "docs" / "start.md"
    return first_page if first_page.is_file() else package / "README.md"


def _describe_episodes(summaries: Sequence[Mapping[str, Any]]) -> str:
    if not summaries:
        return ""
    likeness = min(summary["metrics"][LIKENESS] or 0.0 for summary in summaries)
    count = "1 episode" if len(summaries) == 1 else f"{len(summaries)} episodes"
    return f"; {count} of draft, comments and correction, likeness {likeness:.2f} at the end"


def _next_command() -> str:
    """A command that runs as it is, in seconds: it scores the demo's plots again."""
    installed = Path(sys.prefix).resolve() / "bin" / "rrvf"
    program = [_show(installed)] if installed.is_file() else [_show(sys.executable), "-m", "rrvf"]
    plots = _find_bundled("plots")
    options = {"--data": plots / "references", "--predictions": plots / "predictions.jsonl"}
    words = [text for name, path in options.items() for text in (name, _show(path))]
    return shlex.join([*program, "score", Plot2Code.name, *words, "--out", "rrvf-scored"])


def _show(path: object) -> str:
    """The path, relative to the working directory where it lies in it."""
    whole, here = Path(str(path)), Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


@contextmanager
def _open_loop(
    entry: Mapping[str, Any], bench: Bench, trajectories: Trajectories
) -> Generator[LoopScoring]:
    """The loop with a recorded policy and a server that has the teacher's recorded comments."""
    policy = RecordedPolicy({entry["id"]: entry["turns"]}, "recorded turns, no model")
    with serve_comments(entry["comments"]) as url:
        # On this machine: no key, and more attempts would not help.
        chat_settings = ChatSettings(
            MODEL, url, key_variable="RRVF_DEMO_HAS_NO_KEY", attempts=2, name="recorded"
        )
        with Chat(chat_settings) as chat:
            teacher = ModelTeacher(chat, teacher_prompt(bench.language))
            settings = AgentSettings.of(bench.language)
            yield LoopScoring(bench, policy, teacher, settings, trajectories, concurrency=1)


def _mean(scores: Mapping[str, float | None]) -> float:
    """Of what is compared once there is a picture, 0 to 100."""
    values = [scores[name] or 0.0 for name in scores if name not in ("execution", LIKENESS)]
    return 100 * sum(values) / len(values)


def demo_items() -> list[Item]:
    """The demo's charts with their answers."""
    return _load_bundled("charts", ChartMimic())


def demo_figures() -> list[Item]:
    """The demo's figures with their answers."""
    return _load_bundled("plots", Plot2Code())


def demo_pages() -> list[Item]:
    """The demo's web pages with their answers."""
    return _load_bundled("pages", WebSight())


def demo_designs() -> list[Item]:
    """The demo's pages of Design2Code, each with two answers."""
    return [
        (replace(sample, id=f"{sample.id}-{name}"), answer)
        for name, file in DESIGN_ANSWERS.items()
        for sample, answer in _load_bundled(Design2Code.name, Design2Code(), file)
    ]


def _load_bundled(
    name: str, benchmark: Benchmark, answers: str = "predictions.jsonl"
) -> list[Item]:
    with resources.as_file(_find_bundled(name)) as folder:
        samples = benchmark.load(str(folder / "references"), LoadOptions())
        return match(samples, load_predictions(folder / answers))


def _find_bundled(name: str) -> Traversable:
    return resources.files("rrvf") / "demo_data" / name
