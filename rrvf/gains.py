"""What the turns of an episode gained: a reward for progress, and calls that brought something.

A policy that earns a reward for any call that renders learns to draw an empty plot. Where
``tool_must_gain`` is on, a call counts only if its rendering is likelier the target than an empty
one, and than the draft before it.
"""

from __future__ import annotations

from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import LikenessJudge
from rrvf.trajectories import Trajectory
from rrvf.types import Language, SampleResult, TurnScores

EMPTY_CODE: dict[Language, str] = {
    "python": "import matplotlib.pyplot as plt\nplt.subplots()\n",
    "html": "<!DOCTYPE html>\n<html><body></body></html>\n",
}
"""What draws an empty chart and an empty page."""

_JUDGES = ("gpt", LIKENESS)


def progress(result: SampleResult, trajectory: Trajectory) -> float | None:
    """What the last turn with code is worth beyond the first one: a reward term, -1 to 1.

    Name it as ``rrvf.gains:progress``. A turn is worth its judge's score; without a judge the mean
    of its scores.

    Returns:
        0 for an episode with fewer than two drafts; ``None`` where a draft could not be scored.
    """
    del trajectory
    turns = result.episode.by_turn if result.episode is not None else None
    if turns is None:
        return None
    if len(turns) < 2:
        return 0.0
    first, last = _find_worth(turns[0]), _find_worth(turns[-1])
    return None if first is None or last is None else last - first


def _find_worth(turn: TurnScores) -> float | None:
    judge_name = next((name for name in _JUDGES if name in turn.scores), None)
    if judge_name is not None:
        return turn.scores[judge_name]
    values = list(turn.scores.values())
    known_values = [value for value in values if value is not None]
    return sum(known_values) / len(values) if values and len(known_values) == len(values) else None


def count_gaining_calls(trajectory: Trajectory, target: bytes, empty: bytes | None) -> int:
    """Calls whose rendering is likelier the target than an empty one and than the last draft.

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
    for turn in trajectory.turns:
        for observation in turn.observations:
            if observation.status != "ok" or observation.picture is None:
                continue
            likeness = compare(target, observation.picture).value or 0.0
            n_gaining += likeness > max(floor, last)
            last = likeness
    return n_gaining
