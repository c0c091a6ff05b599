"""Does the loop help? What the turns of an episode changed, from its record alone.

A *draft* is the scored code of a tool call; a *state* is a draft or the answer. The value of a
state is the mean of its scores in points, 0 to 100. If one of its scores could not be measured, the
state has no value and is left out. Failed code has the value 0.

Every measure is one sum over episodes divided by another, so long episodes have more weight. Its
interval is a bootstrap over samples: all episodes of a sample are drawn together. Nothing is
executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from rrvf.bootstrap import LEVEL, Floats, interval, resamples
from rrvf.types import Column

_MOST = 10**12
"""Larger numbers are none of ours."""

COLLAPSE_POINTS = 1.0
"""An episode collapsed where it ends by more than this below its best state."""

MEASURES: Mapping[str, str] = {
    "same_code": "drafts after the first with the code of the draft before",
    "same_picture": "drafts after the first with the picture of the draft before, where both ran",
    "gain": "points a turn adds to a draft that ran",
    "recovery": "failed drafts whose next state ran",
    "breakage": "drafts that ran whose next state failed",
    "collapse": "points between the best state and the last",
    "collapsed": f"episodes that end more than {COLLAPSE_POINTS:g} point below their best state",
    "first": "points of the first state",
    "last": "points of the last state",
    "oracle": "points of the best state",
    "answer_gain": "points of the answer above the best draft",
    "answer_same_code": "answers with the code of the last draft",
    "tokens_per_point": "tokens written after the first state for a point of last above first",
    "seconds_per_point": "seconds spent after the first state for a point of last above first",
    "teacher_calls_per_point": "teacher calls for a point of last above first",
}
"""Measure -> its definition."""

SHARES = frozenset(
    {"same_code", "same_picture", "recovery", "breakage", "collapsed", "answer_same_code"}
)
"""Measures in percent. Costs are in tokens, seconds and calls, all others in points."""


@dataclass(frozen=True, slots=True)
class State:
    """What an episode held after a draft, or with its answer.

    Attributes:
        turn: From 1.
        is_answer: It is the answer.
        ran: Its code gave a picture.
        value: In points; ``None`` where a score could not be measured.
        code: As executed.
        picture: Its name, by content.
    """

    turn: int
    is_answer: bool
    ran: bool
    value: float | None
    code: str | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class PlayedEpisode:
    """What the measures need of an episode.

    Attributes:
        sample: Whose.
        stop_reason: Why it ended.
        states: In their order.
        tokens: Written in each turn; ``None`` where they were not counted.
        seconds: Spent in each turn: generating, rendering, asking the teacher.
        n_teacher_calls: Renderings that the teacher was asked about, or failed to answer.
    """

    sample: str
    stop_reason: str
    states: tuple[State, ...]
    tokens: tuple[int | None, ...] = ()
    seconds: tuple[float, ...] = ()
    n_teacher_calls: int = 0


# ------------------------------------------------------------------------------- from records


def find_value_scorers(
    columns: Sequence[Column], lines: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Scorers whose mean is a state's value.

    They are the table's, without execution and without the judge, who is not asked about drafts;
    an embedded judge, or execution, where a run has nothing else.

    Args:
        columns: Of the benchmark's table.
        lines: Of ``results.jsonl``.
    """
    turns = [_list(_mapping(line.get("episode")).get("by_turn")) for line in lines]
    first = next((entries[0] for entries in turns if entries), None)
    names = _mapping(_mapping(first).get("scores"))
    in_table = [
        name for name in dict.fromkeys(column.scorer for column in columns) if name in names
    ]
    main = tuple(name for name in in_table if name not in ("gpt", "execution"))
    others = [name for name in ("gpt", "execution") if name in in_table]
    return main or tuple(others[:1])


def read_episode(
    line: Mapping[str, Any], trajectory: Mapping[str, Any], scorers: Sequence[str]
) -> PlayedEpisode | None:
    """An episode from its line of ``results.jsonl`` and that of ``trajectories.jsonl``.

    Whatever is missing or of another kind is left out.

    Args:
        line: With ``episode`` and ``tags``.
        trajectory: Empty where it is gone; then codes, pictures and costs are not known.
        scorers: Whose mean is a state's value.

    Returns:
        ``None`` where no loop was played, or turns were not scored, or the failure was ours.
    """
    episode = _mapping(line.get("episode"))
    entries = episode.get("by_turn")
    if not isinstance(entries, list | tuple):
        return None
    teacher = _mapping(episode.get("teacher"))
    turns = [_mapping(turn) for turn in _list(trajectory.get("turns"))]
    states = [
        _read_state(_mapping(entry), turns, line, scorers)
        for entry in cast("Sequence[Any]", entries)
    ]
    return PlayedEpisode(
        sample=str(_mapping(line.get("tags")).get("sample", line.get("sample_id"))),
        stop_reason=str(episode.get("stop_reason")),
        states=tuple(states),
        tokens=tuple(_integer(turn.get("output_tokens")) for turn in turns),
        seconds=tuple(_count_seconds(turn) for turn in turns),
        n_teacher_calls=sum(_integer(teacher.get(part)) or 0 for part in ("asked", "failed")),
    )


def _read_state(
    entry: Mapping[str, Any],
    turns: Sequence[Mapping[str, Any]],
    line: Mapping[str, Any],
    scorers: Sequence[str],
) -> State:
    turn, call = _integer(entry.get("turn")) or 1, _integer(entry.get("call"))
    scores = _mapping(entry.get("scores"))
    values = [scores.get(name) for name in scorers]
    numbers = [number for value in values if (number := _number(value)) is not None]
    is_whole = bool(values) and len(numbers) == len(values)
    code, picture = line.get("code"), _mapping(line.get("pictures")).get("rendering")
    if call is not None:
        calls = _list(turns[turn - 1].get("observations")) if turn <= len(turns) else ()
        observation = _mapping(calls[call - 1] if 1 <= call <= len(calls) else None)
        code, picture = observation.get("code"), observation.get("picture")
    return State(
        turn=turn,
        is_answer=call is None,
        ran=entry.get("status") == "ok",
        value=100 * sum(numbers) / len(numbers) if is_whole else None,
        code=code.strip("\n") if isinstance(code, str) else None,
        picture=picture if isinstance(picture, str) else None,
    )


def _count_seconds(turn: Mapping[str, Any]) -> float:
    calls = [_mapping(call) for call in _list(turn.get("observations"))]
    parts = [turn.get("seconds"), *(call.get("seconds") for call in calls)]
    parts += [call.get("teacher_seconds") for call in calls]
    return sum(_number(part) or 0.0 for part in parts)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def _integer(value: object) -> int | None:
    """A count, or a place from 1; a file may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST else None


def _number(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _MOST else None


def read_episodes(
    path: Path, lines: Mapping[str, Mapping[str, Any]], scorers: Sequence[str]
) -> list[PlayedEpisode]:
    """All episodes of a run.

    Args:
        path: Of its ``trajectories.jsonl``; read line by line.
        lines: Sample -> its line of ``results.jsonl``.
        scorers: Whose mean is a state's value.
    """
    episodes = {name: read_episode(line, {}, scorers) for name, line in lines.items()}
    for trajectory in _read_lines(path):
        name = trajectory.get("sample_id")
        if isinstance(name, str) and name in lines:
            episodes[name] = read_episode(lines[name], trajectory, scorers)
    return [episode for episode in episodes.values() if episode is not None]


def _read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The whole lines of a file, if there is one."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, RecursionError):  # a torn one
                yield _mapping(json.loads(line))


# ----------------------------------------------------------------------------------- measures


Ratio = tuple[float, float]
"""What an episode adds to a measure's numerator and to its denominator."""


def summarize_loop(
    episodes: Sequence[PlayedEpisode], scorers: Sequence[str] = ()
) -> dict[str, Any]:
    """The ``loop`` among the ``episodes`` of a ``summary.json``; empty without episodes.

    Args:
        episodes: Of a run.
        scorers: Whose mean is a state's value.

    Returns:
        ``value_of``: the scorers. ``n`` episodes of ``n_samples``. ``measures``: name -> ``value``,
        the bounds ``low`` and ``high``, and ``n``, how many turns, states or episodes it is about.
        ``gain_by_turn``: the same of ``gain``, with its ``turn``. ``stop_reasons``: reason -> the
        same, in percent of episodes. A measure about nothing is absent; bounds are ``None`` where
        it is about one episode only. A cost is ``None`` where nothing was gained, as is its upper
        bound where some resamples gained nothing.
    """
    if not episodes:
        return {}
    weights = _resample_episodes([episode.sample for episode in episodes])
    turns = sorted({state.turn for episode in episodes for state in episode.states})
    gains = {
        turn: _estimate([_sum_gains(episode, turn) for episode in episodes], weights)
        for turn in turns
    }
    reasons = sorted({episode.stop_reason for episode in episodes})
    return {
        "value_of": list(scorers),
        "n": len(episodes),
        "n_samples": len({episode.sample for episode in episodes}),
        "measures": _estimate_measures(episodes, weights),
        "gain_by_turn": [{"turn": turn, **gain} for turn, gain in gains.items() if gain],
        "stop_reasons": {
            reason: _estimate(
                [(100.0 * (episode.stop_reason == reason), 1.0) for episode in episodes], weights
            )
            for reason in reasons
        },
    }


def _resample_episodes(samples: Sequence[str]) -> Floats:
    """How often each episode counts in each resample, shape (resamples, episodes)."""
    numbers = {sample: number for number, sample in enumerate(dict.fromkeys(samples))}
    return resamples(len(numbers))[:, [numbers[sample] for sample in samples]]


def _estimate_measures(
    episodes: Sequence[PlayedEpisode], weights: Floats
) -> dict[str, dict[str, Any]]:
    estimates: dict[str, dict[str, Any]] = {}
    for name, count in _COUNTS.items():
        scale = 100.0 if name in SHARES else 1.0
        ratios = [(scale * above, below) for above, below in map(count, episodes)]
        if estimate := _estimate(ratios, weights):
            estimates[name] = estimate
    for name, spend in _SPENDINGS.items():
        if estimate := _estimate_cost(episodes, spend, weights):
            estimates[name] = estimate
    return estimates


def _estimate(ratios: Sequence[Ratio], weights: Floats) -> dict[str, Any] | None:
    """A measure with its interval; ``None`` where it is about nothing."""
    parts = np.array(ratios, dtype=np.float64)
    above, below = _sum_columns(parts)
    if below == 0:
        return None
    values = _divide(weights @ parts, np.nan)
    bounds = interval(values) if np.count_nonzero(parts[:, 1]) > 1 else None
    return {
        "value": above / below,
        "low": None if bounds is None else bounds.low,
        "high": None if bounds is None else bounds.high,
        "n": int(below),
    }


def _estimate_cost(
    episodes: Sequence[PlayedEpisode], spend: Spend, weights: Floats
) -> dict[str, Any] | None:
    """What a point costs over the episodes whose gain and spending are known."""
    pairs = [(spend(episode), measure_gain(episode)) for episode in episodes]
    known = [spent is not None and gain is not None for spent, gain in pairs]
    numbers = [pair for pair, is_known in zip(pairs, known, strict=True) if is_known]
    if not numbers:
        return None
    parts = np.array(numbers, dtype=np.float64)
    spent, gained = _sum_columns(parts)
    values = np.sort(_divide(weights[:, known] @ parts, np.inf))
    tail = round(len(values) * (1 - LEVEL) / 2)
    low, high = float(values[tail]), float(values[-1 - tail])
    return {
        "value": spent / gained if gained > 0 else None,
        "low": low if len(parts) > 1 and math.isfinite(low) else None,
        "high": high if len(parts) > 1 and math.isfinite(high) else None,
        "n": len(parts),
    }


def _sum_columns(parts: Floats) -> tuple[float, float]:
    return float(parts[:, 0].sum()), float(parts[:, 1].sum())


def _divide(sums: Floats, otherwise: float) -> Floats:
    """First column by second, where that is above 0."""
    tops, bottoms = sums[:, 0], sums[:, 1]
    values = np.full(len(sums), otherwise)
    np.divide(tops, bottoms, out=values, where=bottoms > 0)
    return values


def _list_drafts(episode: PlayedEpisode) -> list[State]:
    return [state for state in episode.states if not state.is_answer]


def _list_values(states: Iterable[State]) -> list[float]:
    return [state.value for state in states if state.value is not None]


def _count(flags: Iterable[bool]) -> Ratio:
    values = list(flags)
    return float(sum(values)), float(len(values))


def _count_same_codes(episode: PlayedEpisode) -> Ratio:
    pairs = pairwise(_list_drafts(episode))
    return _count(old.code == new.code for old, new in pairs if old.code and new.code)


def _count_same_pictures(episode: PlayedEpisode) -> Ratio:
    pairs = pairwise(_list_drafts(episode))
    return _count(old.picture == new.picture for old, new in pairs if old.picture and new.picture)


def _sum_gains(episode: PlayedEpisode, turn: int | None = None) -> Ratio:
    """Over the states, of one turn if it is named, that follow one that ran."""
    gains = [
        new.value - old.value
        for old, new in pairwise(episode.states)
        if old.ran and old.value is not None and new.value is not None
        if turn in (None, new.turn)
    ]
    return sum(gains), float(len(gains))


def _count_recoveries(episode: PlayedEpisode) -> Ratio:
    return _count(new.ran for old, new in pairwise(episode.states) if not old.ran)


def _count_breakages(episode: PlayedEpisode) -> Ratio:
    return _count(not new.ran for old, new in pairwise(episode.states) if old.ran)


def measure_collapse(episode: PlayedEpisode) -> float | None:
    """Points between its best state and its last; ``None`` where not all are known."""
    values = _list_values(episode.states)
    is_known = values and len(values) == len(episode.states)
    return max(values) - values[-1] if is_known else None


def measure_gain(episode: PlayedEpisode) -> float | None:
    """Points of its last state above its first."""
    if not episode.states:
        return None
    first, last = episode.states[0].value, episode.states[-1].value
    return None if first is None or last is None else last - first


def _average(measure: Callable[[PlayedEpisode], float | None]) -> Count:
    """The mean of what is measured on episodes, without those that it is not known of."""

    def count(episode: PlayedEpisode) -> Ratio:
        value = measure(episode)
        return (0.0, 0.0) if value is None else (value, 1.0)

    return count


def _is_collapsed(episode: PlayedEpisode) -> float | None:
    collapse = measure_collapse(episode)
    return None if collapse is None else float(collapse > COLLAPSE_POINTS)


def _measure_first(episode: PlayedEpisode) -> float | None:
    return episode.states[0].value if measure_collapse(episode) is not None else None


def _measure_last(episode: PlayedEpisode) -> float | None:
    return episode.states[-1].value if measure_collapse(episode) is not None else None


def _measure_best(episode: PlayedEpisode) -> float | None:
    is_known = measure_collapse(episode) is not None
    return max(_list_values(episode.states)) if is_known else None


def _measure_answer_gain(episode: PlayedEpisode) -> float | None:
    drafts = _list_drafts(episode)
    if not drafts or not episode.states[-1].is_answer or measure_collapse(episode) is None:
        return None
    return _list_values(episode.states)[-1] - max(_list_values(drafts))


def _repeats_draft(episode: PlayedEpisode) -> float | None:
    drafts = _list_drafts(episode)
    if not drafts or not episode.states[-1].is_answer:
        return None
    old, new = drafts[-1].code, episode.states[-1].code
    return float(old == new) if old and new else None


def _count_tokens(episode: PlayedEpisode) -> float | None:
    """Written after the turn of the first state."""
    tokens = episode.tokens[episode.states[0].turn :] if episode.states else ()
    numbers = [number for number in tokens if number is not None]
    is_known = episode.tokens and len(numbers) == len(tokens)
    return float(sum(numbers)) if is_known else None


def _sum_seconds(episode: PlayedEpisode) -> float | None:
    if not episode.states or not episode.seconds:
        return None
    return sum(episode.seconds[episode.states[0].turn :])


def _count_teacher_calls(episode: PlayedEpisode) -> float | None:
    return float(episode.n_teacher_calls)


Count = Callable[[PlayedEpisode], Ratio]
Spend = Callable[[PlayedEpisode], float | None]

_COUNTS: Mapping[str, Count] = {
    "same_code": _count_same_codes,
    "same_picture": _count_same_pictures,
    "gain": _sum_gains,
    "recovery": _count_recoveries,
    "breakage": _count_breakages,
    "collapse": _average(measure_collapse),
    "collapsed": _average(_is_collapsed),
    "first": _average(_measure_first),
    "last": _average(_measure_last),
    "oracle": _average(_measure_best),
    "answer_gain": _average(_measure_answer_gain),
    "answer_same_code": _average(_repeats_draft),
}
_SPENDINGS: Mapping[str, Spend] = {
    "tokens_per_point": _count_tokens,
    "seconds_per_point": _sum_seconds,
    "teacher_calls_per_point": _count_teacher_calls,
}


# --------------------------------------------------------------------------------- for a person


def has_turns(loop: Mapping[str, Any]) -> bool:
    """Whether some episode had a state after another one."""
    measures = _mapping(loop.get("measures"))
    return any(name in measures for name in ("same_code", "gain", "recovery", "breakage"))


def describe_loop(loop: Mapping[str, Any]) -> Iterator[str]:
    """What the loop changed, a line each; nothing where no episode had a second state.

    Args:
        loop: As :func:`summarize_loop` returns it.
    """
    if not has_turns(loop):
        return
    measures = _mapping(loop.get("measures"))
    names = {"first": "first", "last": "last", "oracle": "best"}
    points = [_show(measures, name, label) for name, label in names.items()]
    yield _join("Loop: points by state", [*points, _show(measures, "gain", "a turn adds")])
    shares = {
        "same_code": "same code again",
        "same_picture": "same picture again",
        "recovery": "failed drafts fixed",
        "breakage": "running drafts broken",
        "collapsed": "episodes collapsed",
    }
    yield _join("Loop: percent", [_show(measures, name, label) for name, label in shares.items()])
    costs = {
        "tokens_per_point": "tokens",
        "seconds_per_point": "seconds",
        "teacher_calls_per_point": "teacher calls",
    }
    yield _join(
        "Loop: a point cost", [_show(measures, name, label) for name, label in costs.items()]
    )


def _show(measures: Mapping[str, Any], name: str, label: str) -> str | None:
    measure = _mapping(measures.get(name))
    value, low, high = (_number(measure.get(part)) for part in ("value", "low", "high"))
    if not measure:
        return None
    if value is None:
        return f"{label}: nothing was gained"
    is_bounded = low is not None and high is not None
    return f"{label} {value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if is_bounded else "")


def _join(head: str, parts: Sequence[str | None]) -> str:
    return f"{head}: {', '.join(part for part in parts if part)}"
