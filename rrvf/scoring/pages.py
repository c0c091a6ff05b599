"""Scoring of web pages: the answer's page beside the reference's, shown by the same browser."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rrvf.benchmarks import websight, websight_rules
from rrvf.errors import HarnessError
from rrvf.renderers.page import PageRenderer, source_hash
from rrvf.scorers.clip import ClipSettings, Unavailable
from rrvf.scorers.judge import Judge
from rrvf.scorers.pages import find_page_scorers
from rrvf.scorers.scorer import HasEnvironment, Scorer, score_each
from rrvf.scoring import (
    NO_ANSWER,
    Item,
    Outcome,
    as_png,
    host_environment,
    judge_protocol,
    judged,
    tag_glyphs,
    waiting_for,
    with_hash,
)
from rrvf.types import PageRendering, Sample, SampleResult

SCORERS = ("execution", "clip")
NO_HTML = "no HTML in the answer"
NO_TAILWIND = (
    "pages that ask for Tailwind stay bare, on both sides; to install it: rrvf setup-browser"
)

Reference = Literal["html", "image"]


@dataclass(frozen=True)
class PageScoring:
    """How answers in HTML are scored.

    Attributes:
        renderer: Where pages are shown.
        scorers: Names or dotted paths.
        clip: Model, weights and conventions of the CLIP scorers.
        reference: Compare with the rendering of the reference ``html``, or with the data set's own
            ``image``.
        data: Where the samples are from, for the protocol.
        judge: Who looks at the pictures as well, if anybody does.
    """

    renderer: PageRenderer
    scorers: tuple[str, ...] = SCORERS
    clip: ClipSettings = field(default_factory=ClipSettings)
    reference: Reference = "html"
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    judge: Judge | None = None
    benchmark: str = websight.NAME

    def protocol(self) -> dict[str, Any]:
        """What moves scores, with a hash over it."""
        limits = self.renderer.limits
        return with_hash(
            {
                "benchmark": self.benchmark,
                "scorers": list(self.scorers),
                "reference": self.reference,
                "clip_model": self.clip.model,
                "clip_failure": self.clip.failure,
                "data": dict(self.data),
                "viewport": f"{limits.width}x{limits.height}",
                "max_height": limits.max_height,
                "seconds": limits.seconds,
                "javascript": self.renderer.environment["javascript"],
                "renderer": source_hash(),
                "judge": judge_protocol(self.judge),
            }
        )

    def environment(self) -> dict[str, Any]:
        """Versions of everything that can move a score, and how far pages are confined."""
        said = dict(self.renderer.environment)
        del said["javascript"]
        return {
            **said,
            "clip": {name: dict(scorer.environment) for name, scorer in self._with_model()},
            **host_environment(),
        }

    def find_scorers(self) -> Mapping[str, Scorer]:
        """The functions behind the names."""
        return self._found

    @functools.cached_property
    def _found(self) -> Mapping[str, Scorer]:
        """Looked up once: a model is loaded."""
        return find_page_scorers(self.scorers, self.clip)

    def _with_model(self) -> Iterator[tuple[str, HasEnvironment]]:
        for name, scorer in self._found.items():
            if isinstance(scorer, HasEnvironment):
                yield name, scorer

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        """The columns of the table, 0 to 100."""
        return websight_rules.metrics(results)

    def lacks(self) -> Sequence[str]:
        """Tailwind, which pages of v0.2 ask for, and what the scorers with a model need."""
        tailwind = () if self.renderer.environment["tailwind"] else (NO_TAILWIND,)
        missing = {one.reason: None for one in self._found.values() if isinstance(one, Unavailable)}
        return (*tailwind, *(f"CLIP will not be scored: {reason}" for reason in missing))

    def waiting(self) -> int:
        """Those the judge is asked about."""
        return waiting_for(self.judge)

    def close(self) -> None:
        """End what is under way."""
        self.renderer.close()

    # ------------------------------------------------------------------------ one item

    def score(self, item: Item, scorers: Mapping[str, Scorer]) -> Outcome:
        """Show one answer and its reference, and compare them."""
        sample, completion = item
        target = self._target(sample)
        html = None if completion is None else websight.extract_html(completion)
        if html is None:
            page = PageRendering("no_code", NO_ANSWER if completion is None else NO_HTML)
        else:
            page = self.renderer.render(html)
        pictures = {"reference": target.png, "rendering": page.png}
        result = SampleResult(
            sample_id=sample.id,
            status=page.status,
            error=_told(page.error, sample, target),
            seconds=page.seconds,
            scores={
                **score_each(scorers, target, page),
                **judged(self.judge, page.status, target.png, page.png, target.error),
            },
            code=html,
            completion=completion,
            tags=tag_glyphs(
                sample.tags, (block.text for block in (*target.blocks, *page.blocks)), "page"
            ),
        )
        return Outcome(result, {name: png for name, png in pictures.items() if png})

    def _target(self, sample: Sample) -> PageRendering:
        """What an answer is compared with: the reference's rendering, or the picture itself."""
        shown = None
        if sample.reference_code is not None:
            shown = self.renderer.render_reference(sample.reference_code)
        if self.reference == "html":
            if shown is None:
                raise HarnessError(f"the sample {sample.id} has no reference HTML")
            return shown
        if sample.image is None:
            raise HarnessError(f"the sample {sample.id} has no picture of its own")
        png = as_png(sample.image) or b""
        width, height = struct.unpack(">II", png[16:24])  # where a PNG says its size
        blocks = shown.blocks if shown is not None else ()
        return PageRendering("ok", png=png, width=width, height=height, blocks=blocks)


def _told(error: str | None, sample: Sample, target: PageRendering) -> str | None:
    """What went wrong with the answer, then what is wrong with its reference."""
    if target.status == "ok":
        return error
    broken = f"the reference {sample.id} cannot be shown: {target.error}"
    return broken if error is None else f"{error}; {broken}"
