"""The gains of an episode's turns: a reward for progress, and calls that improve the drawing.

A policy that earns a reward for any call that renders learns to draw an empty plot. With
``tool_must_gain``, a call counts only if its rendering is closer to the target than an empty
picture, and closer than the previous draft.
"""

from __future__ import annotations

from rrvf.scorers.likeness import LikenessJudge
from rrvf.trajectories import Trajectory
from rrvf.types import Language

EMPTY_CODE: dict[Language, str] = {
    "python": "import matplotlib.pyplot as plt\nplt.subplots()\n",
    "html": "<!DOCTYPE html>\n<html><body></body></html>\n",
}
"""What draws an empty chart and an empty page."""


def measure_progress(trajectory: Trajectory, target: bytes, final: bytes | None) -> float:
    """The gain in likeness from the first draft that rendered to the answer, from -1 to 1.

    Drafts that did not render do not count, so that a broken one is no way to progress.

    Args:
        trajectory: The episode, with its renderings.
        target: PNG of what is to be reproduced.
        final: PNG of the answer; ``None`` where it draws nothing, which is like nothing.

    Returns:
        0 where no draft rendered.

    Raises:
        SetupError: scikit-image is missing, by which pictures are compared.
        HarnessError: The target is no picture.
    """
    drafts = _list_renderings(trajectory)
    if not drafts:
        return 0.0
    compare = LikenessJudge()
    last = 0.0 if final is None else compare(target, final).value or 0.0
    return last - (compare(target, drafts[0]).value or 0.0)


def _list_renderings(trajectory: Trajectory) -> list[bytes]:
    return [
        observation.picture
        for turn in trajectory.turns
        for observation in turn.observations
        if observation.status == "ok" and observation.picture is not None
    ]


def count_gaining_calls(trajectory: Trajectory, target: bytes, empty: bytes | None) -> int:
    """Count calls whose rendering is closer to the target than nothing and the last draft.

    Args:
        trajectory: The episode, with its renderings.
        target: PNG of what is to be reproduced.
        empty: PNG of an empty rendering; ``None`` for white paper, which is like nothing.

    Raises:
        SetupError: scikit-image is missing, by which pictures are compared.
        HarnessError: The target is no picture.
    """
    compare = LikenessJudge()
    floor = 0.0 if empty is None else compare(target, empty).value or 0.0
    last = 0.0
    n_gaining = 0
    for picture in _list_renderings(trajectory):
        likeness = compare(target, picture).value or 0.0
        n_gaining += likeness > max(floor, last)
        last = likeness
    return n_gaining
