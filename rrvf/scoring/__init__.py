"""What scoring reports and records: keys, judged pictures, remarks, our own failures."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any

import rrvf
from rrvf.errors import HarnessError
from rrvf.renderers.glyphs import CONSEQUENCE, Medium, find_unwritable
from rrvf.replies import holds_thoughts
from rrvf.scorers.judge import Judge
from rrvf.scorers.scorer import BROKEN, call_scorer, no_target
from rrvf.types import Sample, SampleResult, Score, Status

Item = tuple[Sample, str | None]
"""A sample and the model's answer to it; ``None`` without an answer."""

NO_ANSWER = "no answer"
NO_GLYPHS = "no_glyphs"
"""Tag of an item with characters that no font here has: the names of their scripts."""
NO_PICTURE = "the answer leaves no picture"


def item_key(item: Item) -> str:
    """A key of the answer and the reference of a result."""
    sample, completion = item
    return content_key(
        sample.reference_code or "", sample.task, "\0" if completion is None else completion
    )


def content_key(*parts: str) -> str:
    """A short name of some texts: equal for equal ones."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def tell_thoughts(items: Iterable[Item]) -> str | None:
    """A line on how many answers hold thoughts, which are not scored."""
    return tell_n_thoughts(
        sum(bool(completion) and holds_thoughts(completion or "") for _, completion in items)
    )


def tell_n_thoughts(number: int) -> str | None:
    """The line on this many replies; ``None`` for none."""
    subject = "1 reply holds" if number == 1 else f"{number} replies hold"
    return f"{subject} thoughts, which were cut off first" if number else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored answer with its pictures: ``reference`` and ``rendering`` -> PNG."""

    result: SampleResult
    pictures: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)


def judge_protocol(judge: Judge | None) -> dict[str, Any] | None:
    """The judge's part of a protocol."""
    return None if judge is None else {"name": judge.name, **judge.protocol()}


def judge_pictures(
    judge: Judge | None,
    status: Status,
    reference: bytes | None,
    rendering: bytes | None,
    reference_error: str | None = None,
) -> dict[str, Score]:
    """The judge's score by its name; empty without a judge.

    An item without a picture of its reference is unscored, whether its answer runs or not. An
    answer that runs without leaving a picture, which the official rules allow, scores 0.

    Args:
        judge: The judge.
        status: The status of the answer; the model's failures are not judged and score 0.
        reference: The target's picture as PNG; ``None`` if it is missing.
        rendering: The answer's picture.
        reference_error: The error of the reference, if it is known.
    """
    if judge is None:
        return {}
    if reference is None:
        return {judge.name: Score.unscored(no_target(reference_error))}
    if status != "ok":
        return {judge.name: Score.failed()}
    if rendering is None:
        return {judge.name: Score.failed(NO_PICTURE)}
    return {judge.name: call_scorer(judge.name, lambda: judge(reference, rendering))}


def tell_broken(results: Iterable[SampleResult]) -> str | None:
    """One line on references that cannot be drawn, with the commonest reason; or ``None``.

    Args:
        results: The results of a run.
    """
    reasons = Counter(
        reason for result in results if (reason := find_reference_error(result)) is not None
    )
    if not reasons:
        return None
    n_broken = reasons.total()
    subject = "1 reference" if n_broken == 1 else f"{n_broken} references"
    reason = reasons.most_common(1)[0][0]
    ending = f": {'mostly: ' * (len(reasons) > 1)}{reason}" if reason else ""
    return f"{subject} cannot be drawn; scores that need them are left out of all means{ending}"


def find_reference_error(result: SampleResult) -> str | None:
    """The error of a result's reference, empty if unknown; ``None`` without an error."""
    for score in result.scores.values():
        reason = score.details.get("reason")
        if score.value is None and isinstance(reason, str) and reason.startswith(BROKEN):
            return reason.removeprefix(BROKEN).removeprefix(": ")
    return None


def tag_glyphs(tags: Mapping[str, str], texts: Iterable[str], medium: Medium) -> dict[str, str]:
    """A sample's tags, with the scripts of its texts that no font can write here, if there are any.

    Args:
        tags: Of the sample.
        texts: Of its reference and of its answer.
        medium: Where they stand.
    """
    scripts = find_unwritable(texts, medium)
    return {**tags, NO_GLYPHS: ", ".join(scripts)} if scripts else dict(tags)


def tell_glyphs(tags: Iterable[Mapping[str, Any]]) -> str | None:
    """One line on the items whose texts no font could write; if there are any.

    Args:
        tags: Of every item of a run, by :func:`tag_glyphs`.
    """
    script_names = [str(item_tags[NO_GLYPHS]) for item_tags in tags if NO_GLYPHS in item_tags]
    if not script_names:
        return None
    scripts = ", ".join(dict.fromkeys(name for names in script_names for name in names.split(", ")))
    subject = "1 item holds" if len(script_names) == 1 else f"{len(script_names)} items hold"
    return f"{subject} characters that no font has here ({scripts}): {CONSEQUENCE}"


def add_hash(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their hash."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
    return {**settings, "hash": digest}


def host_environment() -> dict[str, Any]:
    """This interpreter and its versions that can change a score."""
    return {
        "host_versions": {name: version(name) for name in ("rrvf", "numpy", "scipy")},
        "host_python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


@cache
def version(name: str) -> str:
    """The version of an installed package, this one included."""
    return rrvf.__version__ if name == "rrvf" else metadata.version(name)


def make_unscored(item: Item, names: Iterable[str], error: HarnessError) -> SampleResult:
    """The result of our own failure: no score has a value."""
    sample, completion = item
    return SampleResult(
        sample.id,
        "harness_error",
        str(error),
        0.0,
        {name: Score.unscored(str(error)) for name in names},
        completion=completion,
        tags=sample.tags,
    )
