"""The bundled demo: a dozen charts and some pages, with answers in which every status occurs.

After them, one episode of a chart and one of a page go through the loop, renderers and all. What
policy and teacher say in it was recorded; the teacher says it over HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rrvf.agent import AgentSettings
from rrvf.benchmarks import chartmimic, plot2code, websight
from rrvf.benchmarks.predictions import load_predictions, match
from rrvf.canvases import canvas_of
from rrvf.chat import Chat, ChatSettings
from rrvf.demo_teacher import MODEL, recorded_teacher
from rrvf.episodes import LoopScoring, Trajectories
from rrvf.evaluate import score_predictions
from rrvf.policies import RecordedPolicy
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.renderers.memo import MOST_BYTES
from rrvf.renderers.page import PageRenderer
from rrvf.runs import Prepared
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scoring import Item, Scoring
from rrvf.scoring.charts import ChartScoring
from rrvf.scoring.pages import PageScoring
from rrvf.scoring.plots import PlotScoring
from rrvf.teacher import ModelTeacher, teacher_prompt
from rrvf.types import Sample

LIMITS = Limits(cpu_seconds=5, wall_seconds=60)
"""Short enough for the endless loop among the answers not to try one's patience."""

PAGE_SCORERS = ("execution", "block_match", "text", "position", "color")
"""Those that need no weights."""


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One benchmark of the demo.

    Attributes:
        title: For a person.
        folder: Where its run lies below the demo's folder.
        episode: The recording to play afterwards, with the same renderer; it is a run of its own.
        prepared: Gives items and scoring, the renderer running as long as the context lasts.
    """

    title: str
    folder: str
    episode: str | None
    prepared: Callable[[], AbstractContextManager[Prepared]]


def demo_runs(
    workers: int, chart_python: Path | None, browser: Path | None, confinement: str
) -> Iterator[DemoRun]:
    """The benchmarks of the demo, one after another."""

    @contextmanager
    def charts() -> Generator[Prepared]:
        with ChartRenderer(
            *(chart_python, workers, LIMITS, confinement), remembered=MOST_BYTES
        ) as renderer:
            yield demo_items(), ChartScoring(renderer, judge=LikenessJudge())

    @contextmanager
    def plots() -> Generator[Prepared]:
        with ChartRenderer(
            *(chart_python, workers, LIMITS, confinement), remembered=MOST_BYTES
        ) as renderer:
            yield demo_plots(), PlotScoring(renderer, judge=LikenessJudge())

    @contextmanager
    def pages() -> Generator[Prepared]:
        with PageRenderer(
            *(browser, workers), confinement=confinement, remembered=MOST_BYTES
        ) as renderer:
            yield demo_pages(), PageScoring(renderer, PAGE_SCORERS, judge=LikenessJudge())

    yield DemoRun("ChartMimic", ".", "charts", charts)
    yield DemoRun("Plot2Code", plot2code.NAME, None, plots)
    yield DemoRun("WebSight", websight.NAME, "pages", pages)


def play_episode(name: str, items: Sequence[Item], scoring: Scoring, out: Path) -> str:
    """Play and score what was recorded, unless the folder holds it already.

    Args:
        name: Of the recording, ``charts`` or ``pages``.
        items: Among them the one that it is about.
        scoring: How its answer is scored; its renderer draws meanwhile.
        out: Folder of the episode's run.

    Returns:
        How it went, in a line.
    """
    recorded = resources.files("rrvf") / "demo_data" / "episodes" / f"{name}.jsonl"
    entry = json.loads(recorded.read_text("utf-8"))
    [sample] = [sample for sample, _ in items if sample.id == entry["id"]]
    with (
        _recorded(entry, scoring, Trajectories(out)) as loop,
        closing(score_predictions([(sample, None)], loop, out, workers=1)) as results,
    ):
        [result] = results
    if result.episode is None or not result.episode.by_turn:
        return f"episode {sample.id} failed: {result.error}"
    episode, turns = result.episode, result.episode.by_turn
    means = [_mean(turn.scores) for turn in turns if turn.status == "ok"]
    return (
        f"episode {sample.id}, policy and teacher recorded: {episode.n_turns} turns, "
        f"{episode.teacher.get('asked', 0)} comments, {episode.stop_reason}; mean score "
        f"{means[0]:.2f} at first, {means[-1]:.2f} at last"
    )


@contextmanager
def _recorded(
    entry: Mapping[str, Any], scoring: Scoring, kept: Trajectories
) -> Generator[LoopScoring]:
    """The loop with a recorded policy and a server that has the teacher's recorded comments."""
    policy = RecordedPolicy({entry["id"]: entry["turns"]}, "recorded turns, no model")
    canvas = canvas_of(scoring)
    with recorded_teacher(entry["comments"]) as url:
        # On this machine: no key, and nothing that many attempts would mend.
        asked = ChatSettings(
            MODEL, url, key_variable="RRVF_DEMO_HAS_NO_KEY", attempts=2, name="recorded"
        )
        with Chat(asked) as chat:
            teacher = ModelTeacher(chat, teacher_prompt(canvas.language))
            settings = AgentSettings.of(canvas.language)
            yield LoopScoring(scoring, policy, canvas, teacher, settings, kept, concurrency=1)


def _mean(scores: Mapping[str, float | None]) -> float:
    """Of what is compared once there is a picture, 0 to 100."""
    values = [scores[name] or 0.0 for name in scores if name not in ("execution", LIKENESS)]
    return 100 * sum(values) / len(values)


def demo_items() -> list[Item]:
    """The demo's charts with their answers."""
    return _bundled("charts", chartmimic.load_samples)


def demo_plots() -> list[Item]:
    """The demo's plots with their answers."""
    return _bundled("plots", plot2code.load_samples)


def demo_pages() -> list[Item]:
    """The demo's web pages with their answers."""
    return _bundled("pages", websight.load_samples)


def _bundled(name: str, load: Callable[[Path], Sequence[Sample]]) -> list[Item]:
    with resources.as_file(resources.files("rrvf") / "demo_data" / name) as folder:
        samples = load(Path(folder) / "references")
        return match(samples, load_predictions(Path(folder) / "predictions.jsonl"))
