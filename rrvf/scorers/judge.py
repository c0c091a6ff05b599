"""Judges: they compare two pictures and score how similar they are.

A judge is called with the reference first and the rendering second. The score of a model that the
user chose is called ``gpt``. An embedded judge has its own name and never fills the GPT column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rrvf.types import Score


class Judge(Protocol):
    """Compares two pictures; may be called from many threads at once."""

    @property
    def name(self) -> str:
        """The name of its score: ``gpt``, or the judge's own name."""
        ...

    @property
    def concurrency(self) -> int:
        """The number of calls that it accepts at a time."""
        ...

    def protocol(self) -> Mapping[str, Any]:
        """The settings that can change its scores: model, kind of endpoint, rubric, repeats."""
        ...

    def expected(self, n_pairs: int) -> str | None:
        """One line on the maximum cost of this many pairs; ``None`` for a free judge."""
        ...

    def spent(self) -> str | None:
        """One line on the questions and costs so far; ``None`` for a free judge."""
        ...

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How similar two PNGs are, in [0, 1].

        The score is unscored if there is no answer, or 0 if the rendering caused this.

        Raises:
            UserError: The judge cannot work at all (a wrong key, no server, an unknown model).
        """
        ...
