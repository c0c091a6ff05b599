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
        """Of its score: ``gpt``, or the judge's own."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls at once it is good for."""
        ...

    def protocol(self) -> Mapping[str, Any]:
        """What moves its scores: model, kind of endpoint, rubric and its hash, repeats."""
        ...

    def expected(self, n_pairs: int) -> str | None:
        """One line on what so many pairs will take at most; ``None`` for a judge that is free."""
        ...

    def spent(self) -> str | None:
        """One line on what was asked and paid so far; ``None`` for a judge that is free."""
        ...

    def __call__(self, reference: bytes, rendering: bytes) -> Score:
        """How alike two PNGs are, in [0, 1].

        Unscored where no answer can be had; 0 where that is the rendering's doing.

        Raises:
            UserError: It cannot work at all (a wrong key, no server, an unknown model).
        """
        ...
