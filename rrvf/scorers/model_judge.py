"""The judge that is a vision-language model behind an endpoint, asked by a rubric.

It sends one user message: the rubric's text, the reference, then the rendering, both with detail
``high``; at temperature 0. ChartMimic's high-level score asks this way (VLMEvalKit). The order of
the pictures matters: exchanging them changes its score by 3 to 5 points of 100.

A question may give no score: the judge refuses, is cut off, or its answer is withheld or
unreadable. One more question with the same rubric finds out whether the rendering caused this: it
compares the reference with itself. If the judge answers it, the rendering was the cause and scores
0; otherwise the pair is unscored. An outage is never a 0.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from PIL import Image

from rrvf.chat import Chat, EmptyAnswerError, Message, Picture, RefusedError
from rrvf.errors import HarnessError, boundary
from rrvf.scorers.rubrics import Rubric
from rrvf.types import Score

MAX_PIXELS = 4096 * 4096
MAX_TOKENS = 2048
TEMPERATURE = 0.0
CONFIDENCE = 0.95

_ANSWER_CHARS = 4000
_REASON_CHARS = 200


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """Asks a model how alike two pictures are; its column is ``gpt``.

    Attributes:
        chat: The endpoint and its model.
        rubric: What is asked and how the answer is read.
        repeats: How often each pair is judged. The score is the mean.
        max_pixels: A picture with more is scaled down to it, with its proportions kept, each
            picture for itself and by the same rule. Charts at 350 dpi go as they are up to 12 by 11
            inches, as officially, and pages up to 13,107 pixels high; scaling is the endpoint's.
        max_tokens: Of an answer. A longer one is cut off and not read; a model that thinks aloud
            needs more.
    """

    chat: Chat
    rubric: Rubric
    repeats: int = 1
    max_pixels: int = MAX_PIXELS
    max_tokens: int = MAX_TOKENS

    @property
    def name(self) -> str:
        """Of its score."""
        return "gpt"

    @property
    def concurrency(self) -> int:
        """As many calls as the endpoint takes questions at once."""
        return self.chat.settings.concurrency

    def protocol(self) -> Mapping[str, Any]:
        """What moves its scores: model, rubric, and how it is asked."""
        return {
            "judge": self.chat.settings.model,
            "endpoint": self.chat.settings.endpoint_kind,
            "rubric": self.rubric.name,
            "prompt_sha256": self.rubric.prompt.sha256,
            "prompt": "own file" if self.rubric.own_words else "shipped",
            "repeats": self.repeats,
            "temperature": TEMPERATURE,
            "max_pixels": self.max_pixels,
            "max_tokens": self.max_tokens,
            **self.chat.describe_refused(),
        }

    def expected(self, n_pairs: int) -> str:
        """Tokens and cost at most, for pictures of 2048 by 2048 and answers of full length."""
        buffer = io.BytesIO()
        Image.new("RGB", (2048, 2048)).save(buffer, "PNG")
        question = self.messages(buffer.getvalue(), buffer.getvalue())
        n_questions = n_pairs * (self.repeats + 1)  # one more where a pair brings no figure
        estimate = self.chat.estimate(n_questions, question, self.max_tokens)
        return (
            f"judge: at most {n_questions} questions, one an item of them only where the others "
            f"bring no figure; about {estimate.input_tokens:,} tokens to read and "
            f"{estimate.output_tokens:,} to write, {_format_dollars(estimate.cost)}"
        )

    def spent(self) -> str:
        """Questions, tokens and cost so far."""
        usage = self.chat.usage()
        return (
            f"judge: {usage.paid} answers paid, {usage.from_cache} from the cache, "
            f"{usage.failures} failed; {usage.input_tokens:,} tokens read, "
            f"{usage.output_tokens:,} written, {_format_dollars(usage.cost)}"
        )

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How alike two PNGs are: mean figure / scale.

        Where no answer can be read, the reference is judged beside itself: 0 if that brings a
        figure, else unscored; ``reason`` says what was wrong with the first answer.

        ``details`` hold ``raw`` (the mean on the rubric's own scale), ``answer`` (the first that
        could be read, shortened), ``n_read``; with several, ``raw_values``, and ``raw_ci95``, the
        interval of Student's t around the mean, not cut to the scale.

        Raises:
            UserError: The endpoint cannot work at all.
        """
        messages = self.messages(reference, rendering)
        readings = [self._ask(messages, repeat) for repeat in range(self.repeats)]
        figures = [
            (reading.value, reading.text) for reading in readings if reading.value is not None
        ]
        if not figures:
            return self._score_without_figure(reference, readings)
        values = [value for value, _ in figures]
        raw = fmean(values)
        details: dict[str, Any] = {
            "raw": raw,
            "answer": _shorten(figures[0][1], _ANSWER_CHARS),
            "n_read": len(values),
        }
        if self.repeats > 1:
            details["raw_values"] = values
        if len(values) > 1:
            details["raw_ci95"] = confidence_interval(values)
        return Score(raw / self.rubric.scale, details)

    def _score_without_figure(self, reference: bytes, readings: Sequence[_Reading]) -> Score:
        """What a pair is worth that brought no figure: 0 where that is the rendering's doing."""
        problem = readings[0].problem
        if not all(reading.spoke for reading in readings):
            return Score.unscored(problem)
        control = self._ask(self.messages(reference, reference), 0)
        if control.value is None:
            return Score.unscored(f"{problem}; of the reference beside itself: {control.problem}")
        return Score.failed(f"{problem}; the reference beside itself was judged")

    def messages(self, reference: bytes, rendering: bytes) -> list[Message]:
        """The question about two PNGs.

        Raises:
            HarnessError: One of them is no picture.
        """
        with boundary("preparing pictures for the judge"):
            first, second = (
                Picture(bound_picture(png, self.max_pixels), detail="high")
                for png in (reference, rendering)
            )
        prompt = self.rubric.prompt
        question = Message("user", (prompt.user, first, second))
        return [Message("system", (prompt.system,)), question] if prompt.system else [question]

    def _ask(self, messages: Sequence[Message], repeat: int) -> _Reading:
        try:
            answer = self.chat.ask(
                messages, repeat=repeat, temperature=TEMPERATURE, max_tokens=self.max_tokens
            )
        except (EmptyAnswerError, RefusedError) as error:
            return _Reading(None, "", f"no answer: {error}")
        except HarnessError as error:
            return _Reading(None, "", f"no answer: {error}", spoke=False)
        if answer.finish_reason == "length":
            # What stands last may be a part of a number, or the figure of a part.
            return _Reading(None, answer.text, f"cut off after {self.max_tokens} tokens")
        value = self.rubric.parse(answer.text)
        if value is None:
            beginning = _shorten(" ".join(answer.text.split()), _REASON_CHARS)
            return _Reading(None, answer.text, f"no figure in the answer: {beginning!r}")
        return _Reading(value, answer.text, "")


def _format_dollars(cost: float | None) -> str:
    return "cost unknown" if cost is None else f"${cost:.2f}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """One answer: its figure, or the problem with it; ``spoke`` unless the server failed."""

    value: float | None
    text: str
    problem: str
    spoke: bool = True


def confidence_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval of 95 % around the mean of two or more values."""
    from scipy.stats import t

    half = stdev(values) / math.sqrt(len(values)) * t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return fmean(values) - float(half), fmean(values) + float(half)


def bound_picture(png: bytes, max_pixels: int) -> bytes:
    """The picture with at most that many pixels; on white where it is transparent.

    What a model sees behind a transparent place is its endpoint's choice, mostly black.
    """
    picture = Image.open(io.BytesIO(png))
    is_transparent = "A" in picture.getbands() or "transparency" in picture.info
    if not is_transparent and picture.width * picture.height <= max_pixels:
        return png
    if is_transparent:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    factor = math.sqrt(max_pixels / (picture.width * picture.height))
    if factor < 1:
        size = [max(1, math.floor(side * factor)) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _shorten(text: str, n_chars: int) -> str:
    """Its beginning and its end; half of a surrogate pair, which no file takes, as ``?``."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= n_chars:
        return text
    return f"{text[: n_chars // 2]} [...] {text[-n_chars // 2 :]}"
