"""The old place of the embedded judge, once called ``pixel``; removed in the next release."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    """``PixelJudge`` is :class:`rrvf.scorers.likeness.LikenessJudge` now, another measure."""
    if name != "PixelJudge":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rrvf.scorers.likeness import LikenessJudge

    warnings.warn(
        "PixelJudge is now rrvf.scorers.likeness.LikenessJudge, another measure",
        DeprecationWarning,
        stacklevel=2,
    )
    return LikenessJudge
