"""The bench: one benchmark, its renderer, its scorers and a judge; it turns answers into results.

Evaluation, the loop and training all use one bench. What the policy sees of its code, what a judge
sees and what is scored come from one rule, one picture and one execution.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import Benchmark, compute_metrics
from rrvf.errors import HarnessError, RrvfError, UserError
from rrvf.kinds import KINDS
from rrvf.kinds.kind import Drawer, Drawn, Kind, RendererOptions, Script
from rrvf.pictures import read_png
from rrvf.scorers.clip import VIEWS, ClipSettings, Unavailable, clip_scorers
from rrvf.scorers.execution import score_execution
from rrvf.scorers.judge import Judge
from rrvf.scorers.scorer import (
    ComparesPictures,
    HasEnvironment,
    Scorer,
    find_scorers,
    no_target,
    score_each,
)
from rrvf.scoring import (
    NO_ANSWER,
    NO_PICTURE,
    Item,
    Outcome,
    add_hash,
    host_environment,
    judge_pictures,
    judge_protocol,
    tag_glyphs,
)
from rrvf.types import Code, Language, PageRendering, Pictures, Sample, SampleResult, Score

TOLERANCE = 1e-12


class Scoring(Protocol):
    """Scores answers: a :class:`Bench`, or the loop in front of one."""

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark of the answers."""
        ...

    @property
    def judge(self) -> Judge | None:
        """The judge of the pictures, if there is one."""
        ...

    def names(self) -> tuple[str, ...]:
        """The names of all scores of a result."""
        ...

    def protocol(self) -> dict[str, Any]:
        """The settings that can change scores, with their hash."""
        ...

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can change a score, and the level of confinement."""
        ...

    def score(self, item: Item) -> Outcome:
        """Draw one answer and its reference, and compare them.

        Raises:
            HarnessError: Scoring failed, through no fault of the model.
        """
        ...

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The values of the table."""
        ...

    def lacks(self) -> Sequence[str]:
        """What is missing here and would change scores: one line each, with the fix."""
        ...

    def count_waiting(self) -> int:
        """How many items may wait for a model's answer at the same time."""
        ...

    def close(self) -> None:
        """End all work in progress."""
        ...


@dataclass(frozen=True)
class Bench:
    """A benchmark with everything that scores it; may be used from many threads at once.

    Attributes:
        benchmark: Reads and counts answers.
        kind: Draws answers, with its renderer.
        scorers: By name, from :func:`find_bench_scorers`; only ``execution`` by default.
        judge: A judge of the pictures, if there is one.
        clip: Model, weights and conventions of the CLIP scorers.
        data: The origin of the samples, for the protocol; ``None`` if it cannot change scores.
        pictures: The samples whose results include pictures.
        drawer: Draws instead of the kind, if given.
    """

    benchmark: Benchmark
    kind: Kind
    scorers: Mapping[str, Scorer] = field(default_factory=lambda: {"execution": score_execution})
    judge: Judge | None = None
    clip: ClipSettings = field(default_factory=ClipSettings)
    data: Mapping[str, Any] | None = None
    pictures: Pictures = "all"
    drawer: Drawer | None = None

    @property
    def _drawer(self) -> Drawer:
        return self.drawer or self.kind

    @property
    def language(self) -> Language:
        """The language of the answers."""
        return self.kind.language

    def names(self) -> tuple[str, ...]:
        """Every score that a result has."""
        return (*self.scorers, *(() if self.judge is None else (self.judge.name,)))

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        settings: dict[str, Any] = {
            "benchmark": self.benchmark.name,
            "scorers": list(self.scorers),
            **self.kind.protocol(),
            "judge": judge_protocol(self.judge),
        }
        if self.kind.medium == "page" and self.benchmark.mode == "official":
            settings.setdefault("mode", "fixed")  # WebSight has no other, and need not say it
        if self.kind.medium == "page" or VIEWS.keys() & self.scorers.keys():
            settings |= {"clip_model": self.clip.model, "clip_failure": self.clip.failure}
        if self.benchmark.cleanup != "own":
            settings["cleanup"] = self.benchmark.cleanup
        if self.data is not None:
            settings["data"] = dict(self.data)
        return add_hash(settings)

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and the level of confinement."""
        models = {
            name: dict(scorer.environment)
            for name, scorer in self.scorers.items()
            if isinstance(scorer, HasEnvironment)
        }
        clip = {"clip": models} if models or self.kind.medium == "page" else {}
        return {**self.kind.environment(), **clip, **host_environment()}

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The figures of the table."""
        return compute_metrics(self.benchmark.columns, results)

    def lacks(self) -> Sequence[str]:
        """What is missing here and would change scores: one line each, with the fix."""
        reasons = {
            scorer.reason: None
            for scorer in self.scorers.values()
            if isinstance(scorer, Unavailable)
        }
        return (*self.kind.lacks(), *(f"CLIP will not be scored: {reason}" for reason in reasons))

    def count_waiting(self) -> int:
        """The number of questions to the judge at a time."""
        return 0 if self.judge is None else self.judge.concurrency

    def close(self) -> None:
        """End what is under way."""
        self.kind.close()

    # -------------------------------------------------------------------- what a policy sees

    def target(self, sample: Sample) -> bytes:
        """The picture to reproduce, as PNG: the data set's own, or else the reference's rendering.

        Raises:
            HarnessError: There is no picture.
        """
        png = read_png(sample.image)
        if png is not None:
            return png
        if sample.reference_code is None:
            raise HarnessError(f"the sample {sample.id} has neither a picture nor reference code")
        rendering = self._drawer.draw_target(sample)
        if rendering.png is None:
            raise HarnessError(no_target(rendering.error))
        return rendering.png

    def draw(self, sample: Sample, code: str) -> Drawn:
        """Draw code for a sample exactly as it would be scored.

        The reference is only used to complete the code of ``customized`` samples.

        Raises:
            HarnessError: The failure is ours.
        """
        script = self.benchmark.script(sample, Code(code))
        if script is None:
            return Drawn("no_code", self.kind.no_code)
        rendering = self._drawer.draw(script)
        if rendering.status == "harness_error":
            raise HarnessError(rendering.error or "the renderer failed")
        if rendering.status == "ok" and rendering.png is None:  # a part of a file was saved
            return replace(rendering, status="code_error", error=rendering.error or NO_PICTURE)
        return rendering

    # ------------------------------------------------------------------------------ one item

    def score(self, item: Item) -> Outcome:
        """Draw one answer and its reference, and compare them.

        Raises:
            HarnessError: It could not be done, through no fault of the model.
        """
        sample, completion = item
        script = self.benchmark.script(sample, completion)
        rendering = self._draw_answer(script, completion)
        needs_picture = self._looks() or self._keeps(rendering)
        target = self._drawer.draw_target(sample, "all" if needs_picture else "none")
        scores = self._compare(sample, target, rendering)
        result = SampleResult(
            sample_id=sample.id,
            status=rendering.status,
            error=self._explain(rendering.error, sample, target),
            seconds=rendering.seconds,
            scores={
                **scores,
                **judge_pictures(
                    *(self.judge, rendering.status),
                    *(target.judge_png, rendering.judge_png, target.error),
                ),
            },
            code=None if script is None else self.kind.code_of(script),
            completion=completion,
            other_mode=find_differences(scores, self._compare_otherwise(sample, target, rendering)),
            tags=tag_glyphs(sample.tags, (*target.texts, *rendering.texts), self.kind.medium),
        )
        pictures = (
            {"reference": target.png, "rendering": rendering.png} if self._keeps(rendering) else {}
        )
        return Outcome(result, {name: png for name, png in pictures.items() if png})

    def _looks(self) -> bool:
        """Whether a scorer or the judge compares pictures."""
        return self.judge is not None or any(map(compares_pictures, self.scorers.values()))

    def _keeps(self, rendering: Drawn) -> bool:
        return self.pictures == "all" or (self.pictures == "failed" and rendering.status != "ok")

    def _draw_answer(self, script: Script | None, completion: str | None) -> Drawn:
        if script is not None:
            return self._drawer.draw(script, "all" if self._looks() else self.pictures)
        reason = NO_ANSWER if completion is None else self.kind.no_code
        return self.kind.fail("no_code", reason)

    def _compare(self, sample: Sample, target: Drawn, rendering: Drawn) -> dict[str, Score]:
        rules = self.kind.rules()
        picture_scorers = {
            name: scorer for name, scorer in self.scorers.items() if compares_pictures(scorer)
        }
        other_scorers = {
            name: scorer for name, scorer in self.scorers.items() if name not in picture_scorers
        }
        view = target.view
        if view is not None:
            view = self.benchmark.adjust_target(sample, view, *rules)
        scores = {
            **score_each(other_scorers, view, rendering.view, *rules),
            **score_each(picture_scorers, _to_page(target), _to_page(rendering)),
        }
        return {name: scores[name] for name in self.scorers}

    def _compare_otherwise(
        self, sample: Sample, target: Drawn, rendering: Drawn
    ) -> dict[str, Score]:
        """By the other mode's rules, if this execution recorded them; without a user's scorers."""
        if target.other_view is None or rendering.other_view is None:
            return {}
        own_scorers = {
            name: scorer for name, scorer in self.scorers.items() if name in self.kind.SCORERS
        }
        rules = self.kind.other_rules()
        view = self.benchmark.adjust_target(sample, target.other_view, *rules)
        return score_each(own_scorers, view, rendering.other_view, *rules)

    def _explain(self, error: str | None, sample: Sample, target: Drawn) -> str | None:
        """The error of the answer, then the error of its reference."""
        if target.complete:
            return error
        verb = "drawn" if self.kind.medium == "chart" else "shown"
        problem = f"the reference {sample.id} cannot be {verb}: {target.error}"
        return problem if error is None else f"{error}; {problem}"


def compares_pictures(scorer: Scorer) -> bool:
    """Whether a scorer compares only the two pictures."""
    return isinstance(scorer, ComparesPictures) and scorer.compares_pictures


def _to_page(rendering: Drawn) -> PageRendering:
    """Only the picture; by the official rules an answer may run and leave none."""
    if rendering.status == "ok" and rendering.png is None:
        return PageRendering("code_error", rendering.error or NO_PICTURE)
    view = rendering.view
    return (
        view
        if isinstance(view, PageRendering)
        else PageRendering(rendering.status, rendering.error, png=rendering.png)
    )


def find_differences(
    scores: Mapping[str, Score], other_scores: Mapping[str, Score]
) -> dict[str, float]:
    """Values of the other mode, if they differ from those of the chosen mode."""
    values: dict[str, float] = {}
    for name, score in ((name, scores[name]) for name in other_scores):
        value = other_scores[name].value
        if value is not None and (score.value is None or abs(value - score.value) > TOLERANCE):
            values[name] = value
    return values


# ----------------------------------------------------------------------------------- opening


def find_bench_scorers(
    kind: type[Kind] | Kind, names: Sequence[str], settings: ClipSettings
) -> dict[str, Scorer]:
    """Scorers by name or dotted path, in the given order; CLIP compares pictures of every kind.

    Raises:
        UserError: A name is unknown; the message names the nearest known one.
    """
    views = tuple(VIEWS) if kind.medium == "page" else ("clip",)
    clip_scorers_by_name = clip_scorers([name for name in names if name in views], settings)
    placeholders = dict.fromkeys(views, score_execution)  # so that their names are known
    return find_scorers(names, {**kind.SCORERS, **placeholders, **clip_scorers_by_name})


@contextmanager
def open_bench(
    benchmark: Benchmark | str,
    options: RendererOptions | None = None,
    *,
    scorers: Sequence[str] | None = None,
    judge: Judge | None = None,
    clip: ClipSettings | None = None,
    data: str | None = None,
    pictures: Pictures = "all",
) -> Generator[Bench]:
    """Open the bench of a benchmark; its renderer stops when the context ends.

    Args:
        benchmark: The benchmark or its name.
        options: Options of the renderer.
        scorers: Names or dotted paths; ``None`` for the benchmark's own scorers.
        judge: A judge of the pictures.
        clip: Model, weights and conventions of the CLIP scorers.
        data: The data that the user named, for the protocol.
        pictures: The samples whose results include pictures.

    Raises:
        UserError: A scorer is unknown, or something is missing on this machine.
    """
    if scorers is not None and not scorers:
        raise UserError("no scorers named; leave --scorers out for those of the benchmark")
    if isinstance(benchmark, str):
        benchmark = find_benchmark(benchmark)
    options, clip = options or RendererOptions(), clip or ClipSettings()
    kind = KINDS[benchmark.kind]
    if judge is not None and judge.name in (benchmark.scorers if scorers is None else scorers):
        raise UserError(
            f"the judge's score has the name of a scorer, {judge.name!r}; rename the judge"
        )
    by_name = find_bench_scorers(kind, benchmark.scorers if scorers is None else scorers, clip)
    if benchmark.images_only:
        _require_picture_scorers(by_name)
    renderer_options = replace(
        options,
        mode=options.mode or benchmark.mode,
        seconds=options.seconds or benchmark.seconds,
        judged=judge is not None and judge.name == "gpt",
        reference="image" if benchmark.images_only else options.reference,
        assets=benchmark.find_assets(data) if options.assets is None else options.assets,
    )
    with kind.open(renderer_options) as opened_kind:
        data_protocol = _describe(benchmark, data)
        yield Bench(benchmark, opened_kind, by_name, judge, clip, data_protocol, pictures)


def _require_picture_scorers(scorers: Mapping[str, Scorer]) -> None:
    """Refuse scorers that need the code of references, because only pictures are known.

    Raises:
        UserError: There is such a scorer.
    """
    for name, scorer in scorers.items():
        if name != "execution" and not compares_pictures(scorer):
            raise UserError(
                f"{name} compares with the reference's code, but only pictures are known here; "
                "name execution, clip, or a scorer with compares_pictures = True "
                "(in training: setting: with_reference)"
            )


def _describe(benchmark: Benchmark, data: str | None) -> Mapping[str, Any] | None:
    """The origin of the samples, for the protocol.

    Raises:
        UserError: It cannot be written as JSON.
    """
    try:
        description = benchmark.describe_data(data)
        json.dumps(description)
    except RrvfError:
        raise
    except Exception as error:  # whatever a stranger's benchmark raises
        raise UserError(
            f"{benchmark.name}: describe_data: {type(error).__name__}: {error}"
        ) from error
    return description
