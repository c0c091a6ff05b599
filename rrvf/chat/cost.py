"""The cost of questions: an estimate before, a count after, and a limit in between."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rrvf.chat.question import Answer, Message, Picture
from rrvf.errors import UserError

PRICES_DATE = "2026-06"
"""Of the prices below, from public pages, not checked with OpenAI; a user's own go first."""

PRICES: Mapping[str, tuple[float, float]] = {
    "gpt-4-turbo": (10.00, 30.00),
    "gpt-4-turbo-2024-04-09": (10.00, 30.00),
    "gpt-4o": (2.50, 10.00),
    "gpt-4o-2024-05-13": (5.00, 15.00),
    "gpt-4o-2024-08-06": (2.50, 10.00),
    "gpt-4o-2024-11-20": (2.50, 10.00),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4o-mini-2024-07-18": (0.15, 0.60),
    "gpt-4.1": (2.00, 8.00),
    "gpt-4.1-2025-04-14": (2.00, 8.00),
}
"""USD per million tokens, input and output, of the vision models that are asked as judges."""

OUTPUT_TOKENS = 1024
"""Counted for an answer whose length the caller does not limit."""

_BYTES_A_TOKEN = 3  # English has about four; code and other scripts fewer
_MESSAGE_TOKENS = 4


class PictureRule(NamedTuple):
    """Tokens of a picture at OpenAI: so many, and so many more a tile of 512 pixels."""

    base: int
    tile: int


_RULE = PictureRule(85, 170)
_MINI_RULE = PictureRule(2833, 5667)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What questions are expected to take; ``cost`` in USD, ``None`` without a known price."""

    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked so far.

    Attributes:
        questions: All, whatever became of them; ``paid + from_cache + failures`` when all is done.
        paid: Answered by the server.
        from_cache: Answered from the disk, or by the same question of another thread.
        input_tokens, output_tokens: Of the answers that were paid for, as the server counted.
        cost: USD, ``None`` without a known price. An answer whose tokens the server did not count
            enters with its estimate; attempts that failed are not in it.
        retries: Further attempts.
        failures: Questions that ended without an answer.
    """

    questions: int = 0
    paid: int = 0
    from_cache: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    retries: int = 0
    failures: int = 0


def estimate_tokens(model: str, messages: Sequence[Message]) -> int:
    """About how many tokens a question has, rather too many than too few.

    A token for three bytes of text. A picture by OpenAI's tile rule where the model is in
    :data:`PRICES`; otherwise one token for 28 x 28 pixels, the rule of Qwen2.5-VL.
    """
    total = 0
    for message in messages:
        total += _MESSAGE_TOKENS
        for part in message.parts:
            if isinstance(part, str):
                total += math.ceil(len(part.encode("utf-8", "replace")) / _BYTES_A_TOKEN)
            else:
                total += _picture_tokens(model, part)
    return total


def _picture_tokens(model: str, picture: Picture) -> int:
    width, height = _size(picture.png)
    if model not in PRICES:
        return min(math.ceil(width / 28) * math.ceil(height / 28), 16_384)
    rule = _MINI_RULE if "mini" in model else _RULE
    if picture.detail == "low":
        return rule.base
    # Fitted into a square of 2048, then scaled down to a shorter side of 768.
    fit = min(1.0, 2048 / max(width, height))
    fit *= min(1.0, 768 / (min(width, height) * fit))
    tiles = math.ceil(round(width * fit) / 512) * math.ceil(round(height * fit) / 512)
    return rule.base + rule.tile * tiles


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from a PNG's head; those of an ordinary picture if it has none."""
    if len(png) < 24 or not png.startswith(b"\x89PNG\r\n\x1a\n"):
        return 1024, 1024
    return max(1, int.from_bytes(png[16:20])), max(1, int.from_bytes(png[20:24]))


class Ledger:
    """Counts and money of one chat; every method may be called from any thread."""

    def __init__(self, price: tuple[float, float] | None, max_cost: float | None) -> None:
        self._price = price
        self._max_cost = max_cost
        self._lock = threading.Lock()
        self._counts = {"questions": 0, "paid": 0, "from_cache": 0, "retries": 0, "failures": 0}
        self._input_tokens = 0
        self._output_tokens = 0
        self._paid_cost = 0.0
        self._reserved_cost = 0.0

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """USD of so many tokens."""
        if self._price is None:
            return None
        return (input_tokens * self._price[0] + output_tokens * self._price[1]) / 1e6

    def count(self, name: str) -> None:
        """One more of ``name``."""
        with self._lock:
            self._counts[name] += 1

    def reserve(self, estimate: Estimate) -> None:
        """Set money aside for a question that is about to be asked.

        Raises:
            UserError: It might go over the limit; nothing is set aside then.
        """
        with self._lock:
            total = self._paid_cost + self._reserved_cost + (estimate.cost or 0.0)
            if self._max_cost is not None and total > self._max_cost:
                raise UserError(
                    f"the next question may raise the cost to ${total:.4f}, more than the "
                    f"${self._max_cost:g} allowed (${self._paid_cost:.4f} spent); raise the limit "
                    "(--max-cost or its counterpart) and run the same command again to resume"
                )
            self._reserved_cost += estimate.cost or 0.0

    def settle(self, estimate: Estimate, answer: Answer | None) -> None:
        """Replace what :meth:`reserve` set aside by what the answer cost, if there was one."""
        with self._lock:
            self._reserved_cost -= estimate.cost or 0.0
            if answer is None:
                return
            input_tokens, output_tokens = answer.input_tokens, answer.output_tokens
            self._input_tokens += input_tokens or 0
            self._output_tokens += output_tokens or 0
            cost = self.price(
                estimate.input_tokens if input_tokens is None else input_tokens,
                estimate.output_tokens if output_tokens is None else output_tokens,
            )
            self._paid_cost += cost or 0.0

    def usage(self) -> Usage:
        """The counts so far."""
        with self._lock:
            return Usage(
                **self._counts,
                input_tokens=self._input_tokens,
                output_tokens=self._output_tokens,
                cost=None if self._price is None else self._paid_cost,
            )
